"""The way in: reads what a client sends, finds what it means, and hands it to the gateway."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from steelyard.actions.admission import not_signed_in
from steelyard.actions.serving import ADAPTERS
from steelyard.auth.directory import Identity
from steelyard.errors import (
    BadCall,
    MethodNotAllowed,
    SteelyardError,
    TooLarge,
    UnsupportedMediaType,
)
from steelyard.gateway.answering import error_answer, send_error
from steelyard.gateway.calls import Call
from steelyard.gateway.gateway import Asker, Gateway
from steelyard.gateway.paths import OPERATIONS, OTHER, normal_path
from steelyard.gateway.raw import pass_raw
from steelyard.scope import HEADERS, IDENTITY, LEAVING, REQUEST_ID

HOME = "default"
"""The workspace of a bare name where the path names none."""
_TELEMETRY_OPERATIONS = {"openai.embeddings": "embeddings", "openai.completions": "text_completion"}
_BY_BODY, _BY_NAME = "inference.gateway.openai.exec", "inference.gateway.model.exec"
_BY_PROVIDER = "inference.gateway.provider.exec"
_UNCOMPRESSED = frozenset({None, b"identity"})


_NOBODY = Asker()


class Entry:
    """Takes requests for one gateway."""

    def __init__(self, gateway: Gateway, most_bytes: int) -> None:
        self._gateway = gateway
        self._most = most_bytes
        self._loop = asyncio.get_running_loop()

    def by_body(self, scope: Scope, receive: Receive, send: Send, home: str, path: str) -> Awaitable[None]:
        """A request whose body names the model."""
        return self._answered(scope, receive, send, home, None, path)

    async def by_name(self, scope: Scope, receive: Receive, send: Send, home: str, name: str, path: str) -> None:
        """A request whose path names the model."""
        await self._answered(scope, receive, send, home, name, path)

    async def _answered(
        self, scope: Scope, receive: Receive, send: Send, home: str, name: str | None, path: str
    ) -> None:
        path, dialect = _meant(path)
        await self._watched(scope, send, dialect, self._answer(scope, receive, send, home, name, path, dialect))

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, home: str, name: str | None, path: str, dialect: str
    ) -> None:
        permission = _BY_BODY if name is None else _BY_NAME
        asker = asker_of(scope)
        if name is not None:
            asker.require(permission, _workspace_of(name, home))
        call = await self._call(scope, receive, dialect, path, needs_body=name is None)
        text = name if name is not None else _model_of(call.body)
        # Before it is looked up: what is not there, and what is not there for the caller, are one answer.
        if asker.access is not None:
            asker.require(permission, _workspace_of(text, home))
        table = self._gateway.parts.table
        route = table.known(home, text)
        if route is None:
            route = await table.route(home, text)
        asker.require_model(route.name)
        if route.elsewhere:
            asker.require_reach(route.elsewhere, route.name)
        call.begin(self._gateway.parts.telemetry, text, _TELEMETRY_OPERATIONS.get(dialect, "chat"))
        await self._gateway.answer(call, route, asker, send)

    async def by_provider(
        self, scope: Scope, receive: Receive, send: Send, workspace: str, name: str, path: str
    ) -> None:
        """A request to a provider, which goes on as it is."""
        path, dialect = _meant(path)
        await self._watched(scope, send, dialect, self._pass(scope, receive, send, workspace, name, path, dialect))

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, workspace: str, name: str, path: str, dialect: str
    ) -> None:
        asker = asker_of(scope)
        asker.require(_BY_PROVIDER, workspace)
        asker.require_unbound()
        call = await self._call(scope, receive, dialect, path, needs_body=False, raw=True)
        target, rules = await self._gateway.parts.table.provider(workspace, name)
        model = call.body.get("model") if call.body else None
        called = model if isinstance(model, str) else ""
        call.begin(self._gateway.parts.telemetry, called, _TELEMETRY_OPERATIONS.get(dialect, "chat"))
        await pass_raw(self._gateway, call, target, rules, workspace, called, asker, send)

    async def _watched(self, scope: Scope, send: Send, dialect: str, answering: Awaitable[None]) -> None:
        """Awaits a request until it is answered, or its client leaves; errors are told in the client's dialect."""
        leaving, task = scope.get(LEAVING), asyncio.current_task()
        if leaving is not None and task is not None:
            leaving.callback = task.cancel
        try:
            await answering
        except SteelyardError as error:
            await send_error(send, error_answer(error, dialect))
        except asyncio.CancelledError:
            if leaving is None or not leaving.gone or task is None:
                raise
            task.uncancel()
            raise ClientDisconnect from None
        finally:
            if leaving is not None:
                leaving.callback = None

    async def _call(
        self, scope: Scope, receive: Receive, dialect: str, path: str, *, needs_body: bool, raw: bool = False
    ) -> Call:
        headers: Mapping[bytes, bytes] = scope[HEADERS]
        method: str = scope["method"]
        if dialect != OTHER and method != "POST" and not raw:
            raise MethodNotAllowed(f"Method Not Allowed; allowed: POST, not {method}", headers={"Allow": "POST"})
        data = await self._read(receive, headers)
        if headers.get(b"content-encoding") not in _UNCOMPRESSED:
            raise UnsupportedMediaType("bodies are taken uncompressed; leave out Content-Encoding")
        body: dict[str, Any] | None = None
        if raw:
            body = _object_in(data) if data and _is_json(headers) else None
        elif data and _is_json(headers):
            body = _parsed(data)
        elif dialect != OTHER or needs_body:
            if not data:
                raise BadCall("the body is empty")
            kind = headers.get(b"content-type", b"").decode("latin-1")[:100]
            raise UnsupportedMediaType(f"the body must be application/json, not {kind!r}")
        return Call(
            request_id=scope[REQUEST_ID],
            method=method,
            path=path if dialect != OTHER else normal_path(path),
            query=scope["query_string"],
            dialect=dialect,
            raw=data,
            body=body,
            client_headers=headers,
            headers=self._gateway.parts.lists.to_upstream(headers.items(), raw=raw or dialect == OTHER),
            started=self._loop.time(),
        )

    async def _read(self, receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
        """The body. Raises TooLarge, ClientDisconnect."""
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._most:
            raise self._too_large()
        message = await receive()
        data: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body", False) and len(data) <= self._most:
            return data
        parts, size = [data], len(data)
        while message.get("more_body", False) or message["type"] != "http.request":
            if message["type"] != "http.request":
                raise ClientDisconnect
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most:
                break
        if size > self._most:
            raise self._too_large()
        return b"".join(parts)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self._most} bytes (setting gateway.body_bytes)", limit=self._most)


