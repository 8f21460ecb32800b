"""Asking a provider for its models now, instead of when its time comes."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import records
from steelyard.actions.audit import note_done
from steelyard.api import answers
from steelyard.api.operations import READ, answers_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, context_of, server_of
from steelyard.records.providers import MODEL_PROVIDER, ModelProvider

router = APIRouter(
    prefix="/apis/steelyard/v1/workspaces/{workspace}/providers", tags=["providers"], default_response_class=Response
)


@router.post(
    "/{name}:refresh",
    operation_id="refresh_model_provider",
    summary="Ask a model provider for its models now",
    responses=answers_of(200, ModelProvider, READ),
)
async def refresh(request: Request, workspace: Home, name: str) -> Response:
    """Answers the provider as it is stored then: `status` and `status_message` say what came of it.
    That it has not answered within 8 seconds is such an outcome, too.

    Also one with `discover` false is asked, once.
    """
    await server_of(request).discovery.refresh(workspace, name)
    caller = caller_of(request)
    await note_done(context_of(request), caller, "model-provider.refresh", "model-provider", workspace, name)
    return answers.one(*await records.get(context_of(request), MODEL_PROVIDER, workspace, name))
