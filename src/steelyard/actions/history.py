"""The history of records: reading it, and going back in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.actions import writes
from steelyard.actions.adapters import tell_base
from steelyard.actions.context import Caller, Context
from steelyard.actions.hidden import load_content
from steelyard.actions.records import missing, past_row, require_workspace, shown
from steelyard.actions.writes import Rules, Write, Written
from steelyard.errors import AlreadyExists, InvalidInput, NotFound
from steelyard.records.conditions import Conditions
from steelyard.records.diff import differences, merge_patch_between, shown_fields
from steelyard.records.documents import content_digests, whole
from steelyard.records.history import DeletedRow, Revision
from steelyard.records.kinds import Document, Fields, Kind, Row
from steelyard.records.patch import DocumentChange, apply_document
from steelyard.records.permissions import KIND_PERMISSIONS
from steelyard.records.registry import KINDS
from steelyard.records.workspaces import WORKSPACE
from steelyard.store.protocol import ReadTransaction, WriteTransaction


@dataclass(frozen=True, slots=True)
class Revisions:
    """A page of a record's history, newest first."""

    documents: list[Document]
    total: int
    following: int | None
    """The number that the next page starts with."""


async def identify(tx: ReadTransaction, kind: Kind, workspace: str, name: str) -> str:
    """The id of the record of that name, or of the last one that had it and was deleted. Raises NotFound."""
    row = await tx.find(kind.name, workspace, name)
    if row is not None:
        return row.id
    deleted = await tx.find_deleted(kind.name, workspace, name)
    if deleted is None:
        raise missing(kind, workspace, name)
    return deleted.id


async def list_revisions(
    context: Context, kind: Kind, workspace: str, name: str, *, newest: int | None, offset: int, limit: int
) -> Revisions:
    """A page of a record's history: from the revision `newest` down if given, else after `offset` of them."""

    async def action(tx: ReadTransaction) -> Revisions:
        id = await identify(tx, kind, workspace, name)
        total = await tx.count_revisions(id)
        last = await tx.revisions(id, 2**62, 1)
        start = newest if newest is not None else (last[0].revision - offset if last else 0)
        # One more than asked for: what the oldest of the page was before.
        found = await tx.revisions(id, start, limit + 1)
        page = found[:limit]
        befores = [*found[1:], None] if len(found) <= limit else found[1:]
        documents = [_document(kind, revision, before) for revision, before in zip(page, befores, strict=False)]
        return Revisions(documents, total, page[-1].revision - 1 if len(found) > limit else None)

    return await context.store.scan(action)


def _document(kind: Kind, revision: Revision, before: Revision | None) -> Document:
    """A revision as it is answered: what changed, before and after, with secrets masked."""
    old = shown_fields(kind, before.fields or {}) if before else {}
    new = shown_fields(kind, revision.fields or {})
    named = revision.changed if before and before.fields else list(new)
    return {
        "revision": revision.revision,
        "action": revision.action,
        "at": revision.at,
        "actor": revision.actor,
        "request_id": revision.request_id,
        "reason": revision.reason,
        "cause": revision.cause,
        "changed": named,
        "before": {field: old.get(field) for field in named} if before and before.fields else None,
        "after": {field: new.get(field) for field in named} if revision.fields is not None else None,
    }


async def get_past(
    context: Context,
    kind: Kind,
    workspace: str,
    name: str,
    *,
    revision: int | None = None,
    at: str | None = None,
    verbose: bool = False,
) -> tuple[Row, Document]:
    """The record as it was at a revision or a time. Raises NotFound if it was not there then."""

    async def action(tx: ReadTransaction) -> tuple[Row, Document]:
        id = await identify(tx, kind, workspace, name)
        found = await (tx.revision(id, revision) if revision is not None else tx.revision_at(id, at or ""))
        when = f"at revision {revision}" if revision is not None else f"at {at}"
        if found is None or found.fields is None:
            raise NotFound(f"{kind.title} {name!r} was not there {when}")
        row = await past_row(tx, found)
        return row, await shown(tx, kind, row, verbose=verbose)

    return await context.store.read(action)


