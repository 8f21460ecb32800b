"""A model's spec of two sources: what was read in its files, and what a user wrote, which wins field by field."""

from collections.abc import Iterable, Mapping
from typing import Any

from steelyard.records.spec import ModelSpec

Spec = dict[str, Any]

_FIELDS = tuple(ModelSpec.model_fields)
_REQUIRED = tuple(name for name, field in ModelSpec.model_fields.items() if field.is_required())
# What a spec says when nobody said it: such a value is no statement of a user's.
_UNSAID: Mapping[str, Any] = {"is_embedding_model": False}


def complete(spec: Mapping[str, Any]) -> bool:
    """Whether a spec has every field that a spec must have."""
    return all(spec.get(name) is not None for name in _REQUIRED)


def said_by_hand(spec: Mapping[str, Any], read: Mapping[str, Any] | None) -> list[str]:
    """The fields of a spec that a user sent in which it says something else than what was read (None: nothing was)."""
    return [
        name
        for name in _FIELDS
        if spec.get(name) is not None
        and spec[name] != (read or {}).get(name)
        and not (name in _UNSAID and spec[name] == _UNSAID[name])
    ]


def overlaid(read: Mapping[str, Any] | None, spec: Mapping[str, Any] | None, by_hand: Iterable[str]) -> Spec | None:
    """What was read, with the fields `by_hand` of `spec`; None if that lacks a field which a spec must have."""
    hand = {name: (spec or {}).get(name) for name in by_hand}
    merged = {name: hand.get(name, (read or {}).get(name)) for name in _FIELDS}
    if merged["is_embedding_model"] is None:
        merged["is_embedding_model"] = False
    return merged if complete(merged) else None


def with_tool_calling(read: Mapping[str, Any], tool_calling: Mapping[str, Any] | None, *, plugins: bool) -> Spec:
    """What was read, with what the fileset's metadata says about tool calls; a plugin only where policy allows it."""
    spec = dict(read)
    if not tool_calling:
        return spec
    if tool_calling.get("chat_template") is not None:
        spec["chat_template"] = tool_calling["chat_template"]
    names = ("tool_call_parser", "tool_call_plugin", "auto_tool_choice")
    config = {name: tool_calling.get(name) for name in names}
    if not plugins:
        config["tool_call_plugin"] = None
    if any(value is not None for value in config.values()):
        spec["tool_call_config"] = config
    return spec
