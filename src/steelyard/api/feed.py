"""`/apis/steelyard/v1/events`: the feed, by the page or as Server-Sent Events."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from steelyard.actions.feed import EventFilter, last_event, read_events
from steelyard.api import answers
from steelyard.api.operations import LIST, answers_of
from steelyard.api.requests import Stopping, context_again, context_of, header, server_of
from steelyard.errors import InvalidParameters
from steelyard.records.forms import Shown
from steelyard.records.registry import KINDS

router = APIRouter(prefix="/apis/steelyard/v1", tags=["events"], default_response_class=Response)

_HEARTBEAT_SECONDS = 15.0
_STREAM_PAGE = 200
_LATEST = "latest"


class EventBody(Shown):
    """One change of one record."""

    cursor: str
    event: str
    kind: str
    workspace: str
    name: str
    id: str
    revision: int
    at: str
    actor: str | None
    request_id: str | None
    reason: str | None
    cause: str | None
    changed: list[str]
    record: dict[str, Any] | None


class EventPageBody(Shown):
    """Changes in their order. `next_cursor` is where to go on, also when there is nothing yet."""

    data: list[EventBody]
    next_cursor: str


_ANSWERS = answers_of(200, EventPageBody, LIST)
_ANSWERS[200]["content"] |= {"text/event-stream": {"schema": {"type": "string"}}}


@router.get("/events", operation_id="list_events", summary="Read the feed of changes", responses=_ANSWERS)
async def list_events(
    request: Request,
    after: Annotated[
        str | None, Query(max_length=20, description="The cursor to go on from; `latest` for the end.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    workspace: Annotated[str | None, Query(max_length=255, description="Only the changes in that workspace.")] = None,
    kind: Annotated[list[str] | None, Query(max_length=20, description="Only the changes of these kinds.")] = None,
    last_event_id: Annotated[str | None, Header(description="Where a stream goes on after a cut.")] = None,
) -> Response:
    """Every change once, in order. With `Accept: text/event-stream` they are sent as they happen."""
    context = context_of(request)
    wanted = EventFilter(workspace, frozenset(_kinds(kind or [])))
    streaming = b"text/event-stream" in (header(request, b"accept") or b"")
    resumed = last_event_id if streaming and last_event_id else after
    start = await last_event(context) if resumed == _LATEST else _cursor(resumed)
    if streaming:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(
            _stream(request, server_of(request).stopping, start, wanted),
            media_type="text/event-stream",
            headers=headers,
        )
    page = await read_events(context, start, limit, wanted)
    return answers.json({"data": page.events, "next_cursor": str(page.last)})


def _kinds(kinds: list[str]) -> list[str]:
    names = [name for kind in kinds for name in kind.split(",")]
    for name in names:
        if name not in KINDS:
            message = f"unknown kind {name[:100]!r}; kinds: {', '.join(KINDS)}"
            raise InvalidParameters.of(("query", "kind"), "kind", message)
    return names


def _cursor(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        message = "send 'next_cursor', or the 'cursor' of an event, as it was answered"
        raise InvalidParameters.of(("query", "after"), "cursor", message)
    return int(text)


async def _stream(request: Request, stopping: Stopping, start: int, wanted: EventFilter) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    last = start
    while not stopping.asked:
        context = await context_again(request)
        if context is None:
            return  # whoever asks again hears why
        bell = context.store.changed.listen()
        page = await read_events(context, last, _STREAM_PAGE, wanted)
        for event in page.events:
            yield _sse(event)
        moved, last = page.last != last, page.last
        if page.more or moved:
            continue
        await bell.wait(_HEARTBEAT_SECONDS)
        yield b": here\n\n"


def _sse(event: dict[str, Any]) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event["cursor"].encode(), event["event"].encode(), orjson.dumps(event))