async def compare(context: Context, kind: Kind, workspace: str, name: str, first: int, second: int) -> Document:
    """What differs between two revisions, as a list of paths and as a merge patch. Raises NotFound."""

    async def action(tx: ReadTransaction) -> Document:
        id = await identify(tx, kind, workspace, name)
        fields = [await _fields_at(tx, kind, name, id, number) for number in (first, second)]
        states = [await _whole_fields(tx, kind, one) for one in fields]
        return {
            "from": first,
            "to": second,
            "diff": differences(kind, *fields),
            "merge_patch": merge_patch_between(*states),
        }

    return await context.store.scan(action)


async def _fields_at(tx: ReadTransaction, kind: Kind, name: str, id: str, number: int) -> Fields:
    found = await tx.revision(id, number)
    if found is None or found.fields is None:
        raise NotFound(f"{kind.title} {name!r} was not there at revision {number}")
    return found.fields


async def _whole_fields(tx: ReadTransaction, kind: Kind, fields: Fields) -> Document:
    """The fields that a caller can write, with their large values; a secret, which no patch can say, is a mask."""
    contents = {digest: await load_content(tx, digest) for digest in content_digests(kind, fields)}
    row = Row(kind.name, "", "", "", 0, "", "", fields)
    document = whole(kind, row, contents=contents)
    return {field: document[field] for field in fields if field not in kind.read_only}


def revert(
    context: Context,
    caller: Caller,
    kind: Kind,
    workspace: str,
    name: str,
    number: int,
    conditions: Conditions,
    rules: Rules,
    *,
    verbose: bool = False,
) -> Write:
    """Makes a record what it was at a revision: one change, which stands in the history like any other.

    What it was is validated as if it were sent now. Performed, it raises NotFound, InvalidInput, PreconditionFailed and
    what `rules` raise.
    """

    caller.require(f"{KIND_PERMISSIONS[kind.name]}.update", writes.home_of(kind, workspace, name))

    async def run(tx: WriteTransaction) -> Written:
        before = await tx.find(kind.name, workspace, name)
        await writes.check_conditions(tx, kind, before, conditions)
        if before is None:
            raise missing(kind, workspace, name)
        fields = await _fields_at(tx, kind, name, before.id, number)
        document = await _whole_fields(tx, kind, fields)
        was = DocumentChange(lambda base: {**base, **document})
        apply_document(kind, before, {}, was, context.policy)
        # What the server alone writes does not go back.
        fields = {**fields, **{key: before.fields.get(key) for key in kind.order if key in kind.read_only}}
        row = await writes.change_fields(
            tx, context, caller, kind, before, fields, rules, verb="revert", stored_form=True
        )
        await tell_base(tx, context, caller, row, row)
        return Written(kind, before, row, await shown(tx, kind, caller.shown(row), verbose=verbose))

    return Write(kind, "revert", run)


def undelete(
    context: Context, caller: Caller, kind: Kind, workspace: str, name: str, conditions: Conditions, rules: Rules
) -> Write:
    """Brings a deleted record back, with what went with it. Performed, it raises NotFound, PreconditionFailed,
    AlreadyExists if another has the name by now, InvalidParameters if its workspace is gone, and what `rules` raise.
    """
    caller.require("records.undelete", None if kind is WORKSPACE else workspace)

    async def run(tx: WriteTransaction) -> Written:
        if workspace:
            await require_workspace(tx, workspace)
        deleted = await tx.find_deleted(kind.name, workspace, name)
        if deleted is None:
            if await tx.exists(kind.name, workspace, name):
                raise AlreadyExists(f"{kind.title} {name!r} is not deleted")
            raise missing(kind, workspace, name)
        conditions.check_write(await tx.find(kind.name, workspace, name))
        # It is validated as if it were sent now: what it refers to may be gone by now.
        fields = dict(deleted.fields)
        await rules(tx, context, caller, _as_row(deleted)._replace(fields={}), fields)
        deleted = deleted._replace(fields=fields)
        let_go = await tx.caused(deleted.id)
        row = await _bring_back(tx, context, caller, deleted)
        for other in await tx.deleted_with(deleted.id):
            await _bring_back(tx, context, caller, other, cause=deleted.id)
        for revision in let_go:
            await _take_hold_again(tx, context, caller, revision, cause=deleted.id)
        return Written(kind, None, row, await shown(tx, kind, caller.shown(row), verbose=False))

    return Write(kind, "undelete", run, heavy=True)


