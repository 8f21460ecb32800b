"""The short way to the two busiest operations, reading and updating one model.

It calls the very functions that the router would call, with the parameters that the router would give them; whatever is
unusual about a request (another path, another query) takes the router's way. A test holds the two ways against each
other.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from steelyard.api.admission import check
from steelyard.api.errors import error_response
from steelyard.api.resource import change_record, read_record
from steelyard.api.resources import MODELS
from steelyard.api.writes import PLAIN
from steelyard.errors import SteelyardError
from steelyard.records.permissions import OPERATIONS
from steelyard.scope import ROUTE

_VERBOSE = {b"": False, b"verbose=false": False, b"verbose=true": True}
_METHODS = frozenset({"GET", "PATCH"})
_RULES = {"GET": OPERATIONS["get_model"], "PATCH": OPERATIONS["update_model"]}
_ROUTE = f"{MODELS.prefix}/{{name}}"
_BEFORE, _BETWEEN = f"{MODELS.prefix}/".split("{workspace}")


class HotRoutes:
    """Answers `GET` and `PATCH` of a model; leaves everything else to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in _METHODS:
            verbose = _VERBOSE.get(scope["query_string"])
            before, _, path = scope["path"].partition(_BEFORE)
            workspace, between, name = path.partition(_BETWEEN)
            named = not before and workspace and between and name and "/" not in workspace and "/" not in name
            if named and verbose is not None:
                scope[ROUTE] = _ROUTE
                scope["app"] = self._app
                request = Request(scope, receive)
                try:
                    check(scope, _RULES[scope["method"]], {"workspace": workspace})
                    if scope["method"] == "GET":
                        response = await read_record(request, MODELS.kind, workspace, name, verbose=verbose)
                    else:
                        response = await change_record(request, MODELS.kind, workspace, name, PLAIN, verbose=verbose)
                except SteelyardError as error:
                    response = error_response(error, scope["path"], scope["method"])
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
