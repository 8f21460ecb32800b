"""The feed: every change of every record once, in the order in which they became durable."""

from collections.abc import Collection
from dataclasses import dataclass

from steelyard.actions.context import Context
from steelyard.actions.records import past_row, shown
from steelyard.records.history import Revision
from steelyard.records.kinds import Document
from steelyard.records.registry import KINDS
from steelyard.store.protocol import ReadTransaction

# How many changes are looked at for one page: a filter that fits few of them must not make a page take for ever.
_LOOKED_AT = 5000


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which changes a follower wants; None for all workspaces, an empty collection for all kinds."""

    workspace: str | None = None
    kinds: Collection[str] = ()

    def wants(self, revision: Revision) -> bool:
        """Whether the change is one of those. A workspace's own changes are among those of the workspace."""
        home = revision.name if revision.kind == "workspace" else revision.workspace
        return (
            bool(revision.kind)
            and (self.workspace is None or home == self.workspace)
            and (not self.kinds or revision.kind in self.kinds)
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """Changes, and the number after which the next ones are; `more` says that there are some already."""

    events: list[Document]
    last: int
    more: bool


async def read_events(context: Context, after: int, limit: int, wanted: EventFilter) -> EventPage:
    """Up to `limit` changes that follow the one of number `after`."""

    async def action(tx: ReadTransaction) -> EventPage:
        events: list[Document] = []
        last, looked_at = after, 0
        while looked_at < _LOOKED_AT:
            found = await tx.events(last, min(limit, 500))
            for revision in found:
                if len(events) == limit:
                    return EventPage(events, last, more=True)
                last = revision.seq
                if wanted.wants(revision):
                    events.append(await event_document(tx, revision))
            looked_at += len(found)
            if len(found) < min(limit, 500):
                return EventPage(events, last, more=False)
        return EventPage(events, last, more=True)

    return await context.store.scan(action)


async def last_event(context: Context) -> int:
    """The number of the last change."""

    async def action(tx: ReadTransaction) -> int:
        return await tx.last_event()

    return await context.store.read(action)


async def event_document(tx: ReadTransaction, revision: Revision, *, within: str | None = None) -> Document:
    """A change as it is told: who, when, why, which fields, and the record after it (null after a delete).

    `within` is the workspace of whoever is told: of a model, they do not hear of the adapters elsewhere.
    """
    if within is not None and revision.fields and revision.fields.get("adapters"):
        adapters = [one for one in revision.fields["adapters"] if one["workspace"] == within]
        revision = revision._replace(fields={**revision.fields, "adapters": adapters})
    record = None
    if revision.fields is not None:
        record = await shown(tx, KINDS[revision.kind], await past_row(tx, revision), verbose=True)
    return {
        "cursor": str(revision.seq),
        "event": f"{revision.kind}.{revision.action}",
        "kind": revision.kind,
        "workspace": revision.workspace,
        "name": revision.name,
        "id": revision.record_id,
        "revision": revision.revision,
        "at": revision.at,
        "actor": revision.actor,
        "request_id": revision.request_id,
        "reason": revision.reason,
        "cause": revision.cause,
        "changed": revision.changed,
        "record": record,
    }
