"""The writes of prompts."""

from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import require_project
from steelyard.actions.writes import Write
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Row
from steelyard.records.patch import Said
from steelyard.records.prompts import PROMPT
from steelyard.store.protocol import WriteTransaction


def create_prompt(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new prompt. Raises InvalidInput; performed, AlreadyExists, PreconditionFailed."""
    return writes.create(context, caller, PROMPT, workspace, body, conditions, prompt_rules)


def update_prompt(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a prompt. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, PROMPT, workspace, name, said, conditions, prompt_rules)


def delete_prompt(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a prompt. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""
    return writes.delete(context, caller, PROMPT, workspace, name, conditions)


async def prompt_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """A prompt's project must be there when it is set."""
    if fields["project"] and fields["project"] != row.fields.get("project"):
        await require_project(tx, row.workspace, fields["project"])
