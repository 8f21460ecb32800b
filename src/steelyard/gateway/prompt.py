"""Applies the prompt of a model's record to a request, in the dialect of its client, before anything is translated.

The record's system prompt comes first, the caller's own after it. A template may hold two placeholders,
`{{ system_prompt }}` and `{{ icl_few_shot_examples }}`, which are replaced by the texts of these names; nothing else in
it means anything. What no placeholder takes is put before it (the system prompt) or behind it (the examples).
"""

import re
from collections.abc import Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{\s*(system_prompt|icl_few_shot_examples)\s*\}\}")
# How each dialect calls what the record calls by OpenAI's names; None: it has no such thing, and refuses the request.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "anthropic.messages": {"max_completion_tokens": "max_tokens", "stop": "stop_sequences"},
    "openai.responses": {"max_completion_tokens": "max_output_tokens", "max_tokens": "max_output_tokens"},
}
_SAME = ({"max_tokens", "max_completion_tokens"},)
_SYSTEM_ROLES = frozenset({"system", "developer"})


class Prompt:
    """A prompt, made ready once for many requests."""

    __slots__ = ("_overrides", "_parameters", "_system")

    def __init__(self, prompt: Mapping[str, Any]) -> None:
        self._system = system_text(prompt)
        given = prompt.get("inference_params") or {}
        # `model` would be another model than the one whose prompt this is.
        self._parameters = {key: value for key, value in given.items() if value is not None and key != "model"}
        self._overrides = prompt.get("inference_params_as") == "overrides"

    @property
    def does_anything(self) -> bool:
        """Whether it changes a request."""
        return bool(self._system or self._parameters)

    def apply(self, body: dict[str, Any], dialect: str) -> dict[str, Any]:
        """`body` with the prompt; `body` itself stays as it is."""
        applied = dict(body)
        if self._parameters:
            self._set_parameters(applied, dialect)
        if self._system:
            _add_system(applied, self._system, dialect)
        return applied

    def _set_parameters(self, body: dict[str, Any], dialect: str) -> None:
        names = _NAMES.get(dialect, {})
        for key, value in self._parameters.items():
            name = names.get(key, key)
            others = {other for group in _SAME if name in group for other in group} | {name}
            present = others & body.keys()
            if not self._overrides and any(body[other] is not None for other in present):
                continue
            for other in present:
                del body[other]
            body[name] = value


def prompt_of(prompt: Mapping[str, Any] | None) -> Prompt | None:
    """The prompt of a record, if it has one that does anything."""
    if not prompt:
        return None
    made = Prompt(prompt)
    return made if made.does_anything else None


def system_text(prompt: Mapping[str, Any]) -> str:
    """What is said before the caller's messages."""
    parts = {name: prompt.get(name) or "" for name in ("system_prompt", "icl_few_shot_examples")}
    template = prompt.get("system_prompt_template") or ""
    used = set(_PLACEHOLDER.findall(template))
    filled = _PLACEHOLDER.sub(lambda found: parts[found[1]], template)
    before = "" if "system_prompt" in used else parts["system_prompt"]
    after = "" if "icl_few_shot_examples" in used else parts["icl_few_shot_examples"]
    return "\n\n".join(part for part in (before, filled, after) if part)


def _add_system(body: dict[str, Any], text: str, dialect: str) -> None:
    if dialect == "anthropic.messages":
        body["system"] = _joined(text, body.get("system"))
    elif dialect == "openai.responses":
        body["instructions"] = _joined(text, body.get("instructions"))
    elif dialect == "openai.completions":
        if isinstance(body.get("prompt"), str):
            body["prompt"] = f"{text}\n\n{body['prompt']}"
    elif isinstance(body.get("messages"), list):
        messages = body["messages"]
        first = messages[0] if messages else None
        # One system message, for many models' templates take no second one.
        if isinstance(first, dict) and first.get("role") in _SYSTEM_ROLES:
            merged = {**first, "content": _joined(text, first.get("content"))}
            body["messages"] = [merged, *messages[1:]]
        else:
            body["messages"] = [{"role": "system", "content": text}, *messages]


def _joined(text: str, own: Any) -> Any:
    if isinstance(own, str) and own:
        return f"{text}\n\n{own}"
    if isinstance(own, list):
        return [{"type": "text", "text": text}, *own]
    return text
