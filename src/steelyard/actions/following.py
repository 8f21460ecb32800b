"""What follows from a change of files: the specs of the models, and the adapters, that the files are of."""

from functools import partial

from steelyard.actions import writes
from steelyard.actions.adapters import tell_base
from steelyard.actions.context import Caller, Context
from steelyard.actions.fitting import check_fit
from steelyard.actions.guard import unguarded
from steelyard.actions.inspections import known_content, put_spec, write
from steelyard.errors import InvalidInput
from steelyard.records.adapters import ADAPTER, base_of
from steelyard.records.filesets import FILESET
from steelyard.records.kinds import Row
from steelyard.records.models import MODEL
from steelyard.records.names import Reference, parse_reference
from steelyard.records.policy import plugin_of
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_SET_PLUGIN = "models.tool-call-plugin.set"
_MOST_USERS = 10_000
_MOST_ADAPTERS = 10_000


async def follow_files(context: Context, caller: Caller, fileset: Row) -> int:
    """Brings the models and adapters of a fileset up to its files as they are now; answers how many changed."""
    home, context = Reference(fileset.workspace, fileset.name), unguarded(context)
    if not await context.store.read(lambda tx: _users(tx, fileset)):
        return 0

    async def update(tx: WriteTransaction) -> int:
        row = await tx.find(FILESET.name, home.workspace, home.name)
        return await follow(tx, context, caller, row) if row is not None else 0

    return await write(context, update, heavy=True)


async def follow(tx: WriteTransaction, context: Context, caller: Caller, fileset: Row) -> int:
    """Gives the models of a fileset the spec that its files and metadata say now, and its adapters the rank; answers
    how many changed. Raises NotInspected (see `inspections.write`).
    """
    users = await _users(tx, fileset)
    if not users or not fileset.fields["file_count"]:
        return 0
    content, changed = await known_content(tx, fileset), 0
    for row in users:
        if row.kind == ADAPTER.name:
            changed += await _refit(tx, context, caller, row, cause=fileset.id)
            continue
        fields = dict(row.fields)
        put_spec(fields, row.fields, content, fileset, plugins=context.policy.allow_tool_call_plugin, sent=False)
        named = plugin_of(fields)
        if named not in {None, plugin_of(row.fields)} and not caller.may(_SET_PLUGIN, row.workspace):
            put_spec(fields, row.fields, content, fileset, plugins=False, sent=False)
        after = await writes.change_fields(
            tx, context, caller, MODEL, row, fields, verb="inspect", cause=fileset.id, stored_form=True
        )
        if after.revision != row.revision:
            changed += 1
            for adapter in await tx.children(row.id, _MOST_ADAPTERS):
                await _refit(tx, context, caller, adapter, cause=row.id)
    return changed


async def _users(tx: ReadTransaction, fileset: Row) -> list[Row]:
    """The models and adapters of a fileset."""
    home = Reference(fileset.workspace, fileset.name)
    found = await tx.referrers(FILESET.name, home, fileset.id, _MOST_USERS)
    return [row for row, field in found if row.kind in {MODEL.name, ADAPTER.name} and field == "fileset"]


async def _refit(tx: WriteTransaction, context: Context, caller: Caller, adapter: Row, cause: str) -> bool:
    """Reads an adapter's rank again; one that fits its base no longer is switched off, with a revision that says why.

    Answers whether something changed.
    """
    home = base_of(adapter)
    base = await tx.find(MODEL.name, home.workspace, home.name)
    reference = parse_reference(adapter.fields["fileset"], adapter.workspace)
    fileset = await tx.find(FILESET.name, reference.workspace, reference.name) if reference else None
    if base is None or fileset is None or not fileset.fields["file_count"]:
        return False
    fields = dict(adapter.fields)
    try:
        await check_fit(tx, context, fields, fileset, base, new=False)
    except InvalidInput as misfit:
        fields["enabled"] = False
        caller = caller._replace(reason=misfit.faults[0].message[:1000])
    after = await writes.change_fields(
        tx, context, caller, ADAPTER, adapter, fields, verb="inspect", cause=cause, stored_form=True
    )
    if after.revision == adapter.revision:
        return False
    await tell_base(tx, context, caller, after, after)
    return True


async def catch_up(context: Context, caller: Caller) -> int:
    """Brings all models up to their files: those that a crash, between a commit and this, has left behind.

    Answers how many changed.
    """
    changed = 0
    for reference in await context.store.scan(lambda tx: tx.filesets_ahead(_MOST_USERS)):
        row = await context.store.scan(partial(_find, reference))
        if row is not None:
            changed += await follow_files(context, caller, row)
    return changed


async def _find(reference: Reference, tx: ReadTransaction) -> Row | None:
    return await tx.find(FILESET.name, reference.workspace, reference.name)
