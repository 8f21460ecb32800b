"""Lists: pages by number, walks by cursor, filters and sorts; the same for every kind of record."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from fastapi import Query as QueryParameter
from pydantic import BaseModel, create_model
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.records import list_all
from steelyard.api import answers
from steelyard.api.requests import context_of
from steelyard.errors import BadCursor, InvalidParameters
from steelyard.records.documents import without_nulls
from steelyard.records.filters.ast import Filter, all_of
from steelyard.records.filters.echo import echo
from steelyard.records.filters.parse import parse_filter
from steelyard.records.forms import Shown
from steelyard.records.kinds import SORTS, Kind
from steelyard.records.workspaces import EVERY_WORKSPACE
from steelyard.store.queries import Query

PageNumber = Annotated[int, QueryParameter(ge=1, le=2**31, description="Number of the page, from 1.")]
PageSize = Annotated[int, QueryParameter(ge=1, le=1000, description="Rows on a page.")]
Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=2048,
        description="`pagination.next_cursor` of the page before. A walk by cursor shows no row twice and misses none, "
        "whatever is written meanwhile.",
    ),
]
FilterText = Annotated[
    str | None,
    QueryParameter(
        alias="filter",
        description='A filter as JSON (`{"name": {"$like": "llama"}}`) or text (`name~"llama"`); or, in brackets, '
        "`filter[name][$like]=llama`.",
    ),
]

# A walk is exact only along values that never change.
_CONSTANT_SORTS = frozenset({"created_at", "name"})


class PaginationData(Shown):
    """Where in the list a page is. `next_cursor` is null on the last page, and for sorts by a value that changes."""

    page: int
    page_size: int
    current_page_size: int
    total_pages: int
    total_results: int
    next_cursor: str | None = None


def sorts_of(kind: Kind) -> Any:
    """The type of the parameter `sort` of a list."""
    own = (f"{sign}{name}" for name in kind.more_sorts for sign in ("", "-"))
    return Literal[(*SORTS, *own)]


def page_of(answer: type[BaseModel]) -> type[BaseModel]:
    """The schema of a page of such answers."""
    return create_model(
        f"Page_{answer.__name__}_",
        __base__=Shown,
        data=(list[answer], ...),  # type: ignore[valid-type]
        pagination=(PaginationData | None, None),
        sort=(str | None, None),
        filter=(dict[str, Any] | None, None),
    )


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The parameters of a list, as the caller gave them."""

    page: int
    page_size: int
    sort: str
    cursor: str | None


async def list_records(
    request: Request,
    kind: Kind,
    workspace: str,
    wanted: ListRequest,
    *,
    verbose: bool = False,
    echo_filter: bool = False,
    narrowed: Filter | None = None,
) -> Response:
    """A page of the records of `kind` that `narrowed` accepts. Raises BadFilter, BadCursor, InvalidParameters."""
    filter = parse_filter(request.query_params.multi_items(), kind.filters, home=workspace)
    descending, sort = wanted.sort.startswith("-"), wanted.sort.removeprefix("-")
    echoed = echo(filter) if filter else None
    if narrowed is not None:
        filter = all_of((filter, narrowed)) if filter else narrowed
    mark = _fingerprint(kind.name, workspace, wanted.sort, echo(filter) if filter else None)
    page, after = wanted.page, None
    if wanted.cursor:
        page, after = _read_cursor(wanted, sort, mark)
    query = Query(
        kind=kind.name,
        workspace=None if workspace == EVERY_WORKSPACE else workspace,
        sort=sort,
        descending=descending,
        limit=wanted.page_size,
        offset=0 if after else (page - 1) * wanted.page_size,
        filter=filter,
        after=after,
    )
    listed = await list_all(context_of(request), kind, query, verbose=verbose)
    documents = listed.documents
    if kind.omits_nulls:
        documents = [without_nulls(kind, document) for document in documents]
    following = None
    if listed.following and sort in _CONSTANT_SORTS:
        following = _write_cursor(mark, page + 1, listed.following)
    body: dict[str, Any] = {
        "data": documents,
        "pagination": {
            "page": page,
            "page_size": wanted.page_size,
            "current_page_size": len(documents),
            "total_pages": -(-listed.total // wanted.page_size),
            "total_results": listed.total,
            "next_cursor": following,
        },
        "sort": wanted.sort,
    }
    if echo_filter:
        body["filter"] = echoed
    return answers.json(body)


def _fingerprint(kind: str, workspace: str, sort: str, filter: Any) -> str:
    """A short mark of the list that a cursor belongs to."""
    text = orjson.dumps([kind, workspace, sort, filter], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def _write_cursor(mark: str, page: int, last: tuple[str, str]) -> str:
    parts = [mark, page, *last]
    return base64.urlsafe_b64encode(orjson.dumps([_check(parts), *parts])).decode().rstrip("=")


def _check(parts: list[Any]) -> str:
    """A sum that shows a damaged cursor, which would leave rows out in silence. It is no secret, and guards none."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:8]


def _read_cursor(wanted: ListRequest, sort: str, mark: str) -> tuple[int, tuple[str, str]]:
    if wanted.page != 1:
        message = "a cursor says where its page is; leave out 'page'"
        raise InvalidParameters.of(("query", "page"), "cursor_with_page", message)
    if sort not in _CONSTANT_SORTS:
        message = f"a walk by cursor needs a sort whose values never change: {', '.join(sorted(_CONSTANT_SORTS))}"
        raise InvalidParameters.of(("query", "sort"), "cursor_sort", message)
    text = wanted.cursor or ""
    try:
        parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        parts = None
    match parts:
        case [check, str(found), int(page), str(value), str(id)] if check == _check(parts[1:]):
            if found != mark:
                message = "this cursor belongs to another list: send it with the same workspace, sort and filter"
                raise BadCursor(message, parameter="cursor")
            return page, (value, id)
        case _:
            message = "not a cursor of this server; send 'pagination.next_cursor' as it was answered"
            raise BadCursor(message, parameter="cursor")
