"""The writes of workspaces and projects; deleting one of them touches what is in it."""

from collections.abc import Sequence
from typing import Any

from steelyard.actions import writes
from steelyard.actions.adapters import tell_base
from steelyard.actions.bindings import make_admin
from steelyard.actions.context import Caller, Context
from steelyard.actions.providers import let_go_of_workspace
from steelyard.actions.records import missing, shown
from steelyard.actions.writes import Write, Written
from steelyard.errors import AlreadyExists, Protected
from steelyard.records.adapters import ADAPTER, base_of
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Row
from steelyard.records.names import Reference
from steelyard.records.patch import Said
from steelyard.records.registry import KINDS
from steelyard.records.workspaces import BUILT_IN_WORKSPACES, PROJECT, WORKSPACE
from steelyard.store.protocol import WriteTransaction
from steelyard.store.queries import Query

_ALL = 2**31
_POLICIES = ("file_policy", "recording")


async def seed_workspaces(context: Context) -> None:
    """Makes the built-in workspaces that are not there yet."""

    async def action(tx: WriteTransaction) -> None:
        for name in BUILT_IN_WORKSPACES:
            if not await tx.exists("workspace", "", name):
                now, id = context.now(), context.new_id(WORKSPACE.id_prefix)
                row = Row("workspace", id, "", name, 1, now, now, WORKSPACE.complete({}))
                await tx.insert(row, [], Caller().note("create", now))

    await context.store.write(action)


def create_workspace(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new workspace. Raises InvalidInput; performed, AlreadyExists, PreconditionFailed."""
    write = writes.create(context, caller, WORKSPACE, workspace, body, conditions)

    async def run(tx: WriteTransaction) -> Written:
        await _check_free(tx, caller, body["name"])
        written = await write.run(tx)
        await make_admin(tx, context, caller, written.row.name)
        return written

    return write._replace(run=run)


def update_workspace(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a workspace. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, WORKSPACE, workspace, name, said, conditions, workspace_rules)


async def workspace_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """What a workspace says of its files, and of what is written down of requests, takes a permission of its own."""
    if row.fields and any(fields[field] != row.fields.get(field) for field in _POLICIES):
        caller.require("workspaces.policy.set", row.name)


async def _check_free(tx: WriteTransaction, caller: Caller, name: str) -> None:
    """Raises AlreadyExists for the name of a deleted workspace of somebody else's: with the name, its history and what
    can be undeleted in it would be the caller's.
    """
    if caller.may("records.undelete", None):
        return
    deleted = await tx.find_deleted(WORKSPACE.name, "", name)
    if deleted is not None and deleted.created_by != caller.name:
        raise AlreadyExists(
            f"the name {name!r} was that of a workspace which is deleted, and can still be brought back"
        )


def delete_workspace(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a workspace with all that is in it, at once. Raises Protected for a built-in one; performed, NotFound,
    PreconditionFailed, and StillReferenced where references are protected.
    """
    caller.require("workspaces.delete", name)
    if name in BUILT_IN_WORKSPACES:
        raise Protected(f"the workspace {name!r} is built in and cannot be deleted")

    async def run(tx: WriteTransaction) -> Written:
        row = await tx.find("workspace", "", name)
        await writes.check_conditions(tx, WORKSPACE, row, conditions)
        if row is None:
            raise missing(WORKSPACE, "", name)
        if context.policy.protect_references:
            writes.refuse_referenced(caller, WORKSPACE, name, await tx.workspace_referrers(name))
        await let_go_of_workspace(tx, context, caller, row)
        referrers = await tx.workspace_referrers(name)
        await _part_adapters(tx, context, caller, row)
        now = context.now()
        removed = await tx.delete_in_workspace(name, caller.note("delete", now, row.id))
        await tx.delete(row, caller.note("delete", now))
        await tx.revoke_bindings_of_workspace(name, now)
        document = await shown(tx, WORKSPACE, row, verbose=False)
        referrers = [(kind, one) for kind, one in referrers if caller.sees(kind, one.workspace, one.name)]
        return Written(WORKSPACE, row, None, document, len(referrers), removed=removed, left_behind=referrers)

    return Write(WORKSPACE, "delete", run, heavy=True)


async def _part_adapters(tx: WriteTransaction, context: Context, caller: Caller, workspace: Row) -> None:
    """Adapters whose bases go, go with them, wherever they are; bases elsewhere let go of adapters that go."""
    home = workspace.name
    for adapter in await tx.select(Query(ADAPTER.name, None, "created_at", descending=False, limit=_ALL)):
        base_home = base_of(adapter).workspace
        if adapter.workspace == home and base_home != home:
            await tell_base(tx, context, caller, adapter, None)
        elif adapter.workspace != home and base_home == home:
            await tx.delete(adapter, caller.note("delete", context.now(), workspace.id))


def create_project(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new project. Raises InvalidInput; performed, AlreadyExists, PreconditionFailed."""
    return writes.create(context, caller, PROJECT, workspace, body, conditions)


def update_project(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a project. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, PROJECT, workspace, name, said, conditions)


def delete_project(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a project; the records that were in it stay, in no project. Performed, it raises NotFound,
    PreconditionFailed, and StillReferenced where references are protected.
    """

    async def release(tx: WriteTransaction, project: Row) -> Sequence[Reference]:
        members = await tx.referrers("project", Reference(workspace, name), project.id, _ALL)
        for row, field in members:
            left = {**row.fields, field: None}
            await writes.change_fields(tx, context, caller, KINDS[row.kind], row, left, cause=project.id)
        return [Reference(row.workspace, row.name) for row, _ in members]

    return writes.delete(context, caller, PROJECT, workspace, name, conditions, release, heavy=True)
