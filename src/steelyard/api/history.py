"""The routes of a record's history: its revisions, what differs between two, and the ways back."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import history
from steelyard.api import answers
from steelyard.api.lists import PageNumber, PaginationData
from steelyard.api.operations import READ, WRITE, answers_of, body_of, id_of
from steelyard.api.requests import context_of
from steelyard.api.resource import revert_record, undelete_record
from steelyard.api.writes import Options
from steelyard.errors import InvalidParameters
from steelyard.records.forms import Form, Shown
from steelyard.records.kinds import Kind


class Revert(Form):
    """To which revision."""

    revision: int


class RevisionBody(Shown):
    """One change; `before` and `after` hold the fields that changed, with secrets masked."""

    revision: int
    action: str
    at: str
    actor: str | None
    request_id: str | None
    reason: str | None
    cause: str | None
    changed: list[str]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class RevisionPage(Shown):
    """A page of a history, newest first."""

    data: list[RevisionBody]
    pagination: PaginationData


class DifferenceBody(Shown):
    """A path at which two revisions differ."""

    path: str
    before: Any
    after: Any


class Comparison(Shown):
    """What differs between two revisions. A merge patch cannot say a secret: it stands there as a mask."""

    from_: int
    to: int
    diff: list[DifferenceBody]
    merge_patch: dict[str, Any]

    model_config = {"alias_generator": lambda name: name.removesuffix("_"), "populate_by_name": True}


def history_routes(router: APIRouter, kind: Kind, home: Any) -> None:
    """Adds the routes of the history of `kind` to its router."""
    one = kind.title.lower()

    @router.get(
        "/{name}/revisions",
        operation_id=f"list_{id_of(one)}_revisions",
        summary=f"List the revisions of a {one}",
        responses=answers_of(200, RevisionPage, READ),
    )
    async def revisions(
        request: Request,
        workspace: home,
        name: str,
        page: PageNumber = 1,
        page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(max_length=20, description="`next_cursor` of the page before.")] = None,
    ) -> Response:
        """Newest first; also of a record that is deleted."""
        newest = _newest(cursor, page)
        found = await history.list_revisions(
            context_of(request), kind, workspace, name, newest=newest, offset=(page - 1) * page_size, limit=page_size
        )
        pagination = {
            "page": page,
            "page_size": page_size,
            "current_page_size": len(found.documents),
            "total_pages": -(-found.total // page_size),
            "total_results": found.total,
            "next_cursor": str(found.following) if found.following else None,
        }
        return answers.json({"data": found.documents, "pagination": pagination})

    @router.get(
        "/{name}/revisions/{span}",
        operation_id=f"compare_{id_of(one)}_revisions",
        summary=f"Compare two revisions of a {one}",
        responses=answers_of(200, Comparison, READ),
    )
    async def compare(
        request: Request,
        workspace: home,
        name: str,
        span: Annotated[str, Path(description="Two numbers, as `3...7`.")],
    ) -> Response:
        """What differs between two revisions, for people as a list of paths, for programs as a merge patch."""
        first, second = _span(span)
        return answers.json(await history.compare(context_of(request), kind, workspace, name, first, second))

    @router.post(
        "/{name}:revert",
        operation_id=f"revert_{id_of(one)}",
        summary=f"Revert a {one} to a revision",
        responses=answers_of(200, kind.answer, WRITE),
        openapi_extra=body_of(Revert),
    )
    async def revert(request: Request, workspace: home, name: str, options: Options) -> Response:
        """One change, which stands in the history like any other, and is validated as of now."""
        return await revert_record(request, kind, workspace, name, options)

    @router.post(
        "/{name}:undelete",
        operation_id=f"undelete_{id_of(one)}",
        summary=f"Undelete a {one}",
        responses=answers_of(200, kind.answer, WRITE),
    )
    async def undelete(request: Request, workspace: home, name: str, options: Options) -> Response:
        """Brings it back with its history, and what went with it."""
        return await undelete_record(request, kind, workspace, name, options)


def _newest(cursor: str | None, page: int) -> int | None:
    if cursor is None:
        return None
    if page != 1:
        raise InvalidParameters.of(
            ("query", "page"), "cursor_with_page", "a cursor says where its page is; leave out 'page'"
        )
    if not cursor.isascii() or not cursor.isdigit():
        raise InvalidParameters.of(("query", "cursor"), "cursor", "send 'pagination.next_cursor' as it was answered")
    return min(int(cursor), 2**62)


def _span(text: str) -> tuple[int, int]:
    first, _, second = text.partition("...")
    numbers = [int(part) for part in (first, second) if part.isascii() and part.isdigit() and len(part) < 16]
    if len(numbers) != 2 or 0 in numbers:
        raise InvalidParameters.of(("path", "span"), "revisions", "must be two numbers of revisions, as 3...7")
    return numbers[0], numbers[1]
