"""`/apis/steelyard/v1/workspaces/{workspace}:export` and `:import`: a workspace as lines of JSON."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from steelyard.actions.audit import note_done
from steelyard.actions.transfer import MOST_LINES, export_workspace, prepare_import
from steelyard.api import answers
from steelyard.api.operations import READ, WRITE, answers_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, context_of, header, limits_of, read_body
from steelyard.api.writes import Options, answer_run
from steelyard.errors import BrokenJson, TooLarge, UnsupportedMediaType
from steelyard.records.forms import Shown
from steelyard.records.kinds import Document
from steelyard.records.strict_json import decode

router = APIRouter(prefix="/apis/steelyard/v1", tags=["transfer"], default_response_class=Response)

_NDJSON = "application/x-ndjson"
_TAKEN = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_CHUNK = 65_536


class ImportAnswer(Shown):
    """What became of the lines."""

    created: int
    updated: int
    unchanged: int
    skipped: int


_EXPORT_ANSWERS: dict[int | str, dict[str, Any]] = answers_of(200, None, READ)
_EXPORT_ANSWERS[200]["content"] = {_NDJSON: {"schema": {"type": "string"}}}
_IMPORT_BODY = {"required": True, "content": {_NDJSON: {"schema": {"type": "string"}}}}


@router.get(
    "/workspaces/{workspace}:export",
    operation_id="export_workspace",
    summary="Export a workspace",
    responses=_EXPORT_ANSWERS,
)
async def export(request: Request, workspace: Home) -> Response:
    """All records of a workspace, a line of JSON each, without secrets; an import of it exports as the same file."""
    context = context_of(request)
    lines = await export_workspace(context, workspace)
    await note_done(context, caller_of(request), "workspaces.export", "workspace", workspace, workspace)
    headers = {"content-disposition": f'attachment; filename="{workspace}.ndjson"'}
    return StreamingResponse(_chunks(lines), media_type=_NDJSON, headers=headers)


async def _chunks(lines: AsyncIterator[Document]) -> AsyncIterator[bytes]:
    chunk = b""
    async for line in lines:
        chunk += orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        if len(chunk) > _CHUNK:
            yield chunk
            chunk = b""
    yield chunk


@router.post(
    "/workspaces/{workspace}:import",
    operation_id="import_workspace",
    summary="Import into a workspace",
    responses=answers_of(200, ImportAnswer, WRITE),
    openapi_extra={"requestBody": _IMPORT_BODY},
)
async def import_(
    request: Request,
    workspace: Home,
    options: Options,
    on_conflict: Annotated[
        Literal["refuse", "replace", "skip"], Query(description="What becomes of a record that is there already.")
    ] = "refuse",
) -> Response:
    """Takes the lines of an export: all of them, or none. An error names its line."""
    kind = (header(request, b"content-type") or b"").split(b";", 1)[0].decode("latin-1").strip().lower()
    if kind not in _TAKEN:
        raise UnsupportedMediaType(f"the body must be {_NDJSON}: one JSON object a line")
    limits = limits_of(request)
    body = await read_body(request, limits.import_body_bytes, "limits.import_body_bytes")
    lines = body.splitlines()
    if len(lines) > MOST_LINES:
        raise TooLarge(f"an import has at most {MOST_LINES} lines", limit=MOST_LINES)
    parsed = [_line(number, line, limits.json_depth, limits.record_body_bytes) for number, line in enumerate(lines, 1)]
    context = context_of(request)
    prepared = prepare_import(context, caller_of(request), workspace, parsed, on_conflict)
    return await answer_run(request, prepared, options, lambda done: answers.json(asdict(done)), body)


def _line(number: int, line: bytes, depth: int, size: int) -> Any:
    if len(line) > 2 * size:
        raise TooLarge(f"line {number} is larger than {2 * size} bytes", limit=2 * size, line=number)
    if not line.strip():
        return None
    try:
        return decode(line, max_depth=depth + 1)
    except BrokenJson as error:
        error.details["line"] = number
        raise
