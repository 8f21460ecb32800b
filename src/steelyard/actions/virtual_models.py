"""The writes of virtual models."""

from functools import partial
from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import require_model, require_project
from steelyard.actions.writes import Write
from steelyard.errors import InvalidInput
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Row
from steelyard.records.patch import Said
from steelyard.records.virtual_models import VIRTUAL_MODEL, check_whole
from steelyard.store.protocol import WriteTransaction


def create_virtual_model(
    context: Context,
    caller: Caller,
    workspace: str,
    body: Any,
    conditions: Conditions,
    *,
    by_server: bool = False,
) -> Write:
    """A new virtual model; `by_server` may make one that is `autoprovisioned`.

    Raises InvalidInput; performed, InvalidInput, AlreadyExists, PreconditionFailed.
    """
    rules = virtual_model_rules if by_server else _rules_for_callers
    return writes.create(context, caller, VIRTUAL_MODEL, workspace, body, conditions, rules)


def update_virtual_model(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a virtual model. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, VIRTUAL_MODEL, workspace, name, said, conditions, _rules_for_callers)


def delete_virtual_model(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a virtual model. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""
    return writes.delete(context, caller, VIRTUAL_MODEL, workspace, name, conditions)


async def virtual_model_rules(
    tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields, *, for_caller: bool = False
) -> None:
    """The parts of a virtual model must go together, and its project be there; its models too, where references are
    strict. A caller cannot make one `autoprovisioned`, but take one over by `false`.
    """
    check_whole(fields)
    if for_caller and fields["autoprovisioned"] and not row.fields.get("autoprovisioned"):
        message = "the server alone makes virtual models that it removes again; leave it out, or send false"
        raise InvalidInput.of(("body", "autoprovisioned"), "read_only", message)
    old = row.fields
    if fields["project"] and fields["project"] != old.get("project"):
        await require_project(tx, row.workspace, fields["project"])
    if not context.policy.strict_references:
        return
    known = {
        *(one["model"] for one in old.get("models", ())),
        *old.get("fallbacks", ()),
        old.get("default_model_entity"),
    }
    named: list[tuple[tuple[str | int, ...], str | None]] = [
        (("body", "default_model_entity"), fields["default_model_entity"]),
        *((("body", "models", index, "model"), one["model"]) for index, one in enumerate(fields["models"])),
        *((("body", "fallbacks", index), text) for index, text in enumerate(fields["fallbacks"])),
    ]
    for place, text in named:
        if text and text not in known:
            await require_model(tx, caller, row.workspace, text, place)


_rules_for_callers = partial(virtual_model_rules, for_caller=True)
