"""The use cases of prompts."""

from typing import Any

from steelyard.actions import records
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import require_project
from steelyard.records.conditions import Conditions
from steelyard.records.documents import Document
from steelyard.records.kinds import Fields, Row
from steelyard.records.prompts import PROMPT
from steelyard.store.protocol import WriteTransaction


async def create_prompt(
    context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions
) -> tuple[Row, Document]:
    """A new prompt. Raises InvalidInput, AlreadyExists, PreconditionFailed."""
    return await records.create(context, caller, PROMPT, workspace, body, conditions, _rules)


async def update_prompt(
    context: Context, caller: Caller, workspace: str, name: str, body: Any, conditions: Conditions
) -> tuple[Row, Document]:
    """Replaces all of a prompt but its name and project. Raises InvalidInput, NotFound, PreconditionFailed."""
    return await records.update(context, caller, PROMPT, workspace, name, body, conditions, _rules)


async def _rules(tx: WriteTransaction, context: Context, row: Row, fields: Fields) -> None:
    if fields["project"] and fields["project"] != row.fields.get("project"):
        await require_project(tx, row.workspace, fields["project"])
