"""The writes of aliases. To move one is one change of one record: whoever resolves it sees the old or the new."""

from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import check_ancestry
from steelyard.actions.writes import Write
from steelyard.errors import InvalidInput
from steelyard.records.aliases import ALIAS
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Row
from steelyard.records.names import Reference, parse_reference
from steelyard.records.patch import Said
from steelyard.store.protocol import WriteTransaction

_ALL = 2**31


def create_alias(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new alias. Raises InvalidInput; performed, InvalidInput, AlreadyExists, PreconditionFailed."""
    return writes.create(context, caller, ALIAS, workspace, body, conditions, alias_rules)


def update_alias(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Moves an alias. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, ALIAS, workspace, name, said, conditions, alias_rules)


def delete_alias(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes an alias. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""
    return writes.delete(context, caller, ALIAS, workspace, name, conditions)


async def alias_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """The model must be there, at its revision if one is named, and no model may become its own ancestor by it."""
    target = parse_reference(fields["model"], row.workspace)
    model = await tx.find("model", target.workspace, target.name) if target else None
    if model is not None and fields["model"] != row.fields.get("model"):
        model = model if caller.sees("model", model.workspace, model.name) else None
    if target is None or model is None:
        raise InvalidInput.of(("body", "model"), "reference_missing", f"there is no model {fields['model']!r}")
    number = fields["model_revision"]
    if number is not None and await tx.revision(model.id, number) is None:
        message = f"the model {fields['model']!r} has no revision {number}"
        raise InvalidInput.of(("body", "model_revision"), "revision_missing", message)
    for user, _ in await tx.referrers(ALIAS.name, Reference(row.workspace, row.name), row.id, _ALL):
        await check_ancestry(tx, caller, user, fields["model"], ("body", "model"))
