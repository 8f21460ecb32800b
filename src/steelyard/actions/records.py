"""The use cases that all kinds of records share: create, get, list, update, delete. One transaction each."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from steelyard.actions.context import Caller, Context
from steelyard.actions.hidden import load_content, seal_secrets, store_contents
from steelyard.errors import InvalidParameters, NotFound, StillReferenced
from steelyard.records.conditions import Conditions
from steelyard.records.documents import Document, content_digests, visible
from steelyard.records.kinds import Fields, Kind, Row
from steelyard.records.names import Reference
from steelyard.records.patch import Change, apply_change, changed_fields, check_echoes, read_new, read_update
from steelyard.store.protocol import Query, ReadTransaction, WriteTransaction

Rules = Callable[[WriteTransaction, Context, Row, Fields], Awaitable[None]]
"""What a kind asks of a change: given the record before (its fields empty if it is new) and the fields after."""

_REFERRERS_NAMED = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list. `total` counts all pages; `following` tells where the next page starts, None at the end."""

    documents: list[Document]
    total: int
    following: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a delete did: the row that is gone, and how many records still name it."""

    row: Row
    dangling: int


def missing(kind: Kind, workspace: str, name: str) -> NotFound:
    """The error of a record that is not there."""
    place = f" in the workspace {workspace!r}" if workspace else ""
    return NotFound(f"{kind.title} {name!r} not found{place}")


async def no_rules(tx: WriteTransaction, context: Context, row: Row, fields: Fields) -> None:
    """Asks nothing."""


async def create(
    context: Context,
    caller: Caller,
    kind: Kind,
    workspace: str,
    body: Any,
    conditions: Conditions,
    rules: Rules = no_rules,
) -> tuple[Row, Document]:
    """A new record from a body. Raises InvalidInput, AlreadyExists, PreconditionFailed, and what `rules` raise."""
    name, change = read_new(kind, body, workspace, context.policy.unknown_fields)

    async def action(tx: WriteTransaction) -> tuple[Row, Document]:
        if workspace:
            await require_workspace(tx, workspace)
        conditions.check_write(await tx.find(kind.name, workspace, name))
        now = context.now()
        row = Row(
            kind.name,
            context.new_id(kind.id_prefix),
            workspace,
            name,
            1,
            now,
            now,
            {},
            caller.name,
            caller.name,
        )
        fields = dict(change.values)
        await rules(tx, context, row, fields)
        fields = seal_secrets(kind, context.vault, row.id, {}, fields)
        row = row._replace(fields=await store_contents(tx, kind, fields))
        await tx.insert(row, kind.links(row.fields, workspace))
        return row, await shown(tx, kind, row, verbose=True)

    return await context.store.write(action)


async def get(
    context: Context, kind: Kind, workspace: str, name: str, *, verbose: bool = False
) -> tuple[Row, Document]:
    """A record and how it is shown; `verbose` shows its large values too. Raises NotFound."""

    async def action(tx: ReadTransaction) -> tuple[Row, Document]:
        row = await tx.find(kind.name, workspace, name)
        if row is None:
            raise missing(kind, workspace, name)
        return row, await shown(tx, kind, row, verbose=verbose)

    return await context.store.read(action)


async def list_all(context: Context, kind: Kind, query: Query, *, verbose: bool = False) -> Listed:
    """A page of a list."""

    async def action(tx: ReadTransaction) -> Listed:
        # One row more than asked for tells whether there is another page.
        rows = await tx.select(replace(query, limit=query.limit + 1))
        more, rows = len(rows) > query.limit, rows[: query.limit]
        documents = [await shown(tx, kind, row, verbose=verbose) for row in rows]
        following = (documents[-1][query.sort], rows[-1].id) if more else None
        return Listed(documents, await tx.count(query), following)

    return await context.store.scan(action)


async def update(
    context: Context,
    caller: Caller,
    kind: Kind,
    workspace: str,
    name: str,
    body: Any,
    conditions: Conditions,
    rules: Rules = no_rules,
    *,
    verbose: bool = False,
) -> tuple[Row, Document]:
    """Changes a record by a body, and answers it as stored. A change that changes nothing writes nothing.

    Raises InvalidInput, NotFound, PreconditionFailed, and what `rules` raise; then nothing is written.
    """
    change = read_update(kind, body, workspace, name, context.policy.unknown_fields)

    async def action(tx: WriteTransaction) -> tuple[Row, Document]:
        row = await tx.find(kind.name, workspace, name)
        conditions.check_write(row)
        if row is None:
            raise missing(kind, workspace, name)
        if change.echoes:
            check_echoes(await shown(tx, kind, row, verbose=False), change.echoes)
        row = await _changed(tx, context, caller, kind, row, change, rules)
        return row, await shown(tx, kind, row, verbose=verbose)

    return await context.store.write(action)


async def _changed(
    tx: WriteTransaction, context: Context, caller: Caller, kind: Kind, row: Row, change: Change, rules: Rules
) -> Row:
    fields = apply_change(kind, row, change)
    if fields == row.fields:
        return row
    await rules(tx, context, row, fields)
    fields = seal_secrets(kind, context.vault, row.id, row.fields, fields)
    fields = await store_contents(tx, kind, fields)
    return await store_change(tx, context, caller, kind, row, fields)


async def store_change(
    tx: WriteTransaction, context: Context, caller: Caller, kind: Kind, row: Row, fields: Fields
) -> Row:
    """Stores `fields` as the record's next revision, if they differ from what it has."""
    changed = changed_fields(row.fields, fields)
    if not changed:
        return row
    new = row._replace(
        revision=row.revision + 1,
        # A clock that was set back must not make a record older than it was.
        updated_at=max(context.now(), row.updated_at),
        updated_by=caller.name,
        fields=fields,
    )
    relinked = not kind.link_fields.isdisjoint(changed)
    await tx.update(new, kind.links(fields, row.workspace) if relinked else None)
    return new


