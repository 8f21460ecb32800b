"""What providers can beyond what all records can: be made or replaced by one PUT, and be told how they fare."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.providers import put_provider, set_status
from steelyard.api.operations import WRITE, answers_of, body_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, conditions_of, context_of, parsed, raw_body, said_to_replace
from steelyard.api.resources import PROVIDERS
from steelyard.api.writes import Options, answer_write, shape_record
from steelyard.records.providers import ModelProvider, UpdateModelProviderStatusRequest, UpsertModelProviderRequest

router = APIRouter(prefix=PROVIDERS.prefix, tags=["providers"], default_response_class=Response)


@router.put(
    "/{name}",
    operation_id="put_model_provider",
    summary="Create or replace a model provider",
    responses=answers_of(200, ModelProvider, WRITE),
    openapi_extra=body_of(UpsertModelProviderRequest),
)
async def put(request: Request, workspace: Home, name: str, options: Options) -> Response:
    """Makes it what the body says. What is absent gets its default, but status, served models and project are kept."""
    body = await raw_body(request)
    change = said_to_replace(request, body)
    write = put_provider(context_of(request), caller_of(request), workspace, name, change.body, conditions_of(request))
    return await answer_write(request, write, options, shape_record(), body)


@router.put(
    "/{name}/status",
    operation_id="set_model_provider_status",
    summary="Say how a model provider fares",
    responses=answers_of(200, ModelProvider, WRITE),
    openapi_extra=body_of(UpdateModelProviderStatusRequest),
)
async def put_status(request: Request, workspace: Home, name: str, options: Options) -> Response:
    """Stores its status and what it serves; what the body lacks is kept. The models' `model_providers` follow."""
    body = await raw_body(request)
    write = set_status(
        context_of(request), caller_of(request), workspace, name, parsed(request, body), conditions_of(request)
    )
    return await answer_write(request, write, options, shape_record(), body)
