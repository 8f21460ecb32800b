"""What the tokenizer's and the generation files tell: the chat template, and how the model wants to be sampled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.inspect.reading import Reading, is_clean_text

MAX_TOKENIZER_CONFIG = 16 << 20
MAX_TEMPLATE = 512 << 10
"""Bytes of a chat template that are kept; the longest known ones have 40 KiB."""
_MAX_GENERATION = 1 << 20

_JINJA = "chat_template.jinja"
_TEMPLATE_JSON = "chat_template.json"
_TOKENIZER = "tokenizer_config.json"
_GENERATION = "generation_config.json"
_TOKENIZER_FILES = {_TOKENIZER, "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"}
_SAMPLING = (
    *("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "num_beams"),
    *("max_length", "max_new_tokens", "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
)
_TOOLS = re.compile(r"\btools\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The chat template, where it was read, and whether it mentions tools. `has_tokenizer`: such files are here."""

    template: str | None = None
    source: str | None = None
    takes_tools: bool = False
    has_tokenizer: bool = False
    generation: Mapping[str, int | float | bool | tuple[int, ...]] = field(default_factory=dict)
    """What `generation_config.json` says of sampling and of the ending tokens."""


def read_chat(reading: Reading) -> Chat:
    """The chat template, in the order in which transformers looks for it, and the sampling that the model asks for."""
    found = _jinja(reading) or _in_json(reading, _TEMPLATE_JSON, _MAX_GENERATION)
    found = found or _in_json(reading, _TOKENIZER, MAX_TOKENIZER_CONFIG)
    template, source = found if found is not None else (None, None)
    return Chat(
        template=template,
        source=source,
        takes_tools=mentions_tools(template),
        has_tokenizer=any(path in reading.sizes for path in _TOKENIZER_FILES),
        generation=_generation(reading),
    )


def mentions_tools(template: str | None) -> bool:
    """Whether a template has the name `tools` in it, under which it is given them."""
    return template is not None and _TOOLS.search(template) is not None


def clean_template(reading: Reading, path: str, text: str) -> str | None:
    """A template that can be kept, or None and a fault."""
    if len(text) > MAX_TEMPLATE or not is_clean_text(text):
        reading.fault(path, f"has a chat template that is longer than {MAX_TEMPLATE} characters or is not clean text")
        return None
    return text


def _jinja(reading: Reading) -> tuple[str, str] | None:
    text = reading.text(_JINJA, MAX_TEMPLATE)
    template = clean_template(reading, _JINJA, text) if text else None
    return (template, _JINJA) if template is not None else None


def _in_json(reading: Reading, path: str, limit: int) -> tuple[str, str] | None:
    values = reading.json_object(path, limit)
    value = values.get("chat_template") if values is not None else None
    if value is None:
        return None
    name = "chat_template"
    if isinstance(value, list):
        named = {
            item["name"]: item.get("template")
            for item in value
            if isinstance(item, dict) and isinstance(item.get("name"), str)
        }
        value, name = named.get("default"), "chat_template (default)"
        if value is None:
            return None
    if not isinstance(value, str):
        reading.fault(path, "chat_template must be a text, or a list of named ones")
        return None
    template = clean_template(reading, path, value)
    return (template, f"{path}: {name}") if template else None


def _generation(reading: Reading) -> dict[str, int | float | bool | tuple[int, ...]]:
    values = reading.json_object(_GENERATION, _MAX_GENERATION) or {}
    return {key: value for key in _SAMPLING if (value := _scalar(values.get(key))) is not None}


def _scalar(value: Any) -> int | float | bool | tuple[int, ...] | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # NaN is the one number that is not itself; beyond 2^53 other readers round.
        return value if value == value and abs(value) <= 2**53 else None  # noqa: PLR0124
    if (
        isinstance(value, list)
        and len(value) <= 1000
        and all(type(item) is int and abs(item) <= 2**53 for item in value)
    ):
        return tuple(value)
    return None
