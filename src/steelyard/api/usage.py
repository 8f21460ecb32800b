"""`/apis/steelyard/v1/workspaces/{workspace}/usage`: what was used, row by row, in sums, or all of it as a file."""

import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from steelyard.actions.audit import note_done
from steelyard.actions.usage import all_usage, list_usage, sum_usage
from steelyard.api import answers
from steelyard.api.operations import READ, answers_of
from steelyard.api.parameters import Home, past_time
from steelyard.api.requests import caller_of, context_of
from steelyard.errors import BadCursor, InvalidParameters
from steelyard.records.forms import Shown
from steelyard.records.usage import GROUPS, Place, UsageQuery, UsageRow, sum_document, usage_document
from steelyard.records.workspaces import EVERY_WORKSPACE

router = APIRouter(prefix="/apis/steelyard/v1/workspaces/{workspace}", tags=["usage"], default_response_class=Response)

_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_STATUS = re.compile(r"([1-5])([0-9]{2}|xx)")
_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
# What a spreadsheet takes for a formula when a cell begins with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class UsageBody(Shown):
    """One request for inference. `input` counts all tokens of the prompt; `cached_input` and `cache_write` are parts of
    it, `reasoning` is one of `output`; null where nobody said. `cost` is null where the model has no price.
    """

    at: str = Field(json_schema_extra={"format": "date-time"})
    request_id: str
    workspace: str
    model: str
    route: str
    provider: str | None
    dialect: str
    upstream_dialect: str | None
    stream: bool
    status: int
    error: str | None
    input: int | None
    output: int | None
    cached_input: int
    cache_write: int
    reasoning: int
    cost: float | None
    currency: str
    latency_ms: float
    first_token_ms: float | None
    attempts: int
    cache: str | None
    key: str | None
    caller: str | None


class UsagePagination(Shown):
    """Where the next page begins; `next_cursor` is null on the last one. Nobody counts how many there are in all."""

    page_size: int
    current_page_size: int
    next_cursor: str | None


class UsagePageBody(Shown):
    """A page of usage, newest first."""

    data: list[UsageBody]
    pagination: UsagePagination


class LatencyBody(Shown):
    """Times in milliseconds. `p95` is the smallest one that 95 of 100 requests did not exceed, to three digits."""

    mean: float
    p50: float
    p95: float


class MeanBody(Shown):
    """A mean time in milliseconds."""

    mean: float


class UsageSumBody(Shown):
    """The sums of a group; of what it can be grouped by, those are here that were asked for."""

    workspace: str | None = None
    model: str | None = None
    provider: str | None = None
    key: str | None = None
    route: str | None = None
    day: str | None = None
    hour: str | None = None
    status: int | None = None
    requests: int
    errors: int
    cache_hits: int
    input: int
    output: int
    cached_input: int
    cache_write: int
    reasoning: int
    cost: dict[str, float]
    latency_ms: LatencyBody
    first_token_ms: MeanBody | None


class UsageSummaryBody(Shown):
    """Groups, those with the most requests first, or in the order of their time; `more` says that there are others."""

    data: list[UsageSumBody]
    group_by: list[str]
    more: bool


_Name = Annotated[str | None, Query(max_length=1100)]


async def _asked(
    workspace: Home,
    since: Annotated[str | None, Query(max_length=64, description="From this time on (RFC 3339).")] = None,
    until: Annotated[str | None, Query(max_length=64, description="Before this time (RFC 3339).")] = None,
    model: Annotated[_Name, Query(description="Only that model's; `workspace/name`, or its name alone.")] = None,
    provider: Annotated[_Name, Query(description="Only what that provider served; `workspace/name`.")] = None,
    key: Annotated[_Name, Query(description="Only by callers with that key.")] = None,
    route: Annotated[_Name, Query(description="Only what was asked for by that name; `workspace/name`.")] = None,
    request_id: Annotated[_Name, Query(description="Only the request of that `X-Request-ID`.")] = None,
    status: Annotated[
        str | None, Query(max_length=3, description="Only answers of that status, as `429`, or kind, as `5xx`.")
    ] = None,
) -> UsageQuery:
    """What of usage is asked for. Raises InvalidParameters."""
    return UsageQuery(
        workspace=None if workspace == EVERY_WORKSPACE else workspace,
        since=past_time(since, "since"),
        until=past_time(until, "until"),
        model=_in(workspace, model, "model"),
        provider=_in(workspace, provider, "provider"),
        key=key,
        route=_in(workspace, route, "route"),
        request_id=request_id,
        status=_status(status),
    )


