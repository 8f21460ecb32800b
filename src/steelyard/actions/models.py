"""The writes of models. The heart is `update_model`."""

from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.records import missing, shown
from steelyard.actions.references import check_ancestry, require_fileset, require_project, require_target
from steelyard.actions.writes import Write, Written
from steelyard.records.conditions import Conditions
from steelyard.records.history import Verb
from steelyard.records.kinds import Fields, Row
from steelyard.records.models import MODEL, model_kind
from steelyard.records.names import parse_reference
from steelyard.records.patch import Said, changed_fields
from steelyard.records.policy import check_frozen, check_trust
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


def freeze_model(
    context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions, *, frozen: bool
) -> Write:
    """Makes a model's spec, fileset and trust immutable, or lets them be changed again.

    Performed, it raises NotFound, PreconditionFailed.
    """

    async def run(tx: WriteTransaction) -> Written:
        before = await tx.find(MODEL.name, workspace, name)
        await writes.check_conditions(tx, MODEL, before, conditions)
        if before is None:
            raise missing(MODEL, workspace, name)
        fields = {**before.fields, "frozen": frozen}
        verb: Verb = "freeze" if frozen else "unfreeze"
        row = await writes.change_fields(tx, context, caller, MODEL, before, fields, verb=verb, stored_form=True)
        return Written(MODEL, before, row, await shown(tx, MODEL, row, verbose=False))

    return Write(MODEL, "freeze" if frozen else "unfreeze", run)


async def model_rules(tx: WriteTransaction, context: Context, row: Row, fields: Fields) -> None:
    """What a model's fields must keep to beyond their forms: its references, its ancestry, and policy about code."""
    set_now = {key: fields[key] for key in changed_fields(row.fields, fields)}
    check_frozen(row.fields, set_now)
    if set_now.get("project"):
        await require_project(tx, row.workspace, set_now["project"])
    if "fileset" in set_now:
        fields["fileset"] = await require_fileset(tx, row.workspace, set_now["fileset"])
    check_trust(context.policy, set_now)
    if set_now.get("base_model"):
        await check_ancestry(tx, row, fields["base_model"], ("body", "base_model"))
    if context.policy.strict_references:
        base = set_now.get("base_model")
        await require_target(tx, _kind_of(base, row.workspace), row.workspace, base, ("body", "base_model"))
        for index, provider in enumerate(set_now.get("model_providers") or ()):
            await require_target(tx, "model-provider", row.workspace, provider, ("body", "model_providers", index))


def _kind_of(text: str | None, home: str) -> str:
    reference = parse_reference(text, home) if text else None
    return model_kind(reference) if reference else MODEL.name