async def _bring_back(
    tx: WriteTransaction, context: Context, caller: Caller, deleted: DeletedRow, cause: str | None = None
) -> Row:
    now = context.now()
    row = Row(
        deleted.kind,
        deleted.id,
        deleted.workspace,
        deleted.name,
        deleted.revision + 1,
        deleted.created_at,
        now,
        deleted.fields,
        deleted.created_by,
        caller.name,
        deleted.parent,
    )
    await tx.forget_deleted(deleted.id)
    links = KINDS[row.kind].links(row.fields, row.workspace)
    await tx.insert(row, links, caller.note("undelete", now, cause))
    if cause is None or cause != row.parent:
        await tell_base(tx, context, caller, row, row)
    return row


async def _take_hold_again(
    tx: WriteTransaction, context: Context, caller: Caller, revision: Revision, cause: str
) -> None:
    """What a record let go of in `revision`, it takes up again, unless it has something else by now."""
    row = await tx.find(revision.kind, revision.workspace, revision.name)
    before = await tx.revision(revision.record_id, revision.revision - 1)
    if row is None or row.id != revision.record_id or before is None or before.fields is None or not revision.fields:
        return
    again = {
        field: before.fields[field] for field in revision.changed if row.fields.get(field) == revision.fields.get(field)
    }
    fields = {**row.fields, **again}
    await writes.change_fields(tx, context, caller, KINDS[row.kind], row, fields, cause=cause, stored_form=True)


def purge(context: Context, caller: Caller, write: Write, workspace: str, name: str, conditions: Conditions) -> Write:
    """A delete after which nothing is kept, also of a record that is deleted already. It raises what that does."""
    caller.require("records.purge", writes.home_of(write.kind, workspace, name))

    async def run(tx: WriteTransaction) -> Written:
        gone = None
        if await tx.exists(write.kind.name, workspace, name):
            gone = await write.run(tx)
        else:
            conditions.check_write(None)
        deleted = await tx.find_deleted(write.kind.name, workspace, name)
        if deleted is None:
            raise missing(write.kind, workspace, name)
        within = await (tx.deleted_in(name) if write.kind is WORKSPACE else tx.deleted_with(deleted.id))
        await purge_deleted(tx, context, caller, [deleted, *within])
        if any(KINDS[row.kind].contents for row in (deleted, *within)):
            await tx.sweep_contents()
        return gone or Written(write.kind, _as_row(deleted), None)

    return Write(write.kind, "purge", run, heavy=True)


async def purge_deleted(tx: WriteTransaction, context: Context, caller: Caller, rows: Sequence[DeletedRow]) -> None:
    """Removes deleted records for good, with their histories."""
    for deleted in rows:
        await tx.purge(deleted, caller.note("purge", context.now()))


def _as_row(deleted: DeletedRow) -> Row:
    return Row(
        deleted.kind,
        deleted.id,
        deleted.workspace,
        deleted.name,
        deleted.revision,
        deleted.created_at,
        deleted.deleted_at,
        deleted.fields,
        deleted.created_by,
    )


def read_revert(body: Any) -> int:
    """The number in the body of a revert, `{"revision": N}`. Raises InvalidInput."""
    if not isinstance(body, dict):
        raise InvalidInput.of(("body",), "model_attributes_type", "must be a JSON object")
    extra = [key for key in body if key != "revision"]
    number = body.get("revision")
    if extra:
        raise InvalidInput.of(("body", extra[0]), "unknown_field", f"unknown field {extra[0][:200]!r}; valid: revision")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InvalidInput.of(("body", "revision"), "int_type", "must be the number of a revision, from 1")
    return number
