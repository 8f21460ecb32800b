"""Adapters of PEFT: what `adapter_config.json` and the adapter's tensors say, and whether they fit a base model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steelyard.errors import BadCheckpoint
from steelyard.inspect.config import MAX_CONFIG, MAX_COUNT
from steelyard.inspect.reading import Reading, is_clean_text
from steelyard.inspect.safetensors import read_header

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_MAX_MODULES = 50_000
_MAX_TEXT = 512
# What PEFT puts before names, and first steps of names that depend on which class the base was saved from.
_WRAPPED = "base_model.model."
_CONTAINERS = {"model", "language_model", "text_model", "transformer", "backbone", "bert", "roberta", "base_model"}
_LORA = re.compile(r"^(.+?)\.lora_(A|B|magnitude_vector)(?:\.default)?(?:\.weight)?$")
# Modules that an adapter may be put on and that are not linear layers of the base: tables, and experts in one tensor.
_OTHER = re.compile(r"embed|wte|wpe|shared$|experts|conv|norm")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """An adapter as its own files describe it. `tensors` are the shapes by name, empty if they could not be read.

    `target_modules` are names (or the ends of names) of the base's modules; `target_pattern` is set instead where the
    adapter names them by a regular expression or as `all-linear`. `alpha` and `rank` are those of LoRA and its kin.
    """

    peft_type: str | None
    rank: int | None = None
    alpha: float | None = None
    target_modules: tuple[str, ...] = ()
    target_pattern: str | None = None
    modules_to_save: tuple[str, ...] = ()
    base_model_name_or_path: str | None = None
    task_type: str | None = None
    use_dora: bool = False
    use_rslora: bool = False
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    num_virtual_tokens: int | None = None
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)
    num_parameters: int | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """The first place where an adapter cannot be put on its base: the module, and shapes as (rows, columns)."""

    module: str
    message: str
    tensor: str | None = None
    expected: tuple[int, ...] | None = None
    found: tuple[int, ...] | None = None


def read_adapter(reading: Reading) -> AdapterConfig | None:
    """The adapter of a checkpoint, or None if it has none. What is wrong with it goes to the faults of `reading`."""
    values = reading.json_object(_CONFIG, MAX_CONFIG)
    if values is None:
        return None
    found = _Values(reading, values)
    modules, pattern = found.modules("target_modules")
    tensors = _tensors(reading)
    ranks = values.get("rank_pattern")
    adapter = AdapterConfig(
        peft_type=found.text("peft_type"),
        rank=found.count("r"),
        alpha=found.number("lora_alpha"),
        target_modules=modules,
        target_pattern=pattern,
        modules_to_save=found.modules("modules_to_save")[0],
        base_model_name_or_path=found.text("base_model_name_or_path"),
        task_type=found.text("task_type"),
        use_dora=values.get("use_dora") is True,
        use_rslora=values.get("use_rslora") is True,
        rank_pattern={key: rank for key, rank in ranks.items() if _is_count(rank)} if isinstance(ranks, dict) else {},
        num_virtual_tokens=found.count("num_virtual_tokens"),
        tensors={name: shape for name, shape, _ in tensors},
        num_parameters=sum(elements for _, _, elements in tensors) if tensors else None,
    )
    _check_ranks(reading, adapter)
    return adapter


def _tensors(reading: Reading) -> list[tuple[str, tuple[int, ...], int]]:
    if _WEIGHTS not in reading.sizes:
        return []
    try:
        header = read_header(reading.files, _WEIGHTS)
    except BadCheckpoint as error:
        reading.fault(_WEIGHTS, error.message.removeprefix(f"{_WEIGHTS}: "))
        return []
    return [(tensor.name, tensor.shape, tensor.elements) for tensor in header.tensors]


class _Values:
    """Typed answers out of `adapter_config.json`; a wrong type is a fault."""

    def __init__(self, reading: Reading, values: Mapping[str, Any]) -> None:
        self._reading, self._values = reading, values

    def text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is None or (isinstance(value, str) and len(value) <= _MAX_TEXT and is_clean_text(value)):
            return value
        self._reading.fault(_CONFIG, f"{key} must be a text of at most {_MAX_TEXT} characters")
        return None

    def count(self, key: str) -> int | None:
        value = self._values.get(key)
        if value is None or _is_count(value):
            return value
        self._reading.fault(_CONFIG, f"{key} must be a whole number of at least 1")
        return None

    def number(self, key: str) -> float | None:
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_COUNT:
            self._reading.fault(_CONFIG, f"{key} must be a number")
            return None
        return float(value)

    def modules(self, key: str) -> tuple[tuple[str, ...], str | None]:
        """The names of a list, or the pattern that stands in its place."""
        value = self._values.get(key)
        if value is None:
            return (), None
        if isinstance(value, str):
            return (), self.text(key)
        if not isinstance(value, list) or len(value) > _MAX_MODULES or not all(_is_name(item) for item in value):
            self._reading.fault(_CONFIG, f"{key} must be a list of at most {_MAX_MODULES} names, or a pattern")
            return (), None
        return tuple(value), None


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_COUNT


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and is_clean_text(value)


def _check_ranks(reading: Reading, adapter: AdapterConfig) -> None:
    """Tells the first tensor whose rank is not that of the config, where one rank holds for all of them."""
    if adapter.rank is None or adapter.rank_pattern or adapter.peft_type != "LORA":
        return
    for name, shape in adapter.tensors.items():
        match = _LORA.match(name)
        if match is not None and match[2] == "A" and len(shape) == 2 and not _OTHER.search(name):
            if shape[0] != adapter.rank:
                reading.fault(_CONFIG, f"r is {adapter.rank}, but {name} has the rank {shape[0]}")
            return


def fits(
    adapter: AdapterConfig, linear_layers: Sequence[Mapping[str, Any]], hidden_size: int | None = None
) -> Misfit | None:
    """None if the adapter can be put on a base with these `linear_layers` (as in its spec), else the first misfit.

    Names are compared without the containers that depend on the class that the base was saved from (`model.`,
    `transformer.`). What cannot be judged fits: embeddings and experts in one tensor are no linear layers, and a
    pattern of modules is not run, because it is somebody else's regular expression.
    """
    base = {plain_name(layer["name"]): layer for layer in linear_layers}
    if not base or any(name.startswith("blk.") for name in base):  # GGUF has names of its own
        return None
    for name, shape in adapter.tensors.items():
        misfit = _tensor_misfit(name, shape, base, adapter)
        if misfit is not None:
            return misfit
    if adapter.num_virtual_tokens is not None and hidden_size is not None:
        misfit = _prompt_misfit(adapter, hidden_size)
        if misfit is not None:
            return misfit
    return None if adapter.tensors else _target_misfit(adapter, base)


def plain_name(name: str) -> str:
    """A module's name without the containers before its first step that is not one."""
    steps = name.removeprefix(_WRAPPED).split(".")
    while len(steps) > 1 and steps[0] in _CONTAINERS:
        steps = steps[1:]
    return ".".join(steps)


