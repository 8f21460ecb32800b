"""The writes of adapters. An adapter stands in its base model too, so that whoever has the model has its adapters."""

from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.fitting import check_fit
from steelyard.actions.references import require_filled_fileset, resolve_model
from steelyard.actions.writes import Write, Written
from steelyard.errors import InvalidInput, NotFound
from steelyard.records.adapters import ADAPTER, base_of, with_summary
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Row
from steelyard.records.models import MODEL, model_kind
from steelyard.records.names import Reference
from steelyard.records.patch import Said
from steelyard.store.protocol import ReadTransaction, WriteTransaction


def create_adapter(
    context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions, *, model: str | None = None
) -> Write:
    """A new adapter; of the model that the path names, if `model` is given, whatever the body says.

    Raises InvalidInput; performed, NotFound (its base), BadReference, AlreadyExists, PreconditionFailed.
    """
    if model is not None and isinstance(body, dict):
        body = {**body, "model": f"{workspace}/{model}"}
    made = writes.create(context, caller, ADAPTER, workspace, body, conditions, adapter_rules, _id_of_base)

    async def run(tx: WriteTransaction) -> Written:
        written = await made.run(tx)
        await tell_base(tx, context, caller, written.row, written.row)
        return written

    return Write(ADAPTER, "create", run)


def update_adapter(
    context: Context,
    caller: Caller,
    workspace: str,
    name: str,
    said: Said,
    conditions: Conditions,
    *,
    model: str | None = None,
) -> Write:
    """Changes an adapter; `model` is the model under which it was looked for.

    Raises InvalidInput; performed, InvalidInput, NotFound, BadReference, PreconditionFailed.
    """
    changed = writes.update(context, caller, ADAPTER, workspace, name, said, conditions, adapter_rules)

    async def run(tx: WriteTransaction) -> Written:
        await _require_under(tx, workspace, name, model)
        written = await changed.run(tx)
        await tell_base(tx, context, caller, written.row, written.row)
        return written

    return Write(ADAPTER, "update", run)


def delete_adapter(
    context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions, *, model: str | None = None
) -> Write:
    """Removes an adapter. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""
    deleted = writes.delete(context, caller, ADAPTER, workspace, name, conditions)

    async def run(tx: WriteTransaction) -> Written:
        await _require_under(tx, workspace, name, model)
        written = await deleted.run(tx)
        await tell_base(tx, context, caller, written.row, None)
        return written

    return Write(ADAPTER, "delete", run)


async def adapter_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """An adapter's base and fileset must be there, and its weights fit the base, when they are set or switched on."""
    moved = fields["fileset"] != row.fields.get("fileset")
    if not moved and not (fields["enabled"] and not row.fields.get("enabled")):
        return
    who = caller if moved else Caller()  # what it has had, it keeps
    fields["fileset"], fileset = await require_filled_fileset(tx, who, row.workspace, fields["fileset"])
    base = await _base(tx, who, row._replace(fields=fields))
    if (base.workspace, base.name) == (row.workspace, row.name) and base.id == row.parent:
        raise InvalidInput.of(("body", "model"), "reference", "an adapter cannot be its own base")
    fields["model"] = f"{base.workspace}/{base.name}"
    await check_fit(tx, context, fields, fileset, base, new=not row.fields)


async def tell_base(tx: WriteTransaction, context: Context, caller: Caller, adapter: Row, now: Row | None) -> None:
    """Puts an adapter, as it is `now`, into its base model, or takes it out. Other kinds of records are left alone.

    The model's revision and time move, for it is answered with its adapters.
    """
    if adapter.kind != ADAPTER.name:
        return
    home = base_of(adapter)
    base = await tx.find(MODEL.name, home.workspace, home.name)
    if base is None or base.id != adapter.parent:
        return
    adapters = with_summary(base.fields["adapters"], now, Reference(adapter.workspace, adapter.name))
    fields = {**base.fields, "adapters": adapters}
    await writes.change_fields(tx, context, caller, MODEL, base, fields, cause=adapter.id, stored_form=True)


async def delete_adapters(tx: WriteTransaction, caller: Caller, model: Row, at: str) -> list[Reference]:
    """Removes the adapters of a model that goes, wherever they are; they come back with it."""
    gone = []
    for adapter in await tx.children(model.id, 2**31):
        await tx.delete(adapter, caller.note("delete", at, model.id))
        gone.append(Reference(adapter.workspace, adapter.name))
    return gone


async def _base(tx: ReadTransaction, caller: Caller, row: Row) -> Row:
    named = base_of(row)
    seen = caller.sees(model_kind(named), named.workspace, named.name)
    reference = await resolve_model(tx, named) if seen else named
    base = await tx.find(MODEL.name, reference.workspace, reference.name)
    if base is None or not caller.sees(MODEL.name, base.workspace, base.name):
        raise NotFound(f"Base model for adapter (model={row.fields['model']!r}) not found")
    return base


async def _id_of_base(tx: WriteTransaction, fields: Fields) -> str:
    # The rules have found it, and put its name into `fields`.
    workspace, _, name = fields["model"].partition("/")
    base = await tx.find(MODEL.name, workspace, name)
    assert base is not None  # noqa: S101
    return base.id


async def _require_under(tx: ReadTransaction, workspace: str, name: str, model: str | None) -> None:
    """Raises NotFound if an adapter was looked for under a model that it does not belong to."""
    if model is None:
        return
    base = await tx.find(MODEL.name, workspace, model)
    if base is None:
        raise NotFound(f"Model with workspace {workspace!r} and name {model!r} not found")
    row = await tx.find(ADAPTER.name, workspace, name)
    if row is None or row.parent != base.id:
        raise NotFound(f"Adapter {name!r} of the model {model!r} not found in the workspace {workspace!r}")
