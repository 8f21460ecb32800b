"""What a caller reads: the records that they may see, and nothing else, as if there were nothing else.

It stands between the actions that read and the store, so that no list, filter, count, reference or feed has to think of
it. What can be asked for by a record's own id is let through: who has the id has found the record here. A method that
nobody has thought of is refused.

Writes see everything, for they have to keep it whole; whom they may touch, they ask by name (`Caller.require`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from steelyard.actions.context import Context
from steelyard.records.access import Access
from steelyard.records.audit import StoredEntry
from steelyard.records.history import DeletedRow, Revision
from steelyard.records.kinds import Row
from steelyard.records.lineage import Relative
from steelyard.records.names import Reference
from steelyard.records.permissions import KIND_PERMISSIONS
from steelyard.records.usage import Place, UsageQuery, UsageRow, UsageSum
from steelyard.store.protocol import Key, Query, ReadTransaction, Store, WriteTransaction

T = TypeVar("T")
_READS = frozenset(f"{begin}.{end}" for begin in KIND_PERMISSIONS.values() for end in ("list", "read"))
_BY_ID = frozenset(
    {
        *("content", "revision", "revision_at", "revisions", "count_revisions", "created", "last_event", "inspection"),
        *("find_answer", "webhook_state", "webhook_start", "deliveries", "count_deliveries", "find_delivery"),
        *("head_commit", "commit_of_id", "commits", "file_at", "files_at", "blob", "blobs_from", "last_audit"),
        *("keys", "key", "bindings", "binding", "workspace_has"),
    }
)


def guarded(context: Context, access: Access) -> Context:
    """The context in which somebody with that access reads."""
    if access.everywhere >= _READS:
        return context
    return replace(context, store=_GuardedStore(context.store, access))


class _GuardedStore:
    """A store whose reads are guarded."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access
        self.changed = store.changed

    async def read(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        return await self._store.read(lambda tx: action(_guarded(tx, self._access)))

    async def scan(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        return await self._store.scan(lambda tx: action(_guarded(tx, self._access)))

    async def write(
        self, action: Callable[[WriteTransaction], Awaitable[T]], *, heavy: bool = False, dry_run: bool = False
    ) -> T:
        return await self._store.write(action, heavy=heavy, dry_run=dry_run)

    def watch(self, watcher: Callable[[Sequence[Key]], None]) -> None:
        self._store.watch(watcher)

    async def ready(self) -> bool:
        return await self._store.ready()

    async def close(self) -> None:
        await self._store.close()


def _guarded(tx: ReadTransaction, access: Access) -> ReadTransaction:
    return cast("ReadTransaction", _GuardedTransaction(tx, access))


class _GuardedTransaction:
    """One view of the database, less what is not there for the caller."""

    def __init__(self, tx: ReadTransaction, access: Access) -> None:
        self._tx = tx
        self._access = access

    def __getattr__(self, name: str) -> Any:
        if name not in _BY_ID:
            raise AttributeError(f"nobody has said who may call {name}")
        return getattr(self._tx, name)

    def _sees(self, kind: str, workspace: str, name: str) -> bool:
        return self._access.sees(kind, workspace, name)

    async def find(self, kind: str, workspace: str, name: str) -> Row | None:
        row = await self._tx.find(kind, workspace, name) if self._sees(kind, workspace, name) else None
        return None if row is None else self._shown(row)

    async def exists(self, kind: str, workspace: str, name: str) -> bool:
        return self._sees(kind, workspace, name) and await self._tx.exists(kind, workspace, name)

    async def select(self, query: Query) -> list[Row]:
        return [self._shown(row) for row in await self._tx.select(self._narrowed(query))]

    async def count(self, query: Query) -> int:
        return await self._tx.count(self._narrowed(query))

    async def referrers(self, kind: str, target: Reference, besides: str, limit: int) -> list[tuple[Row, str]]:
        found = await self._tx.referrers(kind, target, besides, limit)
        return [(self._shown(row), field) for row, field in found if self._sees(row.kind, row.workspace, row.name)]

    async def count_referrers(self, kind: str, target: Reference, besides: str) -> int:
        return len(await self.referrers(kind, target, besides, 10_000))

    async def workspace_referrers(self, workspace: str) -> list[tuple[str, Reference]]:
        found = await self._tx.workspace_referrers(workspace)
        return [(kind, one) for kind, one in found if self._sees(kind, one.workspace, one.name)]

    async def children(self, id: str, limit: int) -> list[Row]:
        found = await self._tx.children(id, limit)
        return [row for row in found if self._sees(row.kind, row.workspace, row.name)]

    async def lineage(self, model: Reference, *, up: int, down: int, limit: int) -> list[Relative]:
        found = await self._tx.lineage(model, up=up, down=down, limit=limit)
        return [kept for one in found if (kept := self._relative(one)) is not None]

    async def find_deleted(self, kind: str, workspace: str, name: str) -> DeletedRow | None:
        return await self._tx.find_deleted(kind, workspace, name) if self._sees(kind, workspace, name) else None

    async def deleted_with(self, id: str) -> list[DeletedRow]:
        found = await self._tx.deleted_with(id)
        return [row for row in found if self._sees(row.kind, row.workspace, row.name)]

    async def caused(self, id: str) -> list[Revision]:
        found = await self._tx.caused(id)
        return [one for one in found if self._sees(one.kind, one.workspace, one.name)]

    async def events(self, after: int, limit: int) -> list[Revision]:
        """As many as there are among `limit`; there may be more when these are fewer, and their last number is told."""
        seen: list[Revision] = []
        while len(seen) < limit:
            found = await self._tx.events(after, limit)
            seen += [one for one in found if self._sees(one.kind, one.workspace, one.name)]
            if len(found) < limit:
                break
            after = found[-1].seq
        return seen[:limit]

    async def blob_users(self, digest: str, limit: int) -> list[tuple[Reference, str]]:
        found = await self._tx.blob_users(digest, limit)
        return [(one, path) for one, path in found if self._sees("fileset", one.workspace, one.name)]

    async def usage(
        self, query: UsageQuery, *, newest_first: bool, after: Place | None, limit: int
    ) -> list[tuple[Place, UsageRow]]:
        return await self._tx.usage(self._usage(query), newest_first=newest_first, after=after, limit=limit)

    async def sum_usage(self, query: UsageQuery, groups: Sequence[str], limit: int) -> list[UsageSum]:
        return await self._tx.sum_usage(self._usage(query), groups, limit)

    async def audit(self, *, workspaces: Sequence[str] | None = None, **asked: Any) -> list[StoredEntry]:
        may = self._access.workspaces("audit.read")
        if may is not None:
            workspaces = sorted(may if workspaces is None else may.intersection(workspaces))
        return await self._tx.audit(workspaces=workspaces, **asked)

    def _narrowed(self, query: Query) -> Query:
        may = self._access.workspaces(f"{KIND_PERMISSIONS[query.kind]}.list")
        if may is None:
            return query
        return replace(query, workspaces=may if query.workspaces is None else may & query.workspaces)

    def _usage(self, query: UsageQuery) -> UsageQuery:
        may = self._access.workspaces("usage.read")
        return query if may is None else query._replace(workspaces=tuple(sorted(may)))

    def _shown(self, row: Row) -> Row:
        """A model without the adapters in workspaces that the caller does not see."""
        if row.kind != "model" or not row.fields.get("adapters"):
            return row
        adapters = row.fields["adapters"]
        seen = [one for one in adapters if self._sees("adapter", one["workspace"], one["name"])]
        return row if len(seen) == len(adapters) else row._replace(fields={**row.fields, "adapters": seen})

    def _relative(self, one: Relative) -> Relative | None:
        """An ancestor that is not there for the caller is external, as far as they know; a descendant is not at all."""
        if self._sees(one.kind, one.reference.workspace, one.reference.name):
            return one
        if one.direction == "down":
            return None
        return one._replace(here=False, has_workspace=False, finetuning_type=None, fileset=None)
