"""The use cases of workspaces and projects; deleting one of them touches what is in it."""

from typing import Any

from steelyard.actions import records
from steelyard.actions.context import Caller, Context
from steelyard.actions.records import Deleted
from steelyard.errors import Protected
from steelyard.records.conditions import Conditions
from steelyard.records.documents import Document
from steelyard.records.kinds import Row
from steelyard.records.names import Reference
from steelyard.records.registry import KINDS
from steelyard.records.workspaces import BUILT_IN_WORKSPACES, PROJECT, WORKSPACE
from steelyard.store.protocol import WriteTransaction

_ALL = 2**31


async def seed_workspaces(context: Context) -> None:
    """Makes the built-in workspaces that are not there yet."""
    for name in BUILT_IN_WORKSPACES:

        async def action(tx: WriteTransaction, name: str = name) -> None:
            if not await tx.exists("workspace", "", name):
                now, id = context.now(), context.new_id(WORKSPACE.id_prefix)
                await tx.insert(Row("workspace", id, "", name, 1, now, now, WORKSPACE.complete({})), [])

        await context.store.write(action)


async def create_workspace(
    context: Context, caller: Caller, body: Any, conditions: Conditions
) -> tuple[Row, Document]:
    """A new workspace. Raises InvalidInput, AlreadyExists, PreconditionFailed."""
    return await records.create(context, caller, WORKSPACE, "", body, conditions)


async def delete_workspace(context: Context, name: str, conditions: Conditions) -> Deleted:
    """Removes a workspace with all that is in it, at once. Raises Protected for a built-in one, NotFound,
    PreconditionFailed, and StillReferenced where references are protected.
    """
    if name in BUILT_IN_WORKSPACES:
        raise Protected(f"the workspace {name!r} is built in and cannot be deleted")

    async def action(tx: WriteTransaction) -> Deleted:
        row = await tx.find("workspace", "", name)
        conditions.check_write(row)
        if row is None:
            raise records.missing(WORKSPACE, "", name)
        referrers = await tx.workspace_referrers(name)
        if context.policy.protect_references:
            records.refuse_referenced(WORKSPACE, name, referrers)
        await tx.delete_in_workspace(name)
        await tx.delete(row)
        return Deleted(row, len(referrers))

    return await context.store.write(action, heavy=True)


async def delete_project(
    context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions
) -> Deleted:
    """Removes a project; the records that were in it stay, in no project. Raises NotFound, PreconditionFailed, and
    StillReferenced where references are protected.
    """

    async def release(tx: WriteTransaction, project: Row) -> None:
        for row, field in await tx.referrers("project", Reference(workspace, name), project.id, _ALL):
            await records.store_change(tx, context, caller, KINDS[row.kind], row, {**row.fields, field: None})

    return await records.delete(context, PROJECT, workspace, name, conditions, release, heavy=True)
