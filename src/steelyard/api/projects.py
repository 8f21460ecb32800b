"""`/apis/entities/v2/workspaces/{workspace}/projects`: projects."""

from fastapi import APIRouter
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
from steelyard.api.workspaces import DeleteResponse
from steelyard.records.workspaces import PROJECT, Project, ProjectInput, ProjectUpdate

router = APIRouter(
    prefix="/apis/entities/v2/workspaces/{workspace}/projects",
    tags=["projects"],
    default_response_class=Response,
)


@router.get("", responses=answers_of(200, page_of(Project), LIST))
async def list_projects(
    request: Request,
    workspace: str,
    page: PageNumber = 1,
    page_size: PageSize = 100,
    sort: Sort = "-created_at",
    cursor: Cursor = None,
    filter: FilterText = None,
) -> Response:
    """Lists the projects of a workspace, or of all of them (`-`)."""
    return await list_records(
        request, PROJECT, workspace, ListRequest(page, page_size, sort, cursor), echo_filter=True
    )


@router.post(
    "", status_code=201, responses=answers_of(201, Project, WRITE), openapi_extra=body_of(ProjectInput)
)
async def create_project(request: Request, workspace: str) -> Response:
    """Makes a project."""
    body = await json_body(request)
    row, document = await records.create(
        context_of(request), caller_of(request), PROJECT, workspace, body, conditions_of(request)
    )
    return answers.one(row, document, 201)


@router.get("/{name}", responses=answers_of(200, Project, READ, conditional=True))
async def get_project(request: Request, workspace: str, name: str) -> Response:
    """Reads a project."""
    conditions = conditions_of(request)
    row, document = await records.get(context_of(request), PROJECT, workspace, name)
    return answers.not_modified(row) if conditions.unchanged(row) else answers.one(row, document)


@router.put("/{name}", responses=answers_of(200, Project, WRITE), openapi_extra=body_of(ProjectUpdate))
async def update_project(request: Request, workspace: str, name: str) -> Response:
    """Replaces a project's description; an absent one is cleared."""
    body = await json_body(request)
    row, document = await records.update(
        context_of(request), caller_of(request), PROJECT, workspace, name, body, conditions_of(request)
    )
    return answers.one(row, document)


@router.delete("/{name}", responses=answers_of(200, DeleteResponse, DELETE))
async def delete_project(request: Request, workspace: str, name: str) -> Response:
    """Deletes a project. What was in it stays, in no project."""
    deleted = await workspaces.delete_project(
        context_of(request), caller_of(request), workspace, name, conditions_of(request)
    )
    return answers.gone_with_message(deleted, "Project deleted successfully", f"{workspace}/{name}")
