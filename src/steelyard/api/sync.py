"""Fetching all files of a fileset from its source: begun, watched, cancelled."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.audit import note_done
from steelyard.actions.files.syncing import cancel_sync, start_sync, sync_status
from steelyard.api import answers
from steelyard.api.operations import answers_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, context_of
from steelyard.records.forms import Shown

router = APIRouter(
    prefix="/apis/files/v2/workspaces/{workspace}/filesets/{name}", tags=["files"], default_response_class=Response
)


class SyncBody(Shown):
    """How far the fetching of a fileset's files has come. Sizes are in bytes; `idle`: none was asked for lately."""

    state: Literal["idle", "running", "done", "failed", "cancelled"]
    commit: str | None = None
    files_total: int
    files_done: int
    bytes_total: int
    bytes_done: int
    error: str | None = None
    started_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    finished_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None


@router.get(
    "/sync",
    operation_id="get_fileset_sync",
    summary="Look how far the fetching of a fileset is",
    responses=answers_of(200, SyncBody, (404, 422, 503)),
)
async def status(request: Request, workspace: Home, name: str) -> Response:
    """The last fetching, under way or ended."""
    return answers.json(await sync_status(context_of(request), workspace, name))


@router.delete(
    "/sync",
    operation_id="cancel_fileset_sync",
    summary="Stop fetching a fileset",
    responses=answers_of(200, SyncBody, (404, 422, 503)),
)
async def cancel(request: Request, workspace: Home, name: str) -> Response:
    """Files that are whole by then are kept; the others are fetched when they are asked for."""
    context = context_of(request)
    answer = await cancel_sync(context, workspace, name)
    await note_done(context, caller_of(request), "fileset.cancel-sync", "fileset", workspace, name)
    return answers.json(answer)


starts = APIRouter(prefix="/apis/files/v2/workspaces/{workspace}/filesets", tags=["files"])


@starts.post(
    "/{name}:sync",
    operation_id="sync_fileset",
    summary="Fetch all files of a fileset from its source",
    status_code=202,
    responses=answers_of(202, SyncBody, (404, 409, 422, 503)),
    response_class=Response,
)
async def start(
    request: Request,
    workspace: Home,
    name: str,
    repin: Annotated[
        bool, Query(description="First move to what the source has now, at the revision it was made with.")
    ] = False,
) -> Response:
    """Begins in the background, or goes on; asking again while it runs changes nothing."""
    context, caller = context_of(request), caller_of(request)
    answer = await start_sync(context, caller, workspace, name, repin=repin)
    await note_done(context, caller, "fileset.sync", "fileset", workspace, name, "repin" if repin else "")
    return answers.json(answer, 202)


router.routes.extend(starts.routes)
