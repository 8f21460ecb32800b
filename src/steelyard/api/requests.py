"""What a request says: its JSON body, its conditions, who sends it, and the server's context."""

from typing import Any, cast

from starlette.requests import ClientDisconnect, Request

from steelyard.actions.context import Caller, Context
from steelyard.errors import TooLarge, UnsupportedMediaType
from steelyard.records.conditions import NONE, Conditions, parse_conditions
from steelyard.records.strict_json import decode
from steelyard.settings import LimitSettings

# These say more than "JSON": what they mean for a change is defined elsewhere, and not the same.
_OTHER_DIALECTS = frozenset({"application/merge-patch+json", "application/json-patch+json"})


def context_of(request: Request) -> Context:
    """The server's context."""
    return cast("Context", request.app.state.context)


def caller_of(request: Request) -> Caller:
    """Who is asking. Without authentication nobody has a name, and no header gives one."""
    return Caller(request_id=request.scope.get("steelyard.request_id", ""))


def header(request: Request, name: bytes) -> bytes | None:
    """The value of the header `name` (lower case), or None. Several are joined by commas (RFC 9110, 5.3)."""
    values = [value for key, value in request.scope["headers"] if key == name]
    return b", ".join(values) if values else None


def conditions_of(request: Request) -> Conditions:
    """The request's `If-Match` and `If-None-Match`. Raises InvalidParameters."""
    match, none_match = header(request, b"if-match"), header(request, b"if-none-match")
    if match is None and none_match is None:
        return NONE
    return parse_conditions(_text(match), _text(none_match))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def json_body(request: Request) -> Any:
    """The body as strict JSON. Raises UnsupportedMediaType, TooLarge, BrokenJson."""
    limits = cast("LimitSettings", request.app.state.settings.limits)
    kind = header(request, b"content-type") or b""
    if kind != b"application/json":
        _check_media_type(kind.decode("latin-1"))
    if header(request, b"content-encoding") not in {None, b"identity"}:
        raise UnsupportedMediaType("bodies are taken uncompressed; leave out Content-Encoding")
    body = await _read(request, limits.record_body_bytes)
    return decode(body, max_depth=limits.json_depth)


def _check_media_type(value: str) -> None:
    kind, _, parameters = value.partition(";")
    kind = kind.strip().lower()
    json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not json or kind in _OTHER_DIALECTS:
        raise UnsupportedMediaType(
            f"the body must be application/json, not {kind[:100]!r}"
            if kind
            else "the body needs Content-Type: application/json"
        )
    charset = parameters.lower().partition("charset=")[2].strip(' ";')
    if charset not in {"", "utf-8", "utf8"}:
        raise UnsupportedMediaType("JSON is UTF-8; leave out the charset")


async def _read(request: Request, limit: int) -> bytes:
    declared = header(request, b"content-length") or b""
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = b""
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return body


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes (setting limits.record_body_bytes)", limit=limit)
