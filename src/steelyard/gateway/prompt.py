"""Applies the prompt of a model's record to a request: what is said first in the dialect of the client, before anything
is translated, and the parameters in that of the upstream, after it. What asks for no text has no prompt.

The record's system prompt comes first, the caller's own after it. A template may hold two placeholders,
`{{ system_prompt }}` and `{{ icl_few_shot_examples }}`, which are replaced by the texts of these names; nothing else in
it means anything. What no placeholder takes is put before it (the system prompt) or behind it (the examples).
"""

import re
from collections.abc import Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{\s*(system_prompt|icl_few_shot_examples)\s*\}\}")
_PROMPTED = frozenset({"openai.chat", "openai.responses", "anthropic.messages", "openai.completions"})
# One thing under several names: whoever says one of them has said it.
_BOUND = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_ENDS = frozenset({"stop", "stop_sequences"})
# How the dialects of upstreams call what the record calls by OpenAI's names.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "anthropic.messages": {"max_completion_tokens": "max_tokens", "stop": "stop_sequences"},
    "openai.completions": {"max_completion_tokens": "max_tokens"},
}
# What a request asks, of whom and how, is its own; the rest are parameters.
_NO_PARAMETERS = frozenset({"model", "messages", "input", "prompt", "stream", "stream_options"})
_SYSTEM_ROLES = frozenset({"system", "developer"})


class Prompt:
    """A prompt, made ready once for many requests."""

    __slots__ = ("_overrides", "_parameters", "_system")

    def __init__(self, prompt: Mapping[str, Any]) -> None:
        self._system = system_text(prompt)
        given = prompt.get("inference_params") or {}
        self._parameters = {
            key: value for key, value in given.items() if value is not None and key not in _NO_PARAMETERS
        }
        self._overrides = prompt.get("inference_params_as") == "overrides"

    @property
    def does_anything(self) -> bool:
        """Whether it changes a request."""
        return bool(self._system or self._parameters)

    def introduce(self, body: dict[str, Any], dialect: str) -> dict[str, Any]:
        """The request of a client with what is said before its messages; `body` itself stays as it is."""
        if not self._system or dialect not in _PROMPTED:
            return body
        applied = dict(body)
        _add_system(applied, self._system, dialect)
        return applied

    def tune(self, body: dict[str, Any], said: Mapping[str, Any], dialect: str) -> dict[str, Any]:
        """A request in the dialect of its upstream with the parameters; `said` is what the client has said itself.

        (They are OpenAI's and the engine's own, so that a client's dialect might not know them.)
        """
        if not self._parameters or dialect not in _PROMPTED:
            return body
        applied, names = dict(body), _NAMES.get(dialect, {})
        for key, value in self._parameters.items():
            same = _BOUND if key in _BOUND else _ENDS if key in _ENDS else (key,)
            if not self._overrides and any(said.get(name) is not None for name in same):
                continue
            for name in same:
                applied.pop(name, None)
            applied[names.get(key, key)] = value
        return applied


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
        own = body.get("prompt")
        if isinstance(own, str):
            body["prompt"] = f"{text}\n\n{own}"
        elif isinstance(own, list) and all(isinstance(one, str) for one in own):
            body["prompt"] = [f"{text}\n\n{one}" for one in own]
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
