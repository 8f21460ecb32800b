"""Which names can be asked for, as OpenAI's and Anthropic's clients list models; and whether a provider is ready."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.context import Context
from steelyard.actions.serving import is_served, list_served, provider_readiness
from steelyard.auth.directory import Identity
from steelyard.errors import NotFound
from steelyard.gateway.routes import PREFIX
from steelyard.gateway.schemas import answers_of
from steelyard.records.conditions import parse_conditions
from steelyard.scope import IDENTITY, SERVER

_EXEC, _MODEL_EXEC = "inference.gateway.openai.exec", "inference.gateway.model.exec"
router = APIRouter(default_response_class=Response, tags=["inference"])
_MODEL: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        **{name: {"type": "string"} for name in ("id", "object", "owned_by", "type", "display_name", "created_at")},
        "created": {"type": "integer"},
    },
}
_MODELS: dict[str, Any] = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
        "object": {"type": "string"},
        "data": {"type": "array", "items": _MODEL},
        "has_more": {"type": "boolean"},
        **{name: {"type": ["string", "null"]} for name in ("first_id", "last_id")},
    },
}
_READY: dict[str, Any] = {
    "type": "object",
    "required": ["ready", "provider", "host_url"],
    "properties": {"ready": {"type": "boolean"}, "provider": {"type": "string"}, "host_url": {"type": "string"}},
}


_LIST = answers_of(_MODELS, {503: "The database does not answer."})
_MISSING = {404: "Nobody serves it, or there is none.", 503: "The database does not answer."}
_ONE = answers_of(_MODEL, {**_MISSING, 412: "`If-Match` does not hold."})


@router.get(
    "/v1/models", operation_id="list_served_models", summary="List the models that can be asked", responses=_LIST
)
async def list_all(request: Request) -> Response:
    """The virtual models and models of all workspaces that somebody serves. OpenAI's fields and Anthropic's, in one."""
    return _listed(_callable(request, await list_served(_context(request), None, _may(request))))


@router.get(
    "/v1/models/{name:path}", operation_id="get_served_model", summary="Get a model that can be asked", responses=_ONE
)
async def get_any(request: Request, name: str) -> Response:
    """The same for one."""
    return await _one(request, "default", name)


@router.get(
    f"{PREFIX}/{{workspace}}/openai/-/v1/models",
    operation_id="list_workspace_served_models",
    summary="List the models of a workspace that can be asked",
    responses=_LIST,
)
async def list_workspace(request: Request, workspace: str) -> Response:
    """As `/v1/models`, of one workspace."""
    return _listed(_callable(request, await list_served(_context(request), workspace, _may(request))))


@router.get(
    f"{PREFIX}/{{workspace}}/openai/-/v1/models/{{name:path}}",
    operation_id="get_workspace_served_model",
    summary="Get a model of a workspace that can be asked",
    responses=_ONE,
)
async def get_one(request: Request, workspace: str, name: str) -> Response:
    """By its name, or as `workspace/name`."""
    return await _one(request, workspace, name)


@router.get(
    f"{PREFIX}/{{workspace}}/provider/{{name}}/ready",
    operation_id="get_provider_readiness",
    summary="Ask whether a provider is ready",
    responses=answers_of(_READY, _MISSING),
)
async def ready(request: Request, workspace: str, name: str) -> Response:
    """200 if its status is READY, else 404."""
    url, status = await provider_readiness(_context(request), workspace, name)
    if status != "READY":
        raise NotFound(f"the provider {name!r} is not ready: its status is {status}")
    return _json({"ready": True, "provider": f"{workspace}/{name}", "host_url": url})


async def _one(request: Request, home: str, name: str) -> Response:
    found = await is_served(_context(request), home, name, _may(request))
    if found is None or not _callable(request, [found]):
        raise NotFound(f"there is no model {name[:200]!r} that can be asked")
    body = orjson.dumps(_entry(*found))
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = request.headers
    unchanged = parse_conditions(headers.get("if-match"), headers.get("if-none-match")).unchanged_since(etag)
    if unchanged:
        return Response(status_code=304, headers={"etag": etag})
    return Response(body, headers={"etag": etag}, media_type="application/json")


def _listed(found: list[tuple[str, str]]) -> Response:
    entries = [_entry(name, at) for name, at in found]
    ends = {"first_id": entries[0]["id"], "last_id": entries[-1]["id"]} if entries else {}
    return _json({"object": "list", "data": entries, "has_more": False, "first_id": None, "last_id": None} | ends)


def _entry(name: str, created_at: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": int(datetime.fromisoformat(created_at).timestamp()),
        "owned_by": name.partition("/")[0],
        "type": "model",
        "display_name": name,
        "created_at": created_at,
    }


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _callable(request: Request, found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the models that the caller may ask."""
    identity: Identity | None = request.scope.get(IDENTITY)
    if identity is None:
        return found
    access = identity.access
    return [one for one in found if access.may(_EXEC, one[0].partition("/")[0]) and access.may_call(one[0])]


def _may(request: Request) -> Callable[[str], bool]:
    """Whether the caller may ask the models of a workspace."""
    identity: Identity | None = request.scope.get(IDENTITY)
    return lambda workspace: identity is None or identity.access.may(_MODEL_EXEC, workspace)


def _context(request: Request) -> Context:
    context: Context = request.scope[SERVER].context
    return context