_Asked = Annotated[UsageQuery, Depends(_asked)]


def _in(workspace: str, name: str | None, parameter: str) -> str | None:
    if name is None or "/" in name:
        return name
    if workspace == EVERY_WORKSPACE:
        message = "must be 'workspace/name' where all workspaces are asked about"
        raise InvalidParameters.of(("query", parameter), "reference", message)
    return f"{workspace}/{name}"


def _status(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = _STATUS.fullmatch(text)
    if found is None:
        message = "must be a status as 429, or a kind of them as 5xx"
        raise InvalidParameters.of(("query", "status"), "status", message)
    if found[2] == "xx":
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    return int(text), int(text)


@router.get("/usage", operation_id="list_usage", summary="List usage", responses=answers_of(200, UsagePageBody, READ))
async def list_(
    request: Request,
    asked: _Asked,
    page_size: Annotated[int, Query(ge=1, le=1000, description="Rows on a page.")] = 100,
    cursor: Annotated[
        str | None, Query(max_length=40, description="`pagination.next_cursor` of the page before.")
    ] = None,
) -> Response:
    """Each request for inference of a workspace, or of all (`-`), newest first. It is here within a second."""
    found = await list_usage(context_of(request), asked, _place(cursor), page_size)
    rows = [usage_document(row) for row in found.rows]
    following = None if found.following is None else f"{found.following.at}-{found.following.seq}"
    pagination = {"page_size": page_size, "current_page_size": len(rows), "next_cursor": following}
    return answers.json({"data": rows, "pagination": pagination})


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        message = "not a cursor of this server; send 'pagination.next_cursor' as it was answered"
        raise BadCursor(message, parameter="cursor")
    return Place(int(found[1]), int(found[2]))


@router.get(
    "/usage:summary",
    operation_id="summarize_usage",
    summary="Sum usage up",
    responses=answers_of(200, UsageSummaryBody, READ),
)
async def summary(
    request: Request,
    asked: _Asked,
    group_by: Annotated[
        str, Query(max_length=100, description=f"By what, as `model,day`: {', '.join(GROUPS)}. Empty: all together.")
    ] = "model",
    limit: Annotated[int, Query(ge=1, le=10_000, description="The most groups.")] = 1000,
) -> Response:
    """Requests, errors, tokens, cost and times of a workspace, or of all (`-`), in groups. Days and hours are UTC."""
    groups = _groups(group_by)
    found = await sum_usage(context_of(request), asked, groups, limit)
    data = [sum_document(groups, each) for each in found.groups]
    return answers.json({"data": data, "group_by": groups, "more": found.more})


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in GROUPS:
            message = f"cannot sum by {name[:100]!r}; by these: {', '.join(GROUPS)}"
            raise InvalidParameters.of(("query", "group_by"), "group", message)
    return tuple(dict.fromkeys(names))


_EXPORT_ANSWERS: dict[int | str, dict[str, Any]] = answers_of(200, None, READ)
_EXPORT_ANSWERS[200]["content"] = {
    "application/x-ndjson": {"schema": {"type": "string"}},
    "text/csv": {"schema": {"type": "string"}},
}


@router.get("/usage:export", operation_id="export_usage", summary="Export usage", responses=_EXPORT_ANSWERS)
async def export(
    request: Request,
    asked: _Asked,
    format: Annotated[Literal["ndjson", "csv"], Query(description="A line of JSON for each, or a table.")] = "ndjson",
) -> Response:
    """All rows up to now, oldest first. In CSV, a text that a spreadsheet would take for a formula begins with `'`."""
    context = context_of(request)
    pages = await all_usage(context, asked)
    await note_done(context, caller_of(request), "usage.export", "usage", asked.workspace, asked.workspace or "all")
    name = "all" if asked.workspace is None else asked.workspace
    headers = {"content-disposition": f'attachment; filename="usage-{name}.{format}"'}
    write = _lines if format == "ndjson" else _table
    return StreamingResponse(_written(pages, write, format == "csv"), media_type=_TYPES[format], headers=headers)


async def _written(
    pages: AsyncIterator[list[UsageRow]], write: Callable[[Sequence[UsageRow]], bytes], titled: bool
) -> AsyncIterator[bytes]:
    if titled:
        yield ",".join(UsageRow._fields).encode() + b"\r\n"
    async for rows in pages:
        if rows:
            yield write(rows)


def _lines(rows: Sequence[UsageRow]) -> bytes:
    return b"".join(orjson.dumps(usage_document(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _table(rows: Sequence[UsageRow]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in usage_document(row).values()] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
