"""What a request says: its JSON body, its conditions, who sends it, and the server's context."""

from typing import Any, cast

from starlette.requests import Request

from steelyard.actions.context import Caller, Context
from steelyard.errors import TooLarge, UnsupportedMediaType
from steelyard.records.conditions import Conditions, parse_conditions
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


def conditions_of(request: Request) -> Conditions:
    """The request's `If-Match` and `If-None-Match`. Raises InvalidParameters."""
    headers = request.headers
    return parse_conditions(headers.get("if-match"), headers.get("if-none-match"))


async def json_body(request: Request) -> Any:
    """The body as strict JSON. Raises UnsupportedMediaType, TooLarge, BrokenJson."""
    limits = cast("LimitSettings", request.app.state.settings.limits)
    headers = request.headers
    _check_media_type(headers.get("content-type", ""))
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("bodies are taken uncompressed; leave out Content-Encoding")
    body = await _read(request, limits.record_body_bytes)
    return decode(body, max_depth=limits.json_depth)


def _check_media_type(header: str) -> None:
    kind, _, parameters = header.partition(";")
    kind = kind.strip().lower()
    json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not json or kind in _OTHER_DIALECTS:
        raise UnsupportedMediaType(
            f"the body must be application/json, not {kind[:100]!r}" if kind else "the body needs Content-Type: application/json"
        )
    charset = parameters.lower().partition("charset=")[2].strip(' ";')
    if charset not in {"", "utf-8", "utf8"}:
        raise UnsupportedMediaType("JSON is UTF-8; leave out the charset")


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes (setting limits.record_body_bytes)", limit=limit)
