"""`/apis/models/v2/workspaces/{workspace}/prompts`: prompts."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import prompts, records
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
from steelyard.records.prompts import PROMPT, CreatePromptRequest, Prompt, UpdatePromptRequest

router = APIRouter(
    prefix="/apis/models/v2/workspaces/{workspace}/prompts", tags=["prompts"], default_response_class=Response
)


@router.get("", responses=answers_of(200, page_of(Prompt), LIST))
async def list_prompts(
    request: Request,
    workspace: str,
    page: PageNumber = 1,
    page_size: PageSize = 100,
    sort: Sort = "created_at",
    cursor: Cursor = None,
    filter: FilterText = None,
) -> Response:
    """Lists the prompts of a workspace, or of all of them (`-`). Null fields are left out."""
    return await list_records(request, PROMPT, workspace, ListRequest(page, page_size, sort, cursor))


@router.post(
    "", status_code=201, responses=answers_of(201, Prompt, WRITE), openapi_extra=body_of(CreatePromptRequest)
)
async def create_prompt(request: Request, workspace: str) -> Response:
    """Stores a prompt."""
    body = await json_body(request)
    row, document = await prompts.create_prompt(
        context_of(request), caller_of(request), workspace, body, conditions_of(request)
    )
    return answers.one(row, document, 201)


@router.get("/{name}", responses=answers_of(200, Prompt, READ, conditional=True))
async def get_prompt(request: Request, workspace: str, name: str) -> Response:
    """Reads a prompt."""
    conditions = conditions_of(request)
    row, document = await records.get(context_of(request), PROMPT, workspace, name)
    return answers.not_modified(row) if conditions.unchanged(row) else answers.one(row, document)


@router.put("/{name}", responses=answers_of(200, Prompt, WRITE), openapi_extra=body_of(UpdatePromptRequest))
async def update_prompt(request: Request, workspace: str, name: str) -> Response:
    """Replaces a prompt: what the body does not name gets its default, except that the project is kept."""
    body = await json_body(request)
    row, document = await prompts.update_prompt(
        context_of(request), caller_of(request), workspace, name, body, conditions_of(request)
    )
    return answers.one(row, document)


@router.delete("/{name}", status_code=204, responses=answers_of(204, None, DELETE))
async def delete_prompt(request: Request, workspace: str, name: str) -> Response:
    """Deletes a prompt."""
    return answers.gone(
        await records.delete(context_of(request), PROMPT, workspace, name, conditions_of(request))
    )
