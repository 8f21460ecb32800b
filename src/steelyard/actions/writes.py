"""The writes that all kinds of records share: create, update, delete. Each is prepared (validated as far as it can be
without the record), and then performed in a transaction: alone, in a batch, or for show (`perform.py`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from steelyard.actions.context import Caller, Context
from steelyard.actions.hidden import load_content, seal_secrets, store_contents
from steelyard.actions.records import find_named, missing, require_workspace, shown
from steelyard.errors import Pinned, PreconditionFailed, StillReferenced
from steelyard.records.conditions import Conditions
from steelyard.records.documents import content_digests, whole
from steelyard.records.history import Verb
from steelyard.records.kinds import Document, Fields, Kind, Row
from steelyard.records.names import Reference
from steelyard.records.patch import (
    Change,
    DocumentChange,
    Said,
    apply_change,
    apply_document,
    changed_fields,
    check_echoes,
    read_change,
    read_new,
)
from steelyard.records.permissions import KIND_PERMISSIONS
from steelyard.store.protocol import ReadTransaction, WriteTransaction

Rules = Callable[[WriteTransaction, Context, Caller, Row, Fields], Awaitable[None]]
"""What a kind asks of a change: given the record before (its fields empty if it is new) and the fields after. It may
put references among the fields into their canonical form."""

_REFERRERS_NAMED, _REFERRERS_COUNTED = 20, 10_000


@dataclass(slots=True)  # not frozen: that would take five times as long to make
class Written:
    """What a write did: the record before and after (None where there is none), and how it is answered.

    `dangling` counts the records that still name one that is gone; `released` are those that were made to let go of it.
    """

    kind: Kind
    before: Row | None
    after: Row | None
    document: Document = field(default_factory=dict)
    dangling: int = 0
    released: Sequence[Reference] = ()
    removed: int = 0
    """How many other records went with it."""
    left_behind: Sequence[tuple[str, Reference]] = ()
    """Kind and name of the records that name one of those which went with it."""
    once: Document = field(default_factory=dict)
    """What the answer shows beside the document, this once: it is not kept for a repetition, nor shown in a dry run."""

    @property
    def row(self) -> Row:
        """The record as it is now, or as it was last."""
        row = self.after or self.before
        assert row is not None  # noqa: S101 - a write is always of a record
        return row


class Write(NamedTuple):
    """A write that is prepared. `heavy` says that it may touch many records."""

    kind: Kind
    verb: Verb
    run: Callable[[WriteTransaction], Awaitable[Written]]
    heavy: bool = False


def home_of(kind: Kind, workspace: str, name: str) -> str:
    """The workspace in which permissions about a record are asked: of a workspace, itself."""
    return name if kind.name == "workspace" else workspace


async def no_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """Asks nothing."""


def create(
    context: Context,
    caller: Caller,
    kind: Kind,
    workspace: str,
    body: Any,
    conditions: Conditions,
    rules: Rules = no_rules,
    parent_of: Callable[[WriteTransaction, Fields], Awaitable[str]] | None = None,
) -> Write:
    """A new record, which belongs to the one whose id `parent_of` finds.

    Raises InvalidInput; performed, AlreadyExists, PreconditionFailed and what `rules` and `parent_of` raise.
    """
    caller.require(f"{KIND_PERMISSIONS[kind.name]}.create", None if kind.name == "workspace" else workspace)
    name, change = read_new(kind, body, workspace, context.policy.unknown_fields)

    async def run(tx: WriteTransaction) -> Written:
        if workspace:
            await require_workspace(tx, workspace)
        conditions.check_write(await tx.find(kind.name, workspace, name))
        now = context.now()
        row = Row(kind.name, context.new_id(kind.id_prefix), workspace, name, 1, now, now, {}, caller.name, caller.name)
        fields = dict(change.values)
        fields = seal_secrets(kind, context.vault, row.id, {}, fields)
        fields = await store_contents(tx, kind, fields)
        await rules(tx, context, caller, row, fields)
        row = row._replace(fields=fields, parent=await parent_of(tx, fields) if parent_of else None)
        await tx.insert(row, kind.links(row.fields, workspace), caller.note("create", now))
        return Written(kind, None, row, await shown(tx, kind, caller.shown(row), verbose=True))

    return Write(kind, "create", run)


def update(
    context: Context,
    caller: Caller,
    kind: Kind,
    workspace: str,
    name: str,
    said: Said,
    conditions: Conditions,
    rules: Rules = no_rules,
    *,
    verbose: bool = False,
) -> Write:
    """A change of a record; one that changes nothing writes nothing.

    Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed and what `rules` raise.
    """
    caller.require(f"{KIND_PERMISSIONS[kind.name]}.update", home_of(kind, workspace, name))
    change = read_change(kind, said, workspace, name, context.policy)

    async def run(tx: WriteTransaction) -> Written:
        before, pinned = await find_named(tx, kind, workspace, name)
        if before is not None and before.workspace != workspace and not caller.sees(*_place(before)):
            before = None  # an alias of this workspace stands for what is not there for the caller
        await check_conditions(tx, kind, before, conditions)
        if before is None:
            raise missing(kind, workspace, name)
        if pinned is not None:
            raise Pinned(
                f"{name!r} stands for revision {pinned} of {before.name!r}, which cannot change; change the model"
            )
        if before.workspace != workspace:
            caller.require(f"{KIND_PERMISSIONS[kind.name]}.update", before.workspace)
        fields = await _new_fields(tx, context, caller, kind, before, change)
        row = await change_fields(tx, context, caller, kind, before, fields, rules)
        return Written(kind, before, row, await shown(tx, kind, caller.shown(row), verbose=verbose))

    return Write(kind, "update", run)


async def _new_fields(
    tx: WriteTransaction, context: Context, caller: Caller, kind: Kind, row: Row, change: Change | DocumentChange
) -> Fields:
    if isinstance(change, DocumentChange):
        contents = {digest: await load_content(tx, digest) for digest in content_digests(kind, row.fields)}
        return apply_document(kind, row, whole(kind, row, contents=contents), change, context.policy)
    if change.echoes:
        check_echoes(await shown(tx, kind, caller.shown(row), verbose=False), change.echoes)
    return apply_change(kind, row, change)


async def change_fields(
    tx: WriteTransaction,
    context: Context,
    caller: Caller,
    kind: Kind,
    row: Row,
    fields: Fields,
    rules: Rules = no_rules,
    *,
    verb: Verb = "update",
    cause: str | None = None,
    stored_form: bool = False,
) -> Row:
    """Stores `fields` as the record's next revision, if they differ from what it has and `rules` allow it.

    `stored_form` says that secrets are sealed already and large values stored.
    """
    if not changed_fields(row.fields, fields):
        return row
    if not stored_form:
        fields = seal_secrets(kind, context.vault, row.id, row.fields, fields)
        fields = await store_contents(tx, kind, fields)
    # The rules look at the stored form: there, what is the same looks the same.
    await rules(tx, context, caller, row, fields)
    changed = changed_fields(row.fields, fields)
    if not changed:
        return row
    # A clock that was set back must not make a record older than it was.
    now = max(context.now(), row.updated_at)
    new = row._replace(revision=row.revision + 1, updated_at=now, updated_by=caller.name, fields=fields)
    links = None if kind.link_fields.isdisjoint(changed) else kind.links(fields, row.workspace)
    await tx.update(new, links, caller.note(verb, now, cause), changed)
    return new


def delete(
    context: Context,
    caller: Caller,
    kind: Kind,
    workspace: str,
    name: str,
    conditions: Conditions,
    release: Callable[[WriteTransaction, Row], Awaitable[Sequence[Reference]]] | None = None,
    *,
    heavy: bool = False,
) -> Write:
    """A delete; `release` makes others let go of the record first.

    Performed, it raises NotFound, PreconditionFailed, and StillReferenced where references are protected.
    """
    caller.require(f"{KIND_PERMISSIONS[kind.name]}.delete", home_of(kind, workspace, name))

    async def run(tx: WriteTransaction) -> Written:
        row = await tx.find(kind.name, workspace, name)
        await check_conditions(tx, kind, row, conditions)
        if row is None:
            raise missing(kind, workspace, name)
        target = Reference(workspace, name)
        if context.policy.protect_references:
            referrers = await tx.referrers(kind.name, target, row.id, _REFERRERS_NAMED)
            refuse_referenced(caller, kind, name, [(r.kind, Reference(r.workspace, r.name)) for r, _ in referrers])
        released = await release(tx, row) if release else ()
        dangling = await _dangling(tx, caller, kind, target, row.id)
        await tx.delete(row, caller.note("delete", context.now()))
        return Written(kind, row, None, await shown(tx, kind, caller.shown(row), verbose=False), dangling, released)

    return Write(kind, "delete", run, heavy)


async def _dangling(tx: ReadTransaction, caller: Caller, kind: Kind, target: Reference, id: str) -> int:
    """How many records will name one that is gone, as far as the caller sees them."""
    if caller.access is None:
        return await tx.count_referrers(kind.name, target, id)
    return sum(caller.sees(*_place(row)) for row, _ in await tx.referrers(kind.name, target, id, _REFERRERS_COUNTED))


def _place(row: Row) -> tuple[str, str, str]:
    return row.kind, row.workspace, row.name


def refuse_referenced(caller: Caller, kind: Kind, name: str, referrers: Sequence[tuple[str, Reference]]) -> None:
    """Raises StillReferenced, with the list of those that the caller sees, if there are any referrers."""
    if referrers:
        seen = [(kind_name, one) for kind_name, one in referrers if caller.sees(kind_name, one.workspace, one.name)]
        named = [f"{kind_name} {reference}" for kind_name, reference in seen[:_REFERRERS_NAMED]]
        named = named or ["records that you do not see"]
        raise StillReferenced(
            f"{kind.title} {name!r} is still referenced by: {', '.join(named)}; "
            "change or delete those first (the server protects references)",
            referrers=named,
        )


async def check_conditions(tx: ReadTransaction, kind: Kind, row: Row | None, conditions: Conditions) -> None:
    """Raises PreconditionFailed, which says what has changed since the revision that the caller saw, and by whom."""
    try:
        conditions.check_write(row)
    except PreconditionFailed as failed:
        if row is not None:
            failed.details |= await _changes_since(tx, row, conditions)
        raise


async def _changes_since(tx: ReadTransaction, row: Row, conditions: Conditions) -> dict[str, Any]:
    seen = max((number for number in map(row.revision_of, conditions.match or ()) if number), default=None)
    state = await tx.revision(row.id, seen) if seen else None
    if seen is None or state is None or state.fields is None:
        return {}
    since = [r for r in await tx.revisions(row.id, row.revision, row.revision - seen) if r.revision > seen]
    return {
        "seen_revision": seen,
        "current_revision": row.revision,
        "changed_fields": changed_fields(state.fields, row.fields),
        "changes": [
            {"revision": r.revision, "at": r.at, "actor": r.actor, "reason": r.reason, "changed": r.changed}
            for r in since[:_REFERRERS_NAMED]
        ],
    }
