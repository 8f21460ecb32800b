"""Usage as it is asked for: row by row, in sums, or all of it; and what is left of it when its time is over.

The rows of a workspace outlive it, because they are accounts. A workspace that is made anew under an old name does not
have those of the old one: they are only among those of all workspaces.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

from steelyard.actions.context import Context
from steelyard.actions.records import missing
from steelyard.records.usage import Place, Spent, UsageQuery, UsageRow, UsageSum
from steelyard.records.workspaces import WORKSPACE
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_EXPORT_PAGE = 1000
# How many rows one write removes: others wait for it.
_REMOVED_AT_ONCE = 5000
_MONTH = slice(0, 7)
_DAY = slice(0, 10)


class UsagePage(NamedTuple):
    """Rows, and the place after which the next ones are; None on the last page."""

    rows: list[UsageRow]
    following: Place | None


class UsageSums(NamedTuple):
    """The groups with the most requests, those of a day or an hour in its order; `more` says that there are others."""

    groups: list[UsageSum]
    more: bool


async def list_usage(context: Context, query: UsageQuery, after: Place | None, limit: int) -> UsagePage:
    """A page of usage, newest first. Raises NotFound for a workspace that is not there."""
    return await _page(context, query, after, limit, newest_first=True)


async def all_usage(context: Context, query: UsageQuery) -> AsyncIterator[list[UsageRow]]:
    """All usage up to now, oldest first, page by page. Raises NotFound at once."""
    query = query._replace(until=min(query.until or context.now(), context.now()))
    first = await _page(context, query, None, _EXPORT_PAGE, newest_first=False)

    async def pages() -> AsyncIterator[list[UsageRow]]:
        page = first
        yield page.rows
        while page.following is not None:
            page = await _page(context, query, page.following, _EXPORT_PAGE, newest_first=False)
            yield page.rows

    return pages()


async def sum_usage(context: Context, query: UsageQuery, groups: tuple[str, ...], limit: int) -> UsageSums:
    """Usage in groups. Raises NotFound for a workspace that is not there."""

    async def action(tx: ReadTransaction) -> UsageSums:
        found = await tx.sum_usage(await _own(tx, query), groups, limit + 1)
        kept = found[:limit]
        for name in ("day", "hour"):
            if name in groups:
                place = groups.index(name)
                kept.sort(key=lambda each: str(each.group[place]))
        return UsageSums(kept, len(found) > limit)

    return await context.store.scan(action)


async def load_spending(context: Context) -> list[Spent]:
    """All that has been spent so far: what budgets begin with."""
    day = context.now()[_DAY]

    async def action(tx: ReadTransaction) -> list[Spent]:
        return await tx.spent(day)

    return await context.store.scan(action)


async def forget_usage(context: Context, keep_seconds: float) -> int:
    """Removes rows that are older than that, and answers how many; what was spent on those days becomes a sum for each
    month. Days of the present month stay days: budgets look at them.
    """
    before, removed = context.ago(keep_seconds), 0

    async def remove(tx: WriteTransaction) -> int:
        return await tx.forget_usage(before, _REMOVED_AT_ONCE)

    async def put_together(tx: WriteTransaction) -> None:
        await tx.put_days_together(min(before[_DAY], f"{context.now()[_MONTH]}-01"))

    while found := await context.store.write(remove, heavy=True):
        removed += found
    await context.store.write(put_together, heavy=True)
    return removed


async def _page(
    context: Context, query: UsageQuery, after: Place | None, limit: int, *, newest_first: bool
) -> UsagePage:
    async def action(tx: ReadTransaction) -> UsagePage:
        own = await _own(tx, query)
        found = await tx.usage(own, newest_first=newest_first, after=after, limit=limit + 1)
        following = found[limit - 1][0] if len(found) > limit else None
        return UsagePage([row for _, row in found[:limit]], following)

    return await context.store.scan(action)


async def _own(tx: ReadTransaction, query: UsageQuery) -> UsageQuery:
    """The query without what a workspace of the same name used before this one was made."""
    if query.workspace is None:
        return query
    row = await tx.find(WORKSPACE.name, "", query.workspace)
    if row is None:
        raise missing(WORKSPACE, "", query.workspace)
    return query._replace(since=max(query.since or "", row.created_at))
