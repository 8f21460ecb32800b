"""The writes of limits."""

from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import require_model
from steelyard.actions.writes import Write
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Row
from steelyard.records.limits import LIMIT, check_measured
from steelyard.records.patch import Said
from steelyard.store.protocol import WriteTransaction


def create_limit(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new limit. Raises InvalidInput; performed, InvalidInput, AlreadyExists, PreconditionFailed."""
    return writes.create(context, caller, LIMIT, workspace, body, conditions, limit_rules)


def update_limit(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a limit. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, LIMIT, workspace, name, said, conditions, limit_rules)


def delete_limit(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a limit. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""
    return writes.delete(context, caller, LIMIT, workspace, name, conditions)


async def limit_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """A limit limits something; where references are strict, its model must be there."""
    check_measured(fields)
    if context.policy.strict_references and fields["model"] and fields["model"] != row.fields.get("model"):
        await require_model(tx, caller, row.workspace, fields["model"], ("body", "model"))
