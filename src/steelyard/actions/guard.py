"""What a caller reads: the records that they may see, and nothing else, as if there were nothing else.

It stands between the actions that read and the store, so that no list, filter, count, reference or feed has to think of
it. What can be asked for by a record's own id is let through: who has the id has found the record here. A method that
nobody has thought of is refused.

Writes see everything, for they have to keep it whole; whom they may touch, they ask by name (`Caller.require`).
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from steelyard.actions.context import Context
from steelyard.records.access import Access
from steelyard.records.audit import StoredEntry
from steelyard.records.filters.ast import All, Any_, Compare, Filter, Has, Not, Operator, all_of
from steelyard.records.filters.fields import COMMON, FieldType, FilterField
from steelyard.records.history import DeletedRow, Revision, unseen
from steelyard.records.kinds import Row
from steelyard.records.lineage import Relative
from steelyard.records.names import Reference
from steelyard.records.permissions import KIND_PERMISSIONS
from steelyard.records.usage import Place, UsageQuery, UsageRow, UsageSum
from steelyard.store.protocol import ReadTransaction, Store, WriteTransaction
from steelyard.store.queries import Key, Query

T = TypeVar("T")
_VIEW = "guard"
_READS = frozenset(f"{begin}.{end}" for begin in KIND_PERMISSIONS.values() for end in ("list", "read"))
_BY_ID = frozenset(
    {
        *("content", "count_revisions", "created", "last_event", "inspection"),
        *("find_answer", "webhook_state", "webhook_start", "deliveries", "count_deliveries", "find_delivery"),
        *("head_commit", "commit_of_id", "commits", "file_at", "files_at", "blob", "blobs_from", "last_audit"),
        *("keys", "key", "bindings", "binding", "workspace_has"),
    }
)


_WORKSPACE = next(field for field in COMMON if field.column == "workspace")


def guarded(context: Context, access: Access) -> Context:
    """The context in which somebody with that access reads."""
    kept: tuple[Context, Context] | None = access.views.get(_VIEW)
    if kept is not None and kept[0] is context:
        return kept[1]
    if access.everywhere >= _READS:
        made = context
    else:
        made = replace(context, store=_GuardedStore(context.store, access), access=access)
    access.views[_VIEW] = (context, made)
    return made


def unguarded(context: Context) -> Context:
    """The context in which the server itself reads: where what it keeps whole, or holds to a policy, is not the
    caller's to see.
    """
    store = context.store
    return replace(context, store=store.whole, access=None) if isinstance(store, _GuardedStore) else context


class _GuardedStore:
    """A store whose reads are guarded."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = self.whole = store
        self._access = access
        self.changed = store.changed

    # Not coroutine functions themselves, but another's results: a frame less for each read.
    def read(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> Coroutine[Any, Any, T]:
        return self._store.read(lambda tx: action(_guarded(tx, self._access)))

    def scan(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> Coroutine[Any, Any, T]:
        return self._store.scan(lambda tx: action(_guarded(tx, self._access)))

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


class _GuardedTransaction:
    """One view of the database, less what is not there for the caller."""

    __slots__ = ("_access", "_tx")

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
        if not self._access.sees(kind, workspace, name):
            return None
        row = await self._tx.find(kind, workspace, name)
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
        return [self._past(one) for one in found if self._sees(one.kind, one.workspace, one.name)]

    async def revision(self, id: str, number: int) -> Revision | None:
        found = await self._tx.revision(id, number)
        return None if found is None else self._past(found)

    async def revision_at(self, id: str, time: str) -> Revision | None:
        found = await self._tx.revision_at(id, time)
        return None if found is None else self._past(found)

    async def revisions(self, id: str, newest: int, limit: int) -> list[Revision]:
        return [self._past(one) for one in await self._tx.revisions(id, newest, limit)]

    async def events(self, after: int, limit: int) -> list[Revision]:
        """All of them, for who follows has to pass them; of those that the caller does not see, the numbers alone."""
        found = await self._tx.events(after, limit)
        return [self._past(one) if self._sees(one.kind, one.workspace, one.name) else unseen(one) for one in found]

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
        if query.filter is not None:
            query = replace(query, filter=self._children_seen(query.filter))
        if may is None:
            return query
        return replace(query, workspaces=may if query.workspaces is None else may & query.workspaces)

    def _usage(self, query: UsageQuery) -> UsageQuery:
        may = self._access.workspaces("usage.read")
        return query if may is None else query._replace(workspaces=tuple(sorted(may)))

    def _children_seen(self, filter: Filter) -> Filter:
        """The filter with relations that end where the caller sees no further."""
        match filter:
            case Not(of):
                return Not(self._children_seen(of))
            case All(parts) | Any_(parts):
                return type(filter)(tuple(map(self._children_seen, parts)))
            case Has(field, of):
                seen = self._seen_child(field)
                return filter if seen is None else Has(field, all_of((seen, of)))
            case Compare(field, Operator.EXISTS, value) if field.type is FieldType.RELATION:
                if (seen := self._seen_child(field)) is not None:
                    return Not(Has(field, seen)) if value is False else Has(field, seen)
        return filter

    def _seen_child(self, field: FilterField) -> Filter | None:
        """What accepts the children that the caller sees; None where they see all."""
        may = self._access.workspaces(f"{KIND_PERMISSIONS[field.child_kind]}.read")
        return None if may is None else Compare(_WORKSPACE, Operator.IN, tuple(sorted(may)))

    def _shown(self, row: Row) -> Row:
        """A model without the adapters in workspaces that the caller does not see."""
        if not row.fields.get("adapters"):
            return row
        fields = self._access.shown(row.kind, row.fields)
        return row if fields is row.fields else row._replace(fields=fields)

    def _past(self, one: Revision) -> Revision:
        """The same of what a model was."""
        fields = one.fields and self._access.shown(one.kind, one.fields)
        return one if fields is one.fields else one._replace(fields=fields)

    def _relative(self, one: Relative) -> Relative | None:
        """An ancestor that is not there for the caller is external, as far as they know; a descendant is not at all."""
        if self._sees(one.kind, one.reference.workspace, one.reference.name):
            return one
        if one.direction == "down":
            return None
        return one._replace(here=False, has_workspace=False, finetuning_type=None, fileset=None)


_guarded = cast("Callable[[ReadTransaction, Access], ReadTransaction]", _GuardedTransaction)
