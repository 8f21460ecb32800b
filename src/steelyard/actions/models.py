"""The use cases of models. The heart is `update_model`."""

from typing import Any

from steelyard.actions import records
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import require_fileset, require_project, require_target
from steelyard.actions.records import Deleted
from steelyard.errors import InvalidInput
from steelyard.records.conditions import Conditions
from steelyard.records.documents import Document
from steelyard.records.kinds import Fields, Row
from steelyard.records.models import MODEL
from steelyard.records.names import Reference, parse_reference
from steelyard.records.policy import check_trust
from steelyard.store.protocol import WriteTransaction


async def create_model(
    context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions
) -> tuple[Row, Document]:
    """A new model. Raises InvalidInput, BadReference, Forbidden, AlreadyExists, PreconditionFailed."""
    return await records.create(context, caller, MODEL, workspace, body, conditions, _rules)


async def update_model(
    context: Context,
    caller: Caller,
    workspace: str,
    name: str,
    body: Any,
    conditions: Conditions,
    *,
    verbose: bool = False,
) -> tuple[Row, Document]:
    """Update Model: one change, applied to the record as it is then, and the record as it is stored.

    Raises InvalidInput, NotFound, BadReference, Forbidden, PreconditionFailed; then nothing is written.
    """
    return await records.update(
        context, caller, MODEL, workspace, name, body, conditions, _rules, verbose=verbose
    )


async def delete_model(context: Context, workspace: str, name: str, conditions: Conditions) -> Deleted:
    """Removes a model. Raises NotFound, PreconditionFailed, StillReferenced."""
    return await records.delete(context, MODEL, workspace, name, conditions)


async def _rules(tx: WriteTransaction, context: Context, row: Row, fields: Fields) -> None:
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
            await require_target(
                tx, "model-provider", row.workspace, provider, ("body", "model_providers", index)
            )


async def _check_ancestry(tx: WriteTransaction, row: Row, base_model: str) -> None:
    """Raises InvalidInput if the model would become its own ancestor."""
    base = parse_reference(base_model, row.workspace)
    if base and Reference(row.workspace, row.name) in await tx.base_models(base):
        message = f"{base_model!r} is itself made from this model: a model cannot be its own ancestor"
        raise InvalidInput.of(("body", "base_model"), "reference", message)
