"""Errors in the shape that a client of each dialect expects, and the message in an upstream's error of any shape."""

import re
from typing import Any

import orjson

from steelyard.errors import UpstreamStreamError
from steelyard.gateway.dialects.form import MESSAGES, RESPONSES, Json

_LONGEST = 2000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]")

# https://platform.claude.com/docs/en/api/errors
_ANTHROPIC = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_STATUS_OF = {
    **{type: status for status, type in _ANTHROPIC.items() if status != 503},
    "invalid_request_error": 400,
    "api_error": 500,
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
}


def type_of(client: str, status: int) -> str:
    """What the client's dialect calls an error of this status."""
    if client == MESSAGES:
        return _ANTHROPIC.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    return _OPENAI.get(status) or ("server_error" if status >= 500 else "invalid_request_error")


def status_of(type: object, otherwise: int = 502) -> int:
    """The status that an error stands for which has only a type or a code, as errors in streams have."""
    if isinstance(type, int) and not isinstance(type, bool) and 400 <= type <= 599:
        return type
    if isinstance(type, str):
        if type.isdigit() and 400 <= int(type) <= 599:
            return int(type)
        return _STATUS_OF.get(type, otherwise)
    return otherwise


def error_body(client: str, status: int, message: str, code: str, *, param: str | None = None) -> Json:
    """The body of an error answer; `detail` and `code` stand beside the dialect's own fields, as in all our errors."""
    if client == MESSAGES:
        error: Json = {"type": type_of(client, status), "message": message}
        return {"type": "error", "error": error, "detail": message, "code": code}
    error = {"message": message, "type": type_of(client, status), "param": param, "code": code}
    return {"error": error, "detail": message, "code": code}


def stream_error(client: str, status: int, message: str, code: str, *, sequence: int = 0) -> bytes:
    """The event that ends a stream which has begun; `sequence` is its number in a stream of responses."""
    body = error_body(client, status, message, code)
    if client == MESSAGES:
        return b"event: error\ndata: " + orjson.dumps(body) + b"\n\n"
    if client == RESPONSES:
        # Flat, as the API documents it; the official client raises only where an `error` object is there too.
        event = {"type": "error", **body, "message": message, "param": None, "sequence_number": sequence}
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
    return b"data: " + orjson.dumps(body) + b"\n\n"


def read_error(upstream: str, status: int, body: bytes) -> str:
    """What an upstream's error says to a person, whatever its shape; without control characters, and not too long."""
    del upstream  # One reading for all: servers answer in the shapes of others.
    try:
        found = _message(orjson.loads(body)) if body else ""
    except orjson.JSONDecodeError:
        text = body[: 4 * _LONGEST].decode("utf-8", "replace").strip()
        # A page of a proxy says nothing that its status does not.
        found = "" if text[:1] == "<" else text
    return clean(found) or f"the upstream answered with status {status}"


def clean(text: str) -> str:
    """A message of a stranger, fit to be passed on."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def message_in(error: Any) -> str:
    """The message in an error's JSON, cleaned; empty where it has none."""
    return clean(_message(error))


def error_in(error: Any) -> UpstreamStreamError:
    """The error that an upstream tells of in its stream, in the shape of any dialect."""
    fields = error if isinstance(error, dict) else {}
    type = fields.get("type")
    code = fields.get("code")
    status = status_of(code, 0) or status_of(type)
    said = message_in(error) or "the upstream ended its stream with an error"
    return UpstreamStreamError(status, type if isinstance(type, str) else "error", said)


def _message(value: Any, depth: int = 4) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        # FastAPI's list of faults.
        return "; ".join(filter(None, (_fault(item, depth) for item in value[:8]))) if depth else ""
    if not isinstance(value, dict) or not depth:
        return ""
    for name in ("error", "message", "detail", "error_description", "msg", "title", "errors"):
        if found := _message(value.get(name), depth - 1):
            return found
    return ""


def _fault(item: Any, depth: int) -> str:
    said = _message(item, depth - 1)
    place = item.get("loc") if isinstance(item, dict) else None
    return f"{'.'.join(map(str, place))}: {said}" if said and isinstance(place, list) else said
