"""What a checkpoint is: its spec, read from headers and small files alone, and all that was found on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from steelyard.inspect.bitsandbytes import noted_shapes
from steelyard.inspect.config import MAX_CONFIG, ModelConfig, no_config, read_config
from steelyard.inspect.draft import Draft
from steelyard.inspect.embeddings import pooling
from steelyard.inspect.files import CheckpointFiles
from steelyard.inspect.gguf_spec import describe_gguf, gguf_of
from steelyard.inspect.layout import Layout
from steelyard.inspect.peft import AdapterConfig, read_adapter
from steelyard.inspect.quantization import quantization_of
from steelyard.inspect.reading import FileFault, ReadFile, Reading
from steelyard.inspect.remote_code import RemoteCode, read_remote_code
from steelyard.inspect.shards import Format, read_shards, weights_format
from steelyard.inspect.spec import describe, describe_chat
from steelyard.inspect.tokenizer import Chat, read_chat
from steelyard.inspect.version import INSPECTION_VERSION
from steelyard.inspect.weights import Weights, understand
from steelyard.records.spec import ModelSpec

_REQUIRED = tuple(name for name, field in ModelSpec.model_fields.items() if field.is_required())


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the bytes of a checkpoint say.

    `spec` has every field of ModelSpec, None where the bytes do not tell (it is None itself if the checkpoint has
    neither a config nor weights). `sources` says of each known field where it was read, `missing` of each unknown one
    why. `layout` is None where memory cannot be computed.
    """

    format: Format
    spec: Mapping[str, Any] | None
    sources: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[FileFault, ...] = ()
    read: tuple[ReadFile, ...] = ()
    layout: Layout | None = None
    adapter: AdapterConfig | None = None
    remote_code: RemoteCode = field(default_factory=RemoteCode)
    chat: Chat = field(default_factory=Chat)

    def complete(self) -> bool:
        """Whether all fields that a ModelSpec must have are known."""
        return self.spec is not None and all(self.spec.get(name) is not None for name in _REQUIRED)

    def as_document(self) -> dict[str, Any]:
        """The inspection as JSON, to be stored; `from_document` reads it."""
        document: dict[str, Any] = _INSPECTIONS.dump_python(self, mode="json")
        return {"version": INSPECTION_VERSION, **document}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> "Inspection | None":
        """The inspection that `as_document` wrote, or None if another version did: the bytes must be read again."""
        if document.get("version") != INSPECTION_VERSION:
            return None
        fields = {name: item for name, item in document.items() if name != "version"}
        return _INSPECTIONS.validate_python(fields)


_INSPECTIONS: TypeAdapter[Inspection] = TypeAdapter(Inspection)


def inspect_checkpoint(files: CheckpointFiles, name: str = "") -> Inspection:
    """Reads a checkpoint. Never raises for a bad one: what is broken is in `faults`, what is unknown in `missing`.

    `name` is the name under which the checkpoint is known, used where its own files do not name it.
    """
    reading = Reading(files)
    form = weights_format(reading.sizes)
    config = read_config(reading)
    chat = read_chat(reading)
    draft, layout = Draft(), None
    described = config is not None or form != "none"
    if form == "gguf" and (gguf := gguf_of(reading)) is not None:
        layout, chat = describe_gguf(draft, reading, gguf, name, chat)
    elif described:
        weights = _weights(reading, config) if form == "safetensors" else None
        layout = describe(draft, reading, config or no_config(reading), weights, name)
    if described:
        describe_chat(draft, chat)
        pooled = pooling(reading)
        draft.set("is_embedding_model", pooled is not None, pooled or "no file says that states are pooled")
    return Inspection(
        format=form,
        spec=draft.values if described else None,
        sources=draft.sources if described else {},
        missing=draft.missing if described else {},
        adapter=read_adapter(reading),
        remote_code=read_remote_code(reading, config),
        chat=chat,
        layout=layout,
        faults=reading.faults,
        read=reading.read,
    )


def _weights(reading: Reading, config: ModelConfig | None) -> Weights:
    shards = read_shards(reading)
    stated = config.whole.part("quantization_config") if config is not None else None
    side = reading.json_object("hf_quant_config.json", MAX_CONFIG) if stated is None else None
    quantization = quantization_of(stated, side)
    packed = quantization is not None and quantization.method == "bitsandbytes"
    noted = noted_shapes(reading, shards) if packed else {}
    return understand(shards.tensors, config, quantization, whole=shards.whole, noted=noted)
