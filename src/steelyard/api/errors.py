"""Maps errors to answers, once, by class: `{"detail": …, "code": …}` for all of them."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from steelyard.errors import (
    Fault,
    InvalidInput,
    InvalidParameters,
    MethodNotAllowed,
    NotFound,
    SteelyardError,
)
from steelyard.records.forms import Shown

# Clients of this API repeat a request on 409 unless they are told not to; a conflict does not go away by itself.
_NO_RETRY = {"x-should-retry": "false"}
_GATEWAY = "/apis/inference-gateway/"
_UNEXPECTED = orjson.dumps(
    {"detail": "An unexpected error occurred; the server's log has it.", "code": "internal_error"}
)


class ErrorBody(Shown):
    """Any error. `code` is stable and for programs; `detail` is for people."""

    detail: str
    code: str


class FaultBody(Shown):
    """One wrong value."""

    type: str
    loc: list[str | int]
    msg: str
    input: Any = None


class InvalidInputBody(Shown):
    """An error 422: each wrong value by its place."""

    detail: list[FaultBody]
    code: str


def error_response(error: SteelyardError, path: str, method: str) -> Response:
    """The answer to a request that raised `error`."""
    headers = dict(error.headers)
    if error.status == 409:
        headers |= _NO_RETRY
    body = error_body(error, path, method)
    if path.startswith("/v1/") or (path.startswith(_GATEWAY) and "/-/" in path):
        # Where clients of OpenAI and Anthropic ask, who read an error by these fields: both find theirs in one.
        kind = "not_found_error" if error.status == 404 else "invalid_request_error"
        said = {"type": kind, "message": error.message, "param": None, "code": error.code}
        body |= {"type": "error", "error": said}
    return _json(error.status, body, headers)


def error_body(error: SteelyardError, path: str, method: str) -> dict[str, Any]:
    """What is said of `error`."""
    body: dict[str, Any] = {"detail": error.message, "code": error.code}
    if isinstance(error, InvalidInput):
        body["detail"] = [_fault(fault) for fault in error.faults]
    if isinstance(error, NotFound):
        body |= {"path": path, "method": method}
    return body | error.details


def _fault(fault: Fault) -> dict[str, Any]:
    body = {"type": fault.type, "loc": list(fault.location), "msg": fault.message}
    return body | {"input": fault.value} if fault.show_value else body


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(orjson.dumps(body, default=str), status, dict(headers), media_type="application/json")


def unexpected_response() -> Response:
    """The answer to a request that failed by a fault of ours. It says nothing of our insides."""
    return Response(_UNEXPECTED, 500, media_type="application/json")


async def on_steelyard_error(request: Request, error: Exception) -> Response:
    """The handler of our own errors."""
    assert isinstance(error, SteelyardError)  # noqa: S101 - the framework hands each handler its own class
    return error_response(error, request.url.path, request.method)


async def on_invalid_parameters(request: Request, error: Exception) -> Response:
    """The handler of path and query values that do not fit their parameters."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [Fault(tuple(e["loc"]), e["type"], e["msg"], e["input"], _plain(e["input"])) for e in error.errors()]
    return error_response(InvalidParameters(faults), request.url.path, request.method)


def _plain(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 200 and value.isprintable()


async def on_http_exception(request: Request, error: Exception) -> Response:
    """The handler of the router's own refusals."""
    assert isinstance(error, HTTPException)  # noqa: S101
    mine: SteelyardError
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request)))
        mine = MethodNotAllowed(f"Method Not Allowed; allowed: {allowed}", headers={"Allow": allowed})
    else:
        mine = NotFound("The requested resource was not found.")
    return error_response(mine, request.url.path, request.method)


async def on_unexpected(request: Request, error: Exception) -> Response:
    """The handler of what nobody expected; the outermost layer logs it."""
    return unexpected_response()


def _methods(request: Request) -> set[str]:
    """The methods of all routes on the request's path: the router itself tells only those of the first."""
    found: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return found
