"""Reads a list as far as it is wanted."""

from dataclasses import dataclass
from typing import Any

from steelyard.cli.client import Query
from steelyard.cli.output import progress
from steelyard.cli.session import Session

# Fewer round trips for a whole list, and answers that are still small.
_WALK_PAGE_SIZE = 500


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
    """A list from `page` on: all of it, at most `limit`, or else the one page."""
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
