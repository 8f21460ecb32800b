"""`/apis/models/v2/workspaces/{workspace}/models`: models, and Update Model."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import models, records
from steelyard.api import answers
from steelyard.api.lists import (
    Cursor,
    FilterText,
    ListRequest,
    PageNumber,
    PageSize,
    Sort,
    list_records,
    page_of,
)
from steelyard.api.operations import DELETE, LIST, READ, WRITE, answers_of, body_of
from steelyard.api.requests import caller_of, conditions_of, context_of, json_body
from steelyard.records.models import MODEL, CreateModelEntityRequest, ModelEntity, UpdateModelEntityRequest

ITEM = "/apis/models/v2/workspaces/{workspace}/models/{name}"

router = APIRouter(
    prefix="/apis/models/v2/workspaces/{workspace}/models", tags=["models"], default_response_class=Response
)


@router.get("", responses=answers_of(200, page_of(ModelEntity), LIST))
async def list_models(
    request: Request,
    workspace: str,
    page: PageNumber = 1,
    page_size: PageSize = 100,
    sort: Sort = "created_at",
    cursor: Cursor = None,
    filter: FilterText = None,
    verbose: bool = False,
) -> Response:
    """Lists the models of a workspace, or of all of them (`-`). Null fields are left out."""
    return await list_records(
        request, MODEL, workspace, ListRequest(page, page_size, sort, cursor), verbose=verbose
    )


@router.post(
    "",
    status_code=201,
    responses=answers_of(201, ModelEntity, WRITE),
    openapi_extra=body_of(CreateModelEntityRequest),
)
async def create_model(request: Request, workspace: str) -> Response:
    """Registers a model."""
    body = await json_body(request)
    row, document = await models.create_model(
        context_of(request), caller_of(request), workspace, body, conditions_of(request)
    )
    return answers.one(row, document, 201)


@router.get("/{name}", responses=answers_of(200, ModelEntity, READ, conditional=True))
async def get_model(request: Request, workspace: str, name: str, verbose: bool = False) -> Response:
    """Reads a model; `verbose` shows the linear layers of its spec too."""
    conditions = conditions_of(request)
    row, document = await records.get(context_of(request), MODEL, workspace, name, verbose=verbose)
    return answers.not_modified(row) if conditions.unchanged(row) else answers.one(row, document)


@router.patch(
    "/{name}", responses=answers_of(200, ModelEntity, WRITE), openapi_extra=body_of(UpdateModelEntityRequest)
)
async def update_model(request: Request, workspace: str, name: str, verbose: bool = False) -> Response:
    """Update Model: changes the fields that the body names, and answers the model as it is stored.

    A field that is absent or null keeps its value; null clears `backend_format` alone, and an empty text clears
    `base_model` and `project`. Objects and lists replace whole.
    """
    body = await json_body(request)
    row, document = await models.update_model(
        context_of(request),
        caller_of(request),
        workspace,
        name,
        body,
        conditions_of(request),
        verbose=verbose,
    )
    return answers.one(row, document)


@router.delete("/{name}", status_code=204, responses=answers_of(204, None, DELETE))
async def delete_model(request: Request, workspace: str, name: str) -> Response:
    """Deletes a model. The header `X-Steelyard-Dangling` counts the records that still name it."""
    return answers.gone(
        await models.delete_model(context_of(request), workspace, name, conditions_of(request))
    )
