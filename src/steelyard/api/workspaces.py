"""`/apis/entities/v2/workspaces`: workspaces."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import records, workspaces
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
from steelyard.records.workspaces import WORKSPACE, Workspace, WorkspaceInput, WorkspaceUpdate

router = APIRouter(
    prefix="/apis/entities/v2/workspaces", tags=["workspaces"], default_response_class=Response
)

WaitForRoles = Annotated[
    bool, Query(description="For clients of the platform; a role is in force here when the answer is sent.")
]


class DeleteResponse(BaseModel):
    """That something is deleted."""

    message: str = "Resource deleted successfully."
    id: str


@router.get("", responses=answers_of(200, page_of(Workspace), LIST))
async def list_workspaces(
    request: Request,
    page: PageNumber = 1,
    page_size: PageSize = 100,
    sort: Sort = "-created_at",
    cursor: Cursor = None,
    filter: FilterText = None,
) -> Response:
    """Lists the workspaces."""
    return await list_records(
        request, WORKSPACE, "", ListRequest(page, page_size, sort, cursor), echo_filter=True
    )


@router.post(
    "", status_code=201, responses=answers_of(201, Workspace, WRITE), openapi_extra=body_of(WorkspaceInput)
)
async def create_workspace(request: Request, wait_role_propagation: WaitForRoles = True) -> Response:
    """Makes a workspace."""
    body = await json_body(request)
    row, document = await workspaces.create_workspace(
        context_of(request), caller_of(request), body, conditions_of(request)
    )
    return answers.one(row, document, 201)


@router.get("/{name}", responses=answers_of(200, Workspace, READ, conditional=True))
async def get_workspace(request: Request, name: str) -> Response:
    """Reads a workspace."""
    conditions = conditions_of(request)
    row, document = await records.get(context_of(request), WORKSPACE, "", name)
    return answers.not_modified(row) if conditions.unchanged(row) else answers.one(row, document)


@router.put("/{name}", responses=answers_of(200, Workspace, WRITE), openapi_extra=body_of(WorkspaceUpdate))
async def update_workspace(request: Request, name: str) -> Response:
    """Changes a workspace's description; an absent or null one is kept."""
    body = await json_body(request)
    row, document = await records.update(
        context_of(request), caller_of(request), WORKSPACE, "", name, body, conditions_of(request)
    )
    return answers.one(row, document)


@router.delete("/{name}", responses=answers_of(200, DeleteResponse, DELETE))
async def delete_workspace(request: Request, name: str) -> Response:
    """Deletes a workspace with all that is in it, at once. The built-in ones stay."""
    deleted = await workspaces.delete_workspace(context_of(request), name, conditions_of(request))
    return answers.gone_with_message(deleted, "Workspace deleted", name)
