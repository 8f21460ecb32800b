"""The outermost layer: request ids, the access log, metrics, and the last catch of what went wrong."""

import logging
import re
from collections.abc import Awaitable
from random import getrandbits
from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steelyard.api.access_log import AccessLog
from steelyard.api.errors import unexpected_response
from steelyard.api.gatekeeper import Door
from steelyard.api.requests import Server
from steelyard.scope import HEADERS, REQUEST_ID, ROUTE, SERVER

_SECURE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_SECRETS, _PAGES = ("/apis/secrets/", "/apis/auth/"), "/docs"
_SPECIAL = (*_SECRETS, _PAGES)
# The page brings all that it needs, part of it within itself; no page of others shows it in a frame.
_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CLIENT_GONE = 499
"""What the log says of a request that broke off before it was all here."""

_log = logging.getLogger("steelyard")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


class Edge:
    """Wraps the application; pure ASGI, because it runs for every request."""

    def __init__(self, app: ASGIApp, server: Server, access_log: AccessLog | None, door: Door | None = None) -> None:
        self._door = door
        self._app = app
        self._server = server
        self._metrics = server.metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        scope[SERVER] = self._server
        headers = scope[HEADERS] = headers_of(scope)
        request_id = headers.get(b"x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = _new_request_id()
        scope[REQUEST_ID] = request_id.decode("latin-1")
        traceparent = headers.get(b"traceparent")
        found = _TRACE.fullmatch(traceparent) if traceparent else None
        trace_id = found[1] if found else b"0"
        status, complete = 0, False
        path: str = scope["path"]
        secure = _secure(path) if path.startswith(_SPECIAL) else _SECURE

        # Not a coroutine function itself, but one's result: a frame less for each message.
        def answer(message: Message) -> Awaitable[None]:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                own = ((b"x-request-id", request_id), (b"x-trace-id", trace_id), *secure)
                message["headers"] = [*message["headers"], *own]
            else:
                complete = not message.get("more_body", False)
            return send(message)

        try:
            if self._door is None:
                await self._app(scope, receive, answer)
            else:
                await self._door(scope, receive, answer, self._app)
        except ClientDisconnect:
            status = _CLIENT_GONE  # nobody is there to be answered
        except Exception:  # the outermost layer: whatever it is, the caller gets an answer and the log the reason
            _log.exception("request %s failed", scope[REQUEST_ID])
            if not status:
                await unexpected_response()(scope, receive, answer)
            elif not complete:
                raise  # half of an answer is out: the connection must end, so that it does not look whole
        finally:
            seconds = perf_counter() - started
            self._metrics.count(scope["method"], route_of(scope), status, seconds)
            if status in {401, 403} and self._door is not None:
                self._door.refused(scope, status)
            if self._access_log is not None:
                self._access_log.write(scope, status, seconds)


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers by name in lower case; several of one name are joined by commas (RFC 9110, 5.3)."""
    pairs = scope["headers"]
    headers = dict(pairs)
    if len(headers) != len(pairs):
        for name in headers:
            headers[name] = b", ".join(value for key, value in pairs if key == name)
    return headers


def _secure(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """What a browser, or a cache between, is told of secrets, keys, and pages."""
    if path.startswith(_SECRETS):
        return (*_SECURE, (b"cache-control", b"no-store"))
    return (*_SECURE, (b"content-security-policy", _PAGE_POLICY), (b"x-frame-options", b"DENY"))


def _new_request_id() -> bytes:
    """`req_` and a random UUID (version 4). It names a request, and guards nothing: plain randomness will do."""
    digits = f"{getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"req_{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}".encode()


def route_of(scope: Scope) -> str:
    """The template of the route that took the request, so that labels stay few."""
    route = scope.get("route")
    return scope.get(ROUTE) or getattr(route, "path", None) or "none"
