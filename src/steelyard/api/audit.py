"""`/apis/steelyard/v1/audit`: who did what, and who was not allowed to."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from steelyard.actions.audit import AuditQuery, all_audit, list_audit, note_done, verify_audit
from steelyard.api import answers
from steelyard.api.operations import answers_of
from steelyard.api.parameters import past_time
from steelyard.api.requests import caller_of, context_of
from steelyard.errors import BadCursor
from steelyard.records.audit import StoredEntry, entry_document
from steelyard.records.forms import Shown

router = APIRouter(prefix="/apis/steelyard/v1", tags=["access"], default_response_class=Response)

_READ = (400, 401, 403, 422, 503)
_NO_STORE = [(b"cache-control", b"no-store")]
_Text = Annotated[str | None, Query(max_length=600)]


class AuditBody(Shown):
    """One thing that was done, or refused."""

    seq: int
    at: str = Field(json_schema_extra={"format": "date-time"})
    outcome: Literal["allowed", "refused"]
    action: str
    subject: str | None
    key_id: str | None
    issuer: str | None
    address: str | None
    request_id: str | None
    rule: str | None
    kind: str | None
    workspace: str | None
    name: str | None
    record_id: str | None
    revision: int | None
    detail: str | None
    hash: str


class AuditPagination(Shown):
    """Where the next page begins; null on the last one."""

    page_size: int
    current_page_size: int
    next_cursor: str | None


class AuditPageBody(Shown):
    """A page of the audit, newest first."""

    data: list[AuditBody]
    pagination: AuditPagination


class AuditChecked(Shown):
    """Whether the audit is whole; if not, the first entry that is not as it was written, and why."""

    whole: bool
    rows: int
    head: str
    broken_at: int | None
    why: str | None
    noted_found: bool | None


async def _asked(
    workspace: Annotated[_Text, Query(description="Only what was done in that workspace.")] = None,
    subject: Annotated[_Text, Query(description="Only by that subject.")] = None,
    key_id: Annotated[_Text, Query(description="Only with that key.")] = None,
    action: Annotated[_Text, Query(description="Only that: a permission, or `kind.verb`.")] = None,
    outcome: Annotated[Literal["allowed", "refused"] | None, Query(description="Only what came out so.")] = None,
    kind: Annotated[_Text, Query(description="Only about records of that kind.")] = None,
    name: Annotated[_Text, Query(description="Only about what has that name.")] = None,
    record_id: Annotated[_Text, Query(description="Only about the record with that id.")] = None,
    request_id: Annotated[_Text, Query(description="Only by the request with that `X-Request-ID`.")] = None,
    since: Annotated[str | None, Query(max_length=64, description="From this time on (RFC 3339).")] = None,
    until: Annotated[str | None, Query(max_length=64, description="Before this time (RFC 3339).")] = None,
) -> AuditQuery:
    """Which entries are asked for. Raises InvalidParameters."""
    said = {
        **{"subject": subject, "key_id": key_id, "action": action, "outcome": outcome, "kind": kind},
        **{"name": name, "record_id": record_id, "request_id": request_id},
    }
    equal = tuple((column, value) for column, value in said.items() if value is not None)
    return AuditQuery(equal, workspace, past_time(since, "since"), past_time(until, "until"))


_Asked = Annotated[AuditQuery, Depends(_asked)]


@router.get(
    "/audit", operation_id="list_audit", summary="Read the audit", responses=answers_of(200, AuditPageBody, _READ)
)
async def list_(
    request: Request,
    asked: _Asked,
    page_size: Annotated[int, Query(ge=1, le=1000, description="Entries on a page.")] = 100,
    cursor: Annotated[
        str | None, Query(max_length=20, description="`pagination.next_cursor` of the page before.")
    ] = None,
) -> Response:
    """What was done in the workspaces whose audit the caller may read, newest first; all of it for a PlatformAdmin."""
    found = await list_audit(context_of(request), caller_of(request), asked, _place(cursor), page_size)
    data = [entry_document(stored) for stored in found.entries]
    following = None if found.following is None else str(found.following)
    pagination = {"page_size": page_size, "current_page_size": len(data), "next_cursor": following}
    return answers.json({"data": data, "pagination": pagination}, headers=_NO_STORE)


def _place(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        message = "not a cursor of this server; send 'pagination.next_cursor' as it was answered"
        raise BadCursor(message, parameter="cursor")
    return int(cursor)


_EXPORTED: dict[int | str, dict[str, Any]] = answers_of(200, None, _READ)
_EXPORTED[200]["content"] = {"application/x-ndjson": {"schema": {"type": "string"}}}


@router.get("/audit:export", operation_id="export_audit", summary="Export the audit", responses=_EXPORTED)
async def export(request: Request, asked: _Asked) -> Response:
    """The same entries, oldest first, a line of JSON for each. `steelyard audit verify FILE` checks it."""
    context, caller = context_of(request), caller_of(request)
    await note_done(context, caller, "audit.export", "audit", asked.workspace, "audit")
    headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="audit.ndjson"'}
    lines = _lines(all_audit(context, caller, asked))
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


async def _lines(pages: AsyncIterator[list[StoredEntry]]) -> AsyncIterator[bytes]:
    async for entries in pages:
        if entries:
            yield b"".join(orjson.dumps(entry_document(one), option=orjson.OPT_APPEND_NEWLINE) for one in entries)


@router.get(
    "/audit:verify",
    operation_id="verify_audit",
    summary="Check that the audit is whole",
    responses=answers_of(200, AuditChecked, _READ),
)
async def verify(
    request: Request,
    head: Annotated[
        str | None,
        Query(pattern=r"^[0-9a-f]{64}$", description="A hash that was noted elsewhere: it must be among the entries."),
    ] = None,
) -> Response:
    """Holds every entry against its hash, which is that of the one before and of its own words."""
    chain = await verify_audit(context_of(request), head)
    return answers.json(chain.document(), headers=_NO_STORE)
