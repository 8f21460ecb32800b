"""`config.json`: typed answers out of somebody else's JSON, each with where it was found."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from steelyard.inspect.defaults import DEFAULTS
from steelyard.inspect.reading import Reading, is_clean_text

FILE = "config.json"
MAX_CONFIG = 1 << 20
MAX_COUNT = 2**53
"""Counts beyond this are not sizes of models, and other readers of JSON would round them."""

_TEXT_PARTS = ("text_config", "llm_config", "language_config")
# Families whose older configs keep the text part at the top level, beside `vision_config`.
_FLAT_TEXT = {"qwen2_vl": "qwen2_vl_text", "qwen2_5_vl": "qwen2_5_vl_text"}
_MAX_TEXT = 255


class Found(NamedTuple):
    """A value and where it was read."""

    value: Any
    source: str


class Count(NamedTuple):
    """A whole number of at least 0, and where it was read."""

    value: int
    source: str


class Config:
    """One object of a config. A key that it leaves out has its family's default; a wrong type is a fault."""

    def __init__(self, reading: Reading, values: Mapping[str, Any], family: str | None, prefix: str = "") -> None:
        """`prefix` names the place of `values` in the file, for sources and faults: `text_config.`."""
        self._reading = reading
        self.values = values
        self.family = family
        self.prefix = prefix
        self._defaults = DEFAULTS.get(family or "", {})

    @property
    def known(self) -> bool:
        """Whether the family's defaults are known."""
        return bool(self._defaults)

    def find(self, *keys: str) -> Found | None:
        """The first of `keys` that is there and not null, else the first that has a default."""
        for key in keys:
            if self.values.get(key) is not None:
                return Found(self.values[key], f"{FILE}: {self.prefix}{key}")
        if any(key in self.values for key in keys):
            return None
        for key in keys:
            if key in self._defaults:
                return Found(self._defaults[key], f"the default of {self.family} for {self.prefix}{key}")
        return None

    def count(self, *keys: str) -> Count | None:
        """A whole number of at least 0 under one of `keys`; anything else there is a fault."""
        found = self.find(*keys)
        if found is None:
            return None
        value = found.value
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not 0 <= value <= MAX_COUNT:
            self.fault(found.source, "must be a whole number of at least 0")
            return None
        return Count(value, found.source)

    def size(self, *keys: str) -> Count | None:
        """A whole number of at least 1; 0 is a fault."""
        found = self.count(*keys)
        if found is not None and found.value == 0:
            self.fault(found.source, "must be at least 1")
            return None
        return found

    def flag(self, *keys: str) -> bool | None:
        """True or false under one of `keys`; anything else there is a fault."""
        found = self.find(*keys)
        if found is None:
            return None
        if not isinstance(found.value, bool):
            self.fault(found.source, "must be true or false")
            return None
        return found.value

    def text(self, *keys: str) -> Found | None:
        """A short string under one of `keys`; anything else there is a fault."""
        found = self.find(*keys)
        if found is None:
            return None
        if not isinstance(found.value, str) or len(found.value) > _MAX_TEXT or not is_clean_text(found.value):
            self.fault(found.source, f"must be a text of at most {_MAX_TEXT} characters")
            return None
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """The strings of a list; whatever else is in it is left out."""
        value = self.values.get(key)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def numbers(self, key: str) -> tuple[int, ...] | None:
        """A list of whole numbers, or None."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            return None
        return tuple(value)

    def part(self, key: str) -> Mapping[str, Any] | None:
        """An object within the config, or None."""
        value = self.values.get(key)
        return value if isinstance(value, dict) else None

    def fault(self, source: str, message: str) -> None:
        """Writes down that the value found at `source` is wrong."""
        self._reading.fault(FILE, f"{source.removeprefix(f'{FILE}: ')} {message}")


class ModelConfig(NamedTuple):
    """The config of a model: of the whole, and of its text part (the same object where it has no parts)."""

    whole: Config
    text: Config

    @property
    def architecture(self) -> str | None:
        """The class that the checkpoint was saved from, as `LlamaForCausalLM`."""
        named = self.whole.texts("architectures")
        return named[0] if named else None


def read_config(reading: Reading) -> ModelConfig | None:
    """The model's config, or None if there is none that can be read."""
    values = reading.json_object(FILE, MAX_CONFIG)
    if values is None:
        return None
    family = _family(values)
    whole = Config(reading, values, family)
    for key in _TEXT_PARTS:
        part = values.get(key)
        if isinstance(part, dict):
            default = DEFAULTS.get(family or "", {}).get("text_config")
            inner = _family(part) or (str(default) if default is not None else None)
            return ModelConfig(whole, Config(reading, part, inner, f"{key}."))
    if family in _FLAT_TEXT:
        return ModelConfig(whole, Config(reading, values, _FLAT_TEXT[family]))
    default = DEFAULTS.get(family or "", {}).get("text_config")
    if default is not None:
        return ModelConfig(whole, Config(reading, {}, str(default), "text_config."))
    return ModelConfig(whole, whole)


def no_config(reading: Reading) -> ModelConfig:
    """A config that says nothing, for weights that come without one."""
    empty = Config(reading, {}, None)
    return ModelConfig(empty, empty)


def _family(values: Mapping[str, Any]) -> str | None:
    family = values.get("model_type")
    return family if isinstance(family, str) and family and len(family) <= _MAX_TEXT and is_clean_text(family) else None