async def delete(
    context: Context,
    kind: Kind,
    workspace: str,
    name: str,
    conditions: Conditions,
    before: Callable[[WriteTransaction, Row], Awaitable[None]] | None = None,
    *,
    heavy: bool = False,
) -> Deleted:
    """Removes a record; `before` is what else must happen in the same transaction.

    Raises NotFound, PreconditionFailed, and StillReferenced where references are protected.
    """

    async def action(tx: WriteTransaction) -> Deleted:
        row = await tx.find(kind.name, workspace, name)
        conditions.check_write(row)
        if row is None:
            raise missing(kind, workspace, name)
        target = Reference(workspace, name)
        if context.policy.protect_references:
            referrers = await tx.referrers(kind.name, target, row.id, _REFERRERS_NAMED)
            refuse_referenced(kind, name, [(r.kind, Reference(r.workspace, r.name)) for r, _ in referrers])
        if before is not None:
            await before(tx, row)
        dangling = await tx.count_referrers(kind.name, target, row.id)
        await tx.delete(row)
        return Deleted(row, dangling)

    return await context.store.write(action, heavy=heavy)


def refuse_referenced(kind: Kind, name: str, referrers: Sequence[tuple[str, Reference]]) -> None:
    """Raises StillReferenced, with the list, if there are any referrers."""
    if referrers:
        named = [f"{kind_name} {reference}" for kind_name, reference in referrers[:_REFERRERS_NAMED]]
        raise StillReferenced(
            f"{kind.title} {name!r} is still referenced by: {', '.join(named)}; "
            "change or delete those first (the server protects references)",
            referrers=named,
        )


async def require_workspace(tx: ReadTransaction, workspace: str) -> None:
    """Raises InvalidParameters if there is no such workspace."""
    if not await tx.exists("workspace", "", workspace):
        message = f"workspace {workspace!r} does not exist; create it first"
        raise InvalidParameters.of(("path", "workspace"), "workspace_missing", message)


async def shown(tx: ReadTransaction, kind: Kind, row: Row, *, verbose: bool) -> Document:
    """How the record is answered."""
    contents = None
    if verbose:
        contents = {digest: await load_content(tx, digest) for digest in content_digests(kind, row.fields)}
    return visible(kind, row, contents=contents)
