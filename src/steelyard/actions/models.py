"""The writes of models. The heart is `update_model`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from steelyard.actions import writes
from steelyard.actions.adapters import delete_adapters
from steelyard.actions.addresses import require_allowed
from steelyard.actions.context import Caller, Context
from steelyard.actions.inspections import known_content, put_spec
from steelyard.actions.records import missing, shown
from steelyard.actions.references import check_ancestry, require_fileset, require_project, require_target
from steelyard.actions.trust import decide
from steelyard.actions.writes import Write, Written
from steelyard.errors import BadReference
from steelyard.records.conditions import Conditions
from steelyard.records.history import Verb
from steelyard.records.kinds import Fields, Row
from steelyard.records.models import MODEL, model_kind
from steelyard.records.names import Reference, parse_reference
from steelyard.records.patch import Said, changed_fields
from steelyard.records.policy import check_frozen, check_trust, plugin_of
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
    rules = partial(model_rules, trust_asked=True) if _asks_for_trust(said) else model_rules
    return writes.update(context, caller, MODEL, workspace, name, said, conditions, rules, verbose=verbose)


def delete_model(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a model, and its adapters. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""

    async def release(tx: WriteTransaction, model: Row) -> Sequence[Reference]:
        return await delete_adapters(tx, caller, model, context.now())

    return writes.delete(context, caller, MODEL, workspace, name, conditions, release)


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
        return Written(MODEL, before, row, await shown(tx, MODEL, caller.shown(row), verbose=False))

    return Write(MODEL, "freeze" if frozen else "unfreeze", run)


async def model_rules(
    tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields, *, trust_asked: bool = False
) -> None:
    """What a model's fields must keep to beyond their forms: its references, its ancestry, and policy about code.

    The spec is filled from the files, and trust decided. `trust_asked` says that the caller asks for trust by name.
    """
    set_now = {key: fields[key] for key in changed_fields(row.fields, fields)}
    check_frozen(row.fields, set_now)
    if set_now.get("project"):
        await require_project(tx, row.workspace, set_now["project"])
    if "fileset" in set_now:
        fields["fileset"] = await require_fileset(tx, caller, row.workspace, set_now["fileset"])
    check_trust(context.policy, set_now)
    _check_endpoint(context, row, fields)
    await _follow_fileset(tx, context, caller, row, fields, set_now, trust_asked=trust_asked)
    if plugin_of(fields) not in {None, plugin_of(row.fields)}:  # also one that the fileset brings
        caller.require("models.tool-call-plugin.set", row.workspace)
    if set_now.get("base_model"):
        await check_ancestry(tx, caller, row, fields["base_model"], ("body", "base_model"))
    if context.policy.strict_references:
        base = set_now.get("base_model")
        await require_target(tx, caller, _kind_of(base, row.workspace), row.workspace, base, ("body", "base_model"))
        for index, provider in enumerate(set_now.get("model_providers") or ()):
            place = ("body", "model_providers", index)
            await require_target(tx, caller, "model-provider", row.workspace, provider, place)


def _check_endpoint(context: Context, row: Row, fields: Fields) -> None:
    """Raises InvalidInput for a new address that the server may not send requests to."""
    url = (fields["api_endpoint"] or {}).get("url")
    if url and url != (row.fields.get("api_endpoint") or {}).get("url"):
        require_allowed(context, url, ("body", "api_endpoint", "url"))


async def _follow_fileset(
    tx: WriteTransaction,
    context: Context,
    caller: Caller,
    row: Row,
    fields: Fields,
    set_now: Fields,
    *,
    trust_asked: bool,
) -> None:
    """The parts of a model that its files decide: spec and trust."""
    moved = fields["fileset"] != row.fields.get("fileset")
    if not (moved or trust_asked or "spec" in set_now or "trust_remote_code" in set_now):
        return
    fileset, content = None, None
    if reference := parse_reference(fields["fileset"] or "", row.workspace):
        fileset = await tx.find("fileset", reference.workspace, reference.name)
    if fileset is not None and fileset.fields["file_count"]:
        content = await known_content(tx, fileset)
    elif moved and fileset is not None and row.fields:
        raise BadReference(
            f"fileset {fields['fileset']!r} exists but is empty; put files into it first", field="fileset"
        )
    if moved and content is None:
        fields["spec_origin"] = None
    if content is not None and fileset is not None and (moved or "spec" in set_now):
        plugins = context.policy.allow_tool_call_plugin
        put_spec(fields, row.fields, content, fileset, plugins=plugins, sent="spec" in set_now)
    asked = trust_asked or bool(row.fields and "trust_remote_code" in set_now)
    code = dict(content.body["code"]) if content else {}
    fields["trust_decision"] = decide(context, caller, row.workspace, fields, fileset, code, asked=asked)


def _asks_for_trust(said: Said) -> bool:
    """Whether a change names trust, and does not only leave it as it is."""
    if isinstance(said.body, dict):
        return said.body.get("trust_remote_code") is True
    operations = said.body if isinstance(said.body, list) else []
    return any(isinstance(one, dict) and one.get("path") == "/trust_remote_code" for one in operations)


def _kind_of(text: str | None, home: str) -> str:
    reference = parse_reference(text, home) if text else None
    return model_kind(reference) if reference else MODEL.name
