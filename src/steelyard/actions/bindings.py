"""Roles: who has which one where. A change is in force for the next request; the last administrator stays."""

from collections.abc import Sequence
from typing import NamedTuple

from steelyard.actions.context import Caller, Context, forbidden
from steelyard.actions.records import missing, require_workspace
from steelyard.errors import AlreadyExists, Fault, Forbidden, InvalidInput, LastAdministrator, NotFound
from steelyard.records.access import SYSTEM, Binding
from steelyard.records.audit import Entry
from steelyard.records.permissions import PLATFORM_ROLES, ROLES
from steelyard.records.workspaces import WORKSPACE
from steelyard.store.protocol import ReadTransaction, WriteTransaction

ADMIN, PLATFORM_ADMIN = "Admin", "PlatformAdmin"
_ONLY_BY_PLATFORM = PLATFORM_ROLES | {"Service"}
_INSTEAD = {"secrets.access": "secrets.update"}
"""What somebody must have to give what nobody has."""


class Member(NamedTuple):
    """Somebody who has roles in a workspace."""

    principal: str
    roles: list[str]
    granted_at: str
    granted_by: str | None


async def list_members(context: Context, workspace: str) -> list[Member]:
    """Who has roles in a workspace. Raises NotFound."""

    async def action(tx: ReadTransaction) -> list[Member]:
        if not await tx.exists("workspace", "", workspace):
            raise missing(WORKSPACE, "", workspace)
        return _members(_in_force(await tx.bindings(), workspace))

    return await context.store.read(action)


async def add_member(context: Context, caller: Caller, workspace: str, principal: str, roles: Sequence[str]) -> Member:
    """Gives roles to somebody who has none. Raises InvalidInput, InvalidParameters, Forbidden, AlreadyExists."""
    check_roles(caller, workspace, roles)

    async def action(tx: WriteTransaction) -> Member:
        await require_workspace(tx, workspace)
        if any(one.principal == principal for one in _in_force(await tx.bindings(), workspace)):
            raise AlreadyExists(f"{principal!r} is a member of the workspace {workspace!r} already; change their roles")
        return await _set(tx, context, caller, workspace, principal, roles)

    return await context.store.write(action)


async def set_member(context: Context, caller: Caller, workspace: str, principal: str, roles: Sequence[str]) -> Member:
    """Makes these the roles of somebody. Raises InvalidInput, InvalidParameters, Forbidden, LastAdministrator."""
    check_roles(caller, workspace, roles)

    async def action(tx: WriteTransaction) -> Member:
        await require_workspace(tx, workspace)
        return await _set(tx, context, caller, workspace, principal, roles)

    return await context.store.write(action)


async def remove_member(context: Context, caller: Caller, workspace: str, principal: str) -> None:
    """Takes all roles of somebody in a workspace. Raises NotFound, LastAdministrator, Forbidden."""

    async def action(tx: WriteTransaction) -> None:
        has = [one for one in _in_force(await tx.bindings(), workspace) if one.principal == principal]
        if not has:
            raise NotFound(f"{principal!r} is no member of the workspace {workspace!r}")
        check_roles(caller, workspace, [one.role for one in has])
        for one in has:
            await _revoke(tx, context, caller, one)

    await context.store.write(action)


async def list_bindings(context: Context, caller: Caller) -> list[Binding]:
    """All bindings of the workspaces of which the caller may know them, also those that are revoked."""

    async def action(tx: ReadTransaction) -> list[Binding]:
        return [one for one in await tx.bindings() if caller.may("iam.list", one.workspace)]

    return await context.store.read(action)


async def get_binding(context: Context, caller: Caller, id: str) -> Binding:
    """A binding by its id. Raises NotFound, also where the caller may not know of it."""

    async def action(tx: ReadTransaction) -> Binding | None:
        return await tx.binding(id)

    found = await context.store.read(action)
    if found is None or not caller.may("iam.read", found.workspace):
        raise NotFound(f"there is no role binding {id[:100]!r}")
    return found


async def create_binding(context: Context, caller: Caller, workspace: str, principal: str, role: str) -> Binding:
    """Gives a role. Raises InvalidInput, InvalidParameters, Forbidden, AlreadyExists."""
    caller.require("iam.create", workspace)
    check_roles(caller, workspace, [role])

    async def action(tx: WriteTransaction) -> Binding:
        await require_workspace(tx, workspace)
        binding = _new(context, caller, workspace, principal, role)
        if not await tx.put_binding(binding):
            raise AlreadyExists(f"{principal!r} has the role {role} in the workspace {workspace!r} already")
        await tx.put_audit(_entry(caller, binding.granted_at, "iam.create", binding))
        return binding

    return await context.store.write(action)


