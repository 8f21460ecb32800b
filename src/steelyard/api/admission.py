"""Asks of each operation, before it begins, whether the caller may do it.

An operation that has no row in the table of permissions is a fault of ours, and the server does not start with it.
"""

from collections.abc import Iterable
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from steelyard.actions.admission import admit
from steelyard.records.permissions import OPERATIONS, Rule
from steelyard.scope import IDENTITY, RULE


class Admission:
    """Stands before one operation."""

    def __init__(self, app: ASGIApp, rule: Rule) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check(scope, self._rule, scope.get("path_params", {}))
        await self._app(scope, receive, send)


def check(scope: Scope, rule: Rule, path: dict[str, Any]) -> None:
    """Raises Unauthorized, Forbidden. A server without authentication asks nobody."""
    if IDENTITY in scope:
        scope[RULE] = admit(scope[IDENTITY], rule, path)


def put_before(routes: Iterable[BaseRoute]) -> None:
    """Puts the question before all of these routes. Raises KeyError for one that has no row in the table."""
    for route in routes:
        if isinstance(route, Route | APIRoute):
            route.app = Admission(route.app, OPERATIONS[operation_of(route)])


def operation_of(route: Route | APIRoute) -> str:
    """The operation of a route: its id in the document; of those that are not in it, what they belong to."""
    operation = getattr(route, "operation_id", None)
    if operation:
        return str(operation)
    if route.path.startswith(_HUB):
        return f"hub_{route.name.removeprefix('hub_').removeprefix('model_').removeprefix('dataset_')}"
    return _PAGES.get(route.path) or route.name


_HUB = "/apis/files/v2/hf/"
_PAGES = {"/docs": "docs", "/docs/oauth2-redirect": "docs", "/openapi.json": "openapi"}
