"""Which files of a checkpoint are its weights, and the tensors of all of them together."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from steelyard.errors import BadCheckpoint
from steelyard.inspect.reading import Reading
from steelyard.inspect.safetensors import Header, read_header
from steelyard.inspect.tensors import Tensor

Format = Literal["safetensors", "gguf", "pickle", "none"]

MAX_INDEX = 64 << 20
MAX_HEADERS = 256 << 20
"""Bytes of all headers of one checkpoint together."""
MAX_TENSORS = 500_000
"""Tensors of one checkpoint."""
_INDEX = "model.safetensors.index.json"
_PICKLES = re.compile(r"(pytorch_model|model|consolidated)[^/]*\.(bin|pt|pth|ckpt)|[^/]*\.(pth|ckpt)")
_ADAPTERS = re.compile(r"adapter_model[^/]*\.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """The tensors of a model's safetensors files. `whole`: no file of the model is missing or broken."""

    tensors: tuple[Tensor, ...]
    starts: dict[str, int] = field(default_factory=dict, repr=False)
    whole: bool = True


def weights_format(paths: Iterable[str]) -> Format:
    """The format of a model's weights, by the names of its files; adapters' files do not count."""
    top = [path for path in paths if "/" not in path]
    if _INDEX in top or any(path.endswith(".safetensors") and not _ADAPTERS.fullmatch(path) for path in top):
        return "safetensors"
    if any(path.lower().endswith(".gguf") for path in top):
        return "gguf"
    if any(_PICKLES.fullmatch(path) for path in top):
        return "pickle"
    return "none"


def read_shards(reading: Reading) -> Shards:
    """The tensors of the model, from the files that its index names, or without one from those that are there."""
    index = reading.json_object(_INDEX, MAX_INDEX)
    placed = None if index is None else _weight_map(reading, index)
    paths = _without_index(reading.sizes) if placed is None else sorted(set(placed.values()))
    found: dict[str, Tensor] = {}
    starts: dict[str, int] = {}
    whole = _INDEX not in reading.sizes or placed is not None
    nbytes = 0
    for path in paths:
        header = _header(reading, path)
        if header is None:
            whole = False
            continue
        nbytes += header.nbytes
        if nbytes > MAX_HEADERS or len(found) + len(header.tensors) > MAX_TENSORS:
            reading.fault(path, f"is left unread: headers of {MAX_HEADERS} bytes or {MAX_TENSORS} tensors are the most")
            whole = False
            break
        for tensor in header.tensors:
            if tensor.name in found:
                reading.fault(path, f"holds {tensor.name}, which {found[tensor.name].file} holds too")
            else:
                found[tensor.name] = tensor
                starts[tensor.name] = header.starts[tensor.name]
    if placed is not None and whole:
        whole = _check_index(reading, placed, found)
    return Shards(tensors=tuple(found.values()), starts=starts, whole=whole)


def _header(reading: Reading, path: str) -> Header | None:
    if path not in reading.sizes:
        reading.fault(path, f"is missing: {_INDEX} names it")
        return None
    try:
        return read_header(reading.files, path)
    except BadCheckpoint as error:
        reading.fault(path, error.message.removeprefix(f"{path}: "))
        return None


def _weight_map(reading: Reading, index: dict[str, Any]) -> dict[str, str] | None:
    placed = index.get("weight_map")
    if not isinstance(placed, dict) or not placed or not all(isinstance(path, str) for path in placed.values()):
        reading.fault(_INDEX, "weight_map must be an object that names the file of each tensor")
        return None
    return placed


def _without_index(sizes: Iterable[str]) -> list[str]:
    # `consolidated*.safetensors` beside other files is the same model once more, in its maker's own naming.
    top = sorted(p for p in sizes if "/" not in p and p.endswith(".safetensors") and not _ADAPTERS.fullmatch(p))
    if "model.safetensors" in top:
        return ["model.safetensors"]
    return [path for path in top if not path.startswith("consolidated")] or top


def _check_index(reading: Reading, placed: dict[str, str], found: dict[str, Tensor]) -> bool:
    absent = [name for name in placed if name not in found]
    if absent:
        more = f" ({len(absent)} such tensors in all)"
        reading.fault(placed[absent[0]], f"lacks {absent[0][:200]!a}, which {_INDEX} places there{more}")
    moved = next((name for name, path in placed.items() if name in found and found[name].file != path), None)
    if moved is not None:
        reading.fault(_INDEX, f"places {moved[:200]!a} in {placed[moved]}, but it is in {found[moved].file}")
    unplaced = next((name for name in found if name not in placed), None)
    if unplaced is not None:
        reading.fault(_INDEX, f"does not place {unplaced[:200]!a}, which {found[unplaced].file} holds")
    return not absent