def asker_of(scope: Scope) -> Asker:
    """Who asks. Raises Unauthorized for somebody who has not said who they are, where they must."""
    if IDENTITY not in scope:
        return _NOBODY
    identity: Identity | None = scope[IDENTITY]
    if identity is None:
        raise not_signed_in()
    return Asker(identity.key_id, identity.principal.subject, identity.access)


def _workspace_of(text: str, home: str) -> str:
    """The workspace of a name, a bare one being of `home`."""
    workspace, between, _ = text.partition(ADAPTERS)[0].partition("/")
    return workspace if between else home


def _meant(path: str) -> tuple[str, str]:
    """A path as it is known, and its dialect: slashes around it are of the base URL of a client."""
    dialect = OPERATIONS.get(path)
    if dialect is None:
        stripped = path.strip("/")
        dialect = OPERATIONS.get(stripped)
        if dialect is None:
            return path, OTHER
        path = stripped
    return path, dialect


def _is_json(headers: Mapping[bytes, bytes]) -> bool:
    kind = headers.get(b"content-type", b"")
    if kind == b"application/json":
        return True
    kind = kind.split(b";", 1)[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadCall(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(body, dict):
        raise BadCall("the body must be a JSON object")
    return body


def _object_in(data: bytes) -> dict[str, Any] | None:
    """The object that a body is; None for anything else, which goes on as it is too."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _model_of(body: dict[str, Any] | None) -> str:
    model = (body or {}).get("model")
    if not isinstance(model, str) or not model:
        raise BadCall("the field 'model' must name a model, as workspace/name", param="model")
    return model
