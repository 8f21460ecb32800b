"""Adapters under the model that they belong to; by their own names they have the routes of every kind."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.adapters import create_adapter, delete_adapter, update_adapter
from steelyard.api.operations import DELETE, WRITE, answers_of, body_of, dry_run_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, conditions_of, context_of, parsed, raw_body, said
from steelyard.api.resources import MODELS
from steelyard.api.writes import Options, answer_write, shape_gone, shape_record
from steelyard.records.adapters import Adapter, CreateModelAdapterRequest, UpdateAdapterRequest

router = APIRouter(
    prefix=f"{MODELS.prefix}/{{model_name}}/adapters", tags=["adapters"], default_response_class=Response
)


@router.post(
    "",
    operation_id="create_model_adapter",
    summary="Create an adapter of a model",
    status_code=201,
    responses=dry_run_of(Adapter) | answers_of(201, Adapter, WRITE),
    openapi_extra=body_of(CreateModelAdapterRequest),
)
async def create(request: Request, workspace: Home, model_name: str, options: Options) -> Response:
    """A new adapter, in the workspace of the model."""
    body = await raw_body(request)
    write = create_adapter(
        context_of(request),
        caller_of(request),
        workspace,
        parsed(request, body),
        conditions_of(request),
        model=model_name,
    )
    return await answer_write(request, write, options, shape_record(201), body)


@router.patch(
    "/{adapter}",
    operation_id="update_model_adapter",
    summary="Update an adapter of a model",
    responses=answers_of(200, Adapter, WRITE),
    openapi_extra=body_of(UpdateAdapterRequest, patches=True),
)
async def update(request: Request, workspace: Home, model_name: str, adapter: str, options: Options) -> Response:
    """Changes what the body names; the adapter must be of that model."""
    body = await raw_body(request)
    write = update_adapter(
        context_of(request),
        caller_of(request),
        workspace,
        adapter,
        said(request, body),
        conditions_of(request),
        model=model_name,
    )
    return await answer_write(request, write, options, shape_record(), body)


@router.delete(
    "/{adapter}",
    operation_id="delete_model_adapter",
    summary="Delete an adapter of a model",
    status_code=204,
    responses=dry_run_of(Adapter) | answers_of(204, None, DELETE),
)
async def delete(request: Request, workspace: Home, model_name: str, adapter: str, options: Options) -> Response:
    """Deletes it; the adapter must be of that model."""
    write = delete_adapter(
        context_of(request), caller_of(request), workspace, adapter, conditions_of(request), model=model_name
    )
    return await answer_write(request, write, options, shape_gone)
