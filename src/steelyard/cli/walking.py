"""Reads a list as far as it is wanted."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from steelyard.cli.client import Query
from steelyard.cli.errors import UsageError
from steelyard.cli.output import progress
from steelyard.cli.session import Session

# Fewer round trips for a whole list, and answers that are still small.
_WALK_PAGE_SIZE = 500

All = Annotated[bool, typer.Option("--all", help="Every one, not only the first page.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]
PageSize = Annotated[int | None, typer.Option("--page-size", min=1, max=1000, help="How many a request asks for.")]


@dataclass(frozen=True, slots=True)
class Walked:
    """What was read of a list; `more` says that it goes on."""

    records: list[dict[str, Any]]
    total: int | None
    more: bool

    @property
    def shown(self) -> str:
        """How much of the list this is, for a person."""
        of = f" of {self.total:,}" if self.total else ""
        return f"{len(self.records):,}{of} shown"


def walk(
    session: Session,
    path: str,
    query: Query,
    *,
    all: bool = False,
    limit: int | None = None,
    page: int | None = None,
    page_size: int | None = None,
) -> Walked:
    """A list from `page` on: all of it, at most `limit`, or else one page. Raises `UsageError` for two of these."""
    if all and limit:
        raise UsageError("--all and --limit exclude each other")
    size = page_size or (_WALK_PAGE_SIZE if all else min(limit, _WALK_PAGE_SIZE) if limit else None)
    asked = {**query, "page_size": size} if size else query
    records: list[dict[str, Any]] = []
    show = progress(session.output.quiet)
    total, last = None, True
    for part in session.client.pages(path, asked, sort=str(query["sort"]) if "sort" in query else None, first=page):
        records += part.records
        total, last = part.total, part.last
        if not (all or limit) or (limit and len(records) >= limit):
            break
        if not last:
            show(len(records), total)
    show(0, None)
    cut = len(records) > limit if limit else False
    return Walked(records[:limit], total, cut or not last)


def tell_rest(session: Session, found: Walked, nothing: str) -> None:
    """For the person at the terminal: that nothing was found, in the words of `nothing`, or that there is more."""
    if not found.records:
        session.output.note(nothing)
    elif found.more:
        session.output.note(f"{found.shown}; --all shows every one")
