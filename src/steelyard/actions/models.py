"""The writes of models. The heart is `update_model`."""

from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import require_fileset, require_project, require_target
from steelyard.actions.writes import Write
from steelyard.errors import InvalidInput
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Row
from steelyard.records.models import MODEL
from steelyard.records.names import Reference, parse_reference
from steelyard.records.patch import Said
from steelyard.records.policy import check_trust
from steelyard.store.protocol import WriteTransaction


def create_model(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new model. Raises InvalidInput; performed, BadReference, Forbidden, AlreadyExists, PreconditionFailed."""
    return writes.create(context, caller, MODEL, workspace, body, conditions, model_rules)


def update_model(
    context: Context,
    caller: Caller,
    workspace: str,
    name: str,
    said: Said,
    conditions: Conditions,
    *,
    verbose: bool = False,
) -> Write:
    """Update Model: one change, applied to the record as it is then, and the record as it is stored.

    Raises InvalidInput; performed, NotFound, BadReference, Forbidden, PreconditionFailed; then nothing is written.
    """
    return writes.update(context, caller, MODEL, workspace, name, said, conditions, model_rules, verbose=verbose)


def delete_model(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a model. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""
    return writes.delete(context, caller, MODEL, workspace, name, conditions)


async def model_rules(tx: WriteTransaction, context: Context, row: Row, fields: Fields) -> None:
    """What a model's fields must keep to beyond their forms: its references, its ancestry, and policy about code."""
    set_now = {key: value for key, value in fields.items() if value != row.fields.get(key)}
    if set_now.get("project"):
        await require_project(tx, row.workspace, set_now["project"])
    if "fileset" in set_now:
        fields["fileset"] = await require_fileset(tx, row.workspace, set_now["fileset"])
    check_trust(context.policy, set_now)
    if set_now.get("base_model"):
        await _check_ancestry(tx, row, fields["base_model"])
    if context.policy.strict_references:
        await require_target(tx, "model", row.workspace, set_now.get("base_model"), ("body", "base_model"))
        for index, provider in enumerate(set_now.get("model_providers") or ()):
            await require_target(tx, "model-provider", row.workspace, provider, ("body", "model_providers", index))


async def _check_ancestry(tx: WriteTransaction, row: Row, base_model: str) -> None:
    """Raises InvalidInput if the model would become its own ancestor."""
    base = parse_reference(base_model, row.workspace)
    if base and Reference(row.workspace, row.name) in await tx.base_models(base):
        message = f"{base_model!r} is itself made from this model: a model cannot be its own ancestor"
        raise InvalidInput.of(("body", "base_model"), "reference", message)