async def delete_binding(context: Context, caller: Caller, id: str) -> Binding:
    """Takes a role back. Raises NotFound, Forbidden, LastAdministrator."""

    async def action(tx: WriteTransaction) -> Binding:
        binding = await tx.binding(id)
        if binding is None or binding.revoked_at is not None or not caller.may("iam.read", binding.workspace):
            raise NotFound(f"there is no role binding {id[:100]!r} in force")
        caller.require("iam.delete", binding.workspace)
        check_roles(caller, binding.workspace, [binding.role])
        return await _revoke(tx, context, caller, binding)

    return await context.store.write(action)


async def make_admin(tx: WriteTransaction, context: Context, caller: Caller, workspace: str) -> None:
    """Whoever makes a workspace is its administrator."""
    if caller.name is not None:
        binding = _new(context, caller, workspace, caller.name, ADMIN)
        if await tx.put_binding(binding):
            await tx.put_audit(_entry(caller, binding.granted_at, "iam.create", binding))


def check_roles(caller: Caller, workspace: str, roles: Sequence[str]) -> None:
    """Raises InvalidInput for what is no role there, Forbidden for one that the caller may not give."""
    faults = []
    for at, role in enumerate(roles):
        if role not in ROLES:
            message = f"not a role; roles: {', '.join(ROLES)}"
            faults.append(Fault(("body", "roles", at), "role", message, role, show_value=len(role) < 100))
        elif role in PLATFORM_ROLES and workspace != SYSTEM:
            message = f"{role} is for the whole server: give it in the workspace {SYSTEM!r}"
            faults.append(Fault(("body", "roles", at), "role", message))
    if faults:
        raise InvalidInput(faults)
    if any(role in _ONLY_BY_PLATFORM for role in roles) and not caller.may("iam.create", None):
        raise forbidden("iam.create", None)
    # What a key takes away from its owner, its holder cannot give to somebody else, and so have it through them.
    where = None if workspace == SYSTEM and PLATFORM_ROLES.intersection(roles) else workspace
    needed = {_INSTEAD.get(one, one) for role in roles for one in ROLES[role]}
    lacking = sorted(one for one in needed if not caller.may(one, where))
    if lacking:
        raise forbidden(lacking[0], where)
    if caller.access is not None and caller.access.models is not None:
        raise Forbidden("a key that is for some models only gives nobody a role")


async def _set(
    tx: WriteTransaction, context: Context, caller: Caller, workspace: str, principal: str, roles: Sequence[str]
) -> Member:
    wanted = list(dict.fromkeys(roles))
    has = [one for one in _in_force(await tx.bindings(), workspace) if one.principal == principal]
    check_roles(caller, workspace, [one.role for one in has if one.role not in wanted])
    # First what is given: somebody who stays an administrator must not seem to be the last one who goes.
    for role in wanted:
        binding = _new(context, caller, workspace, principal, role)
        if all(one.role != role for one in has) and await tx.put_binding(binding):
            await tx.put_audit(_entry(caller, binding.granted_at, "iam.create", binding))
    for one in has:
        if one.role not in wanted:
            await _revoke(tx, context, caller, one)
    found = [one for one in _in_force(await tx.bindings(), workspace) if one.principal == principal]
    return _members(found)[0] if found else Member(principal, [], context.now(), caller.name)


async def _revoke(tx: WriteTransaction, context: Context, caller: Caller, binding: Binding) -> Binding:
    role = PLATFORM_ADMIN if binding.role == PLATFORM_ADMIN else ADMIN
    if binding.role == role:
        others = [one for one in _in_force(await tx.bindings(), binding.workspace) if one.role == role]
        if len(others) == 1:
            raise LastAdministrator(
                f"{binding.principal!r} is the last {role} of "
                f"{'the server' if role == PLATFORM_ADMIN else repr(binding.workspace)}: make another one first"
            )
    now = context.now()
    if await tx.revoke_binding(binding, now):
        await tx.put_audit(_entry(caller, now, "iam.delete", binding))
    return binding._replace(revoked_at=now)


def _new(context: Context, caller: Caller, workspace: str, principal: str, role: str) -> Binding:
    return Binding(context.new_id("role-binding"), principal, workspace, role, caller.name, context.now())


def _in_force(bindings: Sequence[Binding], workspace: str) -> list[Binding]:
    return [one for one in bindings if one.workspace == workspace and one.revoked_at is None]


def _members(bindings: Sequence[Binding]) -> list[Member]:
    found: dict[str, Member] = {}
    for one in bindings:
        known = found.get(one.principal)
        if known is None:
            found[one.principal] = Member(one.principal, [one.role], one.granted_at, one.granted_by)
        else:
            known.roles.append(one.role)
    return list(found.values())


def _entry(caller: Caller, at: str, action: str, binding: Binding) -> Entry:
    return caller.entry(
        at, action, "role-binding", binding.workspace, binding.id, f"{binding.role} of {binding.principal}"
    )
