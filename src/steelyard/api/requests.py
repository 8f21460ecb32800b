"""What a request says: its JSON body, its conditions, who sends it, and the server's context."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from steelyard.actions.context import Caller, Context
from steelyard.actions.discovery import Discovery
from steelyard.actions.guard import guarded
from steelyard.actions.sign_in import SignIn
from steelyard.api.metrics import Metrics
from steelyard.auth.directory import Identity
from steelyard.errors import InvalidParameters, SteelyardError, TooLarge, Unauthorized, UnsupportedMediaType
from steelyard.records.audit import By
from steelyard.records.conditions import NONE, Conditions, parse_conditions
from steelyard.records.patch import Said
from steelyard.records.strict_json import decode
from steelyard.scope import HEADERS, IDENTITY, REQUEST_ID, RULE, SERVER
from steelyard.settings import LimitSettings

# Media types that say more than "JSON": what a change in them means.
_DIALECTS: Mapping[bytes, Literal["merge", "json_patch"]] = {
    b"application/merge-patch+json": "merge",
    b"application/json-patch+json": "json_patch",
}
_JSON = b"application/json"
_UNCOMPRESSED = frozenset({None, b"identity"})
_REASON_LENGTH = 1000


class Server(NamedTuple):
    """What is the same for all requests."""

    context: Context
    limits: LimitSettings
    metrics: Metrics
    stopping: "Stopping"
    discovery: Discovery
    sign_in: SignIn = SignIn()
    again: Callable[[Scope], Awaitable[Identity | None]] | None = None
    """Who sends a request, by what is so now; None where nobody is asked."""


class Stopping:
    """Whether the server has been asked to stop: answers without an end look here."""

    asked = False


def context_of(request: Request) -> Context:
    """The server's context, in which the caller reads only what is there for them."""
    context: Context = request.scope[SERVER].context
    identity: Identity | None = request.scope.get(IDENTITY)
    return context if identity is None else guarded(context, identity.access)


async def context_again(request: Request) -> Context | None:
    """The context in which the caller reads by what is so now; None for somebody who is not known any more."""
    server = server_of(request)
    if server.again is None:
        return server.context
    try:
        identity = await server.again(request.scope)
    except SteelyardError:
        return None
    return None if identity is None else guarded(server.context, identity.access)


def identity_of(request: Request) -> Identity:
    """Who is asking. Raises Unauthorized where nobody has said so, also on a server that asks nobody."""
    identity: Identity | None = request.scope.get(IDENTITY)
    if identity is None:
        raise Unauthorized("this is for somebody who has said who they are; the setting auth.enabled asks for that")
    return identity


def limits_of(request: Request) -> LimitSettings:
    """How large and how deep bodies may be."""
    limits: LimitSettings = request.scope[SERVER].limits
    return limits


def server_of(request: Request) -> Server:
    """What is the same for all requests."""
    server: Server = request.scope[SERVER]
    return server


def header(request: Request, name: bytes) -> bytes | None:
    """The value of the header `name` (lower case), or None."""
    value: bytes | None = request.scope[HEADERS].get(name)
    return value


def caller_of(request: Request) -> Caller:
    """Who is asking, and why. Without authentication nobody has a name; no header of the caller's gives one.

    Raises InvalidParameters for a reason that is too long.
    """
    reason = _text(header(request, b"x-steelyard-reason"))
    if reason is None and b"reason=" in request.scope["query_string"]:
        reason = request.query_params.get("reason")
    if reason is not None and len(reason) > _REASON_LENGTH:
        message = f"must have at most {_REASON_LENGTH} characters"
        raise InvalidParameters.of(("header", "X-Steelyard-Reason"), "string_too_long", message)
    identity: Identity | None = request.scope.get(IDENTITY)
    request_id = request.scope.get(REQUEST_ID, "")
    if identity is None:
        return Caller(None, request_id, reason or None)
    principal, client = identity.principal, request.scope.get("client")
    access, asked = identity.access, request.scope.get(RULE)
    rule = access.rule(*asked) if asked is not None else None
    by = By(identity.key_id, principal.issuer, client[0] if client else None, rule)
    return Caller(principal.subject, request_id, reason or None, access, by)


def conditions_of(request: Request) -> Conditions:
    """The request's `If-Match` and `If-None-Match`. Raises InvalidParameters."""
    match, none_match = header(request, b"if-match"), header(request, b"if-none-match")
    if match is None and none_match is None:
        return NONE
    return parse_conditions(_text(match), _text(none_match))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def raw_body(request: Request, *, batch: bool = False) -> bytes:
    """The body of a write, or of a batch of them, as it came. Raises UnsupportedMediaType, TooLarge."""
    limits = limits_of(request)
    kind = header(request, b"content-type") or b""
    if kind != _JSON:
        _check_media_type(kind.decode("latin-1"))
    if header(request, b"content-encoding") not in _UNCOMPRESSED:
        raise UnsupportedMediaType("bodies are taken uncompressed; leave out Content-Encoding")
    if batch:
        return await read_body(request, limits.batch_body_bytes, "limits.batch_body_bytes")
    return await read_body(request, limits.record_body_bytes, "limits.record_body_bytes")


def parsed(request: Request, body: bytes) -> Any:
    """The body as strict JSON. Raises BrokenJson."""
    return decode(body, max_depth=limits_of(request).json_depth)


def said(request: Request, body: bytes, mask: str | None = None) -> Said:
    """The change that the body of a PATCH says, in the dialect of its media type. Raises BrokenJson."""
    kind = header(request, b"content-type") or b""
    if kind != _JSON:
        kind = kind.split(b";", 1)[0].strip().lower()
    return Said(parsed(request, body), _DIALECTS.get(kind, "fields"), mask)


def said_to_replace(request: Request, body: bytes) -> Said:
    """The change that the body of a PUT says. Raises BrokenJson, UnsupportedMediaType."""
    change = said(request, body)
    if change.dialect != "fields":
        raise UnsupportedMediaType("a PUT takes application/json; send patches with PATCH")
    return Said(change.body, put=True)


def _check_media_type(value: str) -> None:
    kind, _, parameters = value.partition(";")
    kind = kind.strip().lower()
    json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not json:
        raise UnsupportedMediaType(
            f"the body must be application/json, not {kind[:100]!r}"
            if kind
            else "the body needs Content-Type: application/json"
        )
    charset = parameters.lower().partition("charset=")[2].strip(' ";')
    if charset not in {"", "utf-8", "utf8"}:
        raise UnsupportedMediaType("JSON is UTF-8; leave out the charset")


async def read_body(request: Request, limit: int, setting: str) -> bytes:
    """The body as it came. Raises TooLarge, which names the setting that holds the limit."""
    declared = header(request, b"content-length") or b""
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit, setting)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise _too_large(limit, setting)
        if not message.get("more_body", False):
            return b"".join(parts)


async def stream_body(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises ClientDisconnect if it breaks off."""
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        if part := message.get("body", b""):
            yield part
        if not message.get("more_body", False):
            return


def _too_large(limit: int, setting: str) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes (setting {setting})", limit=limit)