def _tensor_misfit(
    name: str, shape: tuple[int, ...], base: Mapping[str, Mapping[str, Any]], adapter: AdapterConfig
) -> Misfit | None:
    match = _LORA.match(name)
    if match is None or len(shape) > 2:
        return None
    module, part = plain_name(match[1]), match[2]
    layer = base.get(module)
    if layer is None:
        if _OTHER.search(module):
            return None
        return Misfit(module, f"the base has no linear layer {module}, which {name} adapts", name, None, shape)
    inputs, outputs = layer["in_features"], layer["out_features"]
    expected: tuple[int, ...]
    if part == "A":
        expected = (shape[0] if shape else adapter.rank or 0, inputs)
    elif part == "B":
        twin = adapter.tensors.get(name.replace(".lora_B", ".lora_A"))
        expected = (outputs, twin[0] if twin else shape[-1] if shape else 0)
    else:
        expected = (outputs,)
        shape = tuple(size for size in shape if size != 1) or shape
    if shape == expected:
        return None
    wide = f"{layer['name']} of the base has {inputs} inputs and {outputs} outputs"
    return Misfit(module, f"{name} is {list(shape)} and must be {list(expected)}: {wide}", name, expected, shape)


def _prompt_misfit(adapter: AdapterConfig, hidden_size: int) -> Misfit | None:
    shape = adapter.tensors.get("prompt_embeddings")
    if shape is None or len(shape) != 2 or adapter.peft_type not in {"PROMPT_TUNING", "P_TUNING"}:
        return None
    expected = (shape[0], hidden_size)
    if shape == expected:
        return None
    message = f"prompt_embeddings is {list(shape)} and must be {list(expected)}: the base is {hidden_size} wide"
    return Misfit("prompt_embeddings", message, "prompt_embeddings", expected, shape)


def _target_misfit(adapter: AdapterConfig, base: Mapping[str, Mapping[str, Any]]) -> Misfit | None:
    """Without tensors, the names alone: PEFT asks that at least one module of the base is named."""
    ends = {name.rpartition(".")[2] for name in base}
    for target in adapter.target_modules:
        plain = plain_name(target)
        if _OTHER.search(target) or plain in ends or plain in base or any(name.endswith(f".{plain}") for name in base):
            return None
    if not adapter.target_modules:
        return None
    first = adapter.target_modules[0]
    return Misfit(first, f"the base has no linear layer named {first}, nor any other of target_modules")
