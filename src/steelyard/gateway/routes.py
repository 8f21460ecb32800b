"""Where the gateway stands in the API: the short forms that clients take as a base URL, and the three proxies.

The busy operations go a short way, past the framework's router; a test holds the two ways against each other.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from steelyard.errors import NotFound
from steelyard.gateway.entry import HOME, Entry
from steelyard.gateway.paths import OPERATIONS
from steelyard.gateway.schemas import ANY_ANSWER, ERROR, body_of
from steelyard.scope import ROUTE

PREFIX = "/apis/inference-gateway/v2/workspaces"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SHORT = {f"/{path}": path for path in OPERATIONS}
_BELOW = f"{PREFIX}/"
_OPENAI, _MODEL = f"{PREFIX}/{{workspace}}/openai/-/", f"{PREFIX}/{{workspace}}/model/{{name}}/-/"


class Holder:
    """The entry of the gateway, which is opened when the server starts."""

    def __init__(self) -> None:
        self._entry: Entry | None = None

    @property
    def entry(self) -> Entry:
        """The entry of the gateway that is open."""
        assert self._entry is not None  # noqa: S101 - nothing is served before the start, or after the end
        return self._entry

    def put(self, entry: Entry) -> None:
        """The gateway is open."""
        self._entry = entry


class HotGateway:
    """Answers the operations of the gateway that many ask for; leaves everything else to `app`."""

    def __init__(self, app: ASGIApp, holder: Holder) -> None:
        self._app = app
        self._holder = holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            short = _SHORT.get(path)
            if short is not None:
                scope[ROUTE] = path
                await self._holder.entry.by_body(scope, receive, send, HOME, short)
                return
            if path.startswith(_BELOW):
                workspace, _, rest = path[len(_BELOW) :].partition("/")
                if rest.startswith("openai/-/") and rest[9:] in OPERATIONS:
                    scope[ROUTE] = _OPENAI + rest[9:]
                    await self._holder.entry.by_body(scope, receive, send, workspace, rest[9:])
                    return
                if rest.startswith("model/"):
                    name, _, operation = rest[6:].partition("/-/")
                    if operation in OPERATIONS:
                        scope[ROUTE] = _MODEL + operation
                        await self._holder.entry.by_name(scope, receive, send, workspace, name, operation)
                        return
        await self._app(scope, receive, send)


class Relay(Response):
    """An answer that the gateway sends by itself."""

    def __init__(self, run: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._run = run
        self.background = None
        self.status_code = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("\n"):
            raise NotFound("no path ends with a line")  # for the router, it is the same as without
        await self._run(scope, receive, send)


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "As its dialect says.",
        "content": {"application/json": {"schema": ANY_ANSWER}, "text/event-stream": {"schema": {"type": "string"}}},
    },
    **{
        status: {"description": what, "content": {"application/json": {"schema": ERROR}}}
        for status, what in {
            400: "The request cannot be read, or names no model.",
            404: "No such model, or nobody serves it.",
            405: "The path takes POST.",
            409: "The adapter is switched off.",
            413: "The body is too large.",
            415: "The body is not JSON.",
            422: "Something in it cannot be carried over to the dialect of who serves the model.",
            424: "The key of the provider is missing.",
            429: "A limit is reached, here or upstream.",
            502: "Who serves the model did not answer, or with an error.",
            503: "Nobody who serves it can be asked now.",
            504: "Who serves it did not answer in time.",
        }.items()
    },
}
_TITLES = {
    "v1/chat/completions": "Chat completions (OpenAI)",
    "v1/responses": "Responses (OpenAI)",
    "v1/messages": "Messages (Anthropic)",
    "v1/completions": "Completions (OpenAI)",
    "v1/embeddings": "Embeddings (OpenAI)",
}


def router_of(holder: Holder) -> APIRouter:
    """All routes of the gateway that pass a request on."""
    router = APIRouter(default_response_class=Response, tags=["inference"])
    for path, title in _TITLES.items():
        _short_route(router, holder, path, title)

    async def openai(request: Request, workspace: str, trailing_uri: str) -> Response:
        """Any path of an inference API below `v1/`; the model is `name` or `workspace/name`."""
        return Relay(lambda scope, receive, send: holder.entry.by_body(scope, receive, send, workspace, trailing_uri))

    async def model(request: Request, workspace: str, name: str, trailing_uri: str) -> Response:
        """The same for one model, whatever the body says; `name` may be `base&adapters/workspace/adapter`."""
        # The first of what could part them does: no name has a `/-/` in it, and a path may.
        called, _, path = f"{name}/-/{trailing_uri}".partition("/-/")
        return Relay(lambda scope, receive, send: holder.entry.by_name(scope, receive, send, workspace, called, path))

    async def provider(request: Request, workspace: str, name: str, trailing_uri: str) -> Response:
        """The request goes on to the provider as it is, with the provider's key; so does the answer."""
        return Relay(
            lambda scope, receive, send: holder.entry.by_provider(scope, receive, send, workspace, name, trailing_uri)
        )

    _proxy(router, "openai/-/{trailing_uri:path}", openai, "openai_proxy", "Ask the model that the body names")
    _proxy(router, "model/{name:path}/-/{trailing_uri:path}", model, "model_proxy", "Ask a model by its name")
    _proxy(router, "provider/{name}/-/{trailing_uri:path}", provider, "provider_proxy", "Ask a provider")
    return router


def _proxy(router: APIRouter, path: str, endpoint: Callable[..., Any], operation: str, summary: str) -> None:
    """One route for all methods; in the document each has an id of its own."""
    for method in METHODS:
        router.add_api_route(
            f"{PREFIX}/{{workspace}}/{path}",
            endpoint,
            methods=[method],
            summary=summary,
            responses=ANSWERS,
            openapi_extra=body_of(None, required=operation == "openai_proxy"),
            operation_id=operation if method == "POST" else f"{operation}_{method.lower()}",
        )


def _short_route(router: APIRouter, holder: Holder, path: str, title: str) -> None:
    operation = path.removeprefix("v1/").replace("/", "_")
    others = [method for method in METHODS if method != "POST"]

    @router.post(f"/{path}", summary=title, responses=ANSWERS, openapi_extra=body_of(path), operation_id=operation)
    @router.api_route(f"/{path}", methods=others, include_in_schema=False, operation_id=operation)
    async def short(request: Request) -> Response:
        """The model is `workspace/name`, or the bare name of one in the workspace `default`."""
        return Relay(lambda scope, receive, send: holder.entry.by_body(scope, receive, send, HOME, path))
