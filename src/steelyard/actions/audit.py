"""The audit as it is read: by the page, all of it, and whether it is whole."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from steelyard.actions.context import Caller, Context
from steelyard.records.audit import Chain, StoredEntry
from steelyard.store.protocol import ReadTransaction, WriteTransaction

READ = "audit.read"
_PAGE = 1000
_LAST = 2**62


class AuditQuery(NamedTuple):
    """Which entries are asked for: those whose fields are `equal`, of a workspace, and of a time."""

    equal: tuple[tuple[str, str], ...] = ()
    workspace: str | None = None
    since: str | None = None
    until: str | None = None


class AuditPage(NamedTuple):
    """Entries, and the number after which the next ones are; None on the last page."""

    entries: list[StoredEntry]
    following: int | None


async def list_audit(
    context: Context, caller: Caller, query: AuditQuery, after: int | None, limit: int, *, newest_first: bool = True
) -> AuditPage:
    """A page of the entries of the workspaces whose audit the caller may read; for the whole server, all of them."""
    workspaces = _workspaces(caller, query.workspace)
    start = (_LAST if newest_first else 0) if after is None else after

    async def action(tx: ReadTransaction) -> list[StoredEntry]:
        return await tx.audit(
            after=start,
            limit=limit + 1,
            newest_first=newest_first,
            workspaces=workspaces,
            equal=query.equal,
            since=query.since,
            until=query.until,
        )

    found = await context.store.scan(action)
    return AuditPage(found[:limit], found[limit - 1].seq if len(found) > limit else None)


def _workspaces(caller: Caller, asked: str | None) -> Sequence[str] | None:
    may = caller.access.workspaces(READ) if caller.access is not None else None
    if asked is None:
        return None if may is None else sorted(may)
    return [asked] if may is None or asked in may else []


async def all_audit(context: Context, caller: Caller, query: AuditQuery) -> AsyncIterator[list[StoredEntry]]:
    """The same entries up to now, oldest first, page by page."""
    page = await list_audit(context, caller, query, None, _PAGE, newest_first=False)
    yield page.entries
    while page.following is not None:
        page = await list_audit(context, caller, query, page.following, _PAGE, newest_first=False)
        yield page.entries


async def verify_audit(context: Context, noted: str | None) -> Chain:
    """Holds all entries against their hashes, up to the first one that is not as it was written."""
    chain, whole = Chain(noted), True
    while whole:

        async def action(tx: ReadTransaction) -> list[StoredEntry]:
            return await tx.audit(after=chain.rows, limit=_PAGE)

        found = await context.store.scan(action)
        whole = bool(found) and all(chain.add(stored) for stored in found)
    return chain


async def note_done(
    context: Context, caller: Caller, action: str, kind: str, workspace: str | None, name: str, detail: str = ""
) -> None:
    """Writes down what somebody does that changes no record: before it is done, so that it is never done unseen."""
    if caller.by is not None:
        await context.store.write(lambda tx: note_in(tx, context, caller, action, kind, workspace, name, detail))


async def note_in(
    tx: WriteTransaction,
    context: Context,
    caller: Caller,
    action: str,
    kind: str,
    workspace: str | None,
    name: str,
    detail: str = "",
) -> None:
    """Writes it down beside what it does. A server without authentication keeps no audit: it knows nobody."""
    if caller.by is not None:
        await tx.put_audit(caller.entry(context.now(), action, kind, workspace, name, detail))
