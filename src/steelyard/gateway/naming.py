"""Puts the name by which a client knows a model into an answer, where the upstream has put its own; all else stays.

The name is found in the text, and what came of the change is read once more: it must say what the answer said before,
but for the name. So a text that a model has written cannot be mistaken for it.
"""

import re
from typing import Any

import orjson

# What stands before the name of a field tells it from the end of a text: there, a quotation mark would be escaped.
_MODEL = re.compile(rb'(?<=[{,\s])"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_HOLDERS = (None, "message", "response")
"""Where answers and events name the model: at the top, in the message that begins, in the response."""


def rename_event(block: bytes, name: str) -> tuple[bytes, tuple[bytes, bytes] | None]:
    """An event with the model called `name`; and how it begins, before and after, up to the name, if it has one.

    An event that begins in the same way can be renamed by its beginning alone.
    """
    start = 0
    for line in block.splitlines(keepends=True):
        if line.startswith(b"data:"):
            found = _renamed(line[5:].rstrip(b"\r\n"), name)
            if found is not None:
                before = block[: start + 5]
                begins, renamed = before + found[0], before + found[1]
                return renamed + block[len(begins) :], (begins, renamed)
        start += len(line)
    return block, None


def rename_answer(body: bytes, parsed: dict[str, Any], name: str) -> bytes:
    """A whole answer with the model called `name`; `parsed` is what it says, and is not changed."""
    holder = _holder(parsed)
    if holder is None or holder["model"] == name:
        return body
    # The beginning of most answers: the only name in them, before anything is nested.
    at = body.find(b'"model":"') + 8
    if at > 8 and body.count(b'"model"') == 1 and body[at - 9] in b"{, " and _is_flat(body[: at - 8]):
        end = body.find(b'"', at + 1)
        if body.find(b"\\", at, end) < 0:
            return b"%b%b%b" % (body[:at], orjson.dumps(name), body[end + 1 :])
    first = _MODEL.search(body)
    if first and body.count(b'"model"') == 1 and _is_flat(body[: first.start()]):
        return b"%b%b%b" % (body[: first.start(1)], orjson.dumps(name), body[first.end(1) :])
    found = _renamed(body, name)
    return body if found is None else found[1] + body[len(found[0]) :]


def _is_flat(begins: bytes) -> bool:
    return begins.count(b"{") == 1 and b"[" not in begins


def _renamed(data: bytes, name: str) -> tuple[bytes, bytes] | None:
    """How JSON begins up to the model's name, before and after it is changed; None if it names no model."""
    said = _read(data)
    holder = _holder(said) if isinstance(said, dict) else None
    if holder is None:
        return None
    holder["model"] = name
    for match in _MODEL.finditer(data):
        begins = data[: match.start(1)] + orjson.dumps(name)
        if _read(begins + data[match.end(1) :]) == said:
            return data[: match.end(1)], begins
    return data, orjson.dumps(said)  # the field is written in a way of its own


def _holder(said: dict[str, Any]) -> dict[str, Any] | None:
    for key in _HOLDERS:
        holder = said if key is None else said.get(key)
        if isinstance(holder, dict) and isinstance(holder.get("model"), str):
            return holder
    return None


def _read(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
