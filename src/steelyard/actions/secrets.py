"""Secrets: their writes, and their use by the server itself. New keys for them are in `rotation.py`."""

from collections.abc import Awaitable, Callable
from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.records import missing
from steelyard.actions.writes import Write
from steelyard.auth.vault import Sealer
from steelyard.errors import BadReference, Forbidden
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Row
from steelyard.records.names import REFERENCE_RULE, parse_reference
from steelyard.records.patch import Said
from steelyard.records.secrets import SECRET
from steelyard.store.protocol import ReadTransaction, Store

SecretReader = Callable[[str, str, str], Awaitable[str]]
"""The value of a secret, for the server's own use: from a workspace, a reference, and the field that holds it."""


def create_secret(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new secret. Raises InvalidInput; performed, AlreadyExists, PreconditionFailed."""
    return writes.create(context, caller, SECRET, workspace, body, conditions)


def update_secret(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a secret. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, SECRET, workspace, name, said, conditions)


def delete_secret(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a secret; nothing can use it any more. Performed, it raises NotFound, PreconditionFailed."""
    return writes.delete(context, caller, SECRET, workspace, name, conditions)


async def access_secret(context: Context, workspace: str, name: str) -> str:
    """The value of a secret, for services that are told it. Raises Forbidden, NotFound, UnreadableSecret."""
    if not context.policy.allow_secret_access:
        # Before anything is looked up: a refusal does not tell which secrets there are.
        raise Forbidden("nobody reads the value of a secret (setting secrets.access); name the secret where it is used")

    async def action(tx: ReadTransaction) -> Row:
        row = await tx.find(SECRET.name, workspace, name)
        if row is None:
            raise missing(SECRET, workspace, name)
        return row

    return open_value(context.vault, await context.store.read(action))


def secret_reader(store: Store, vault: Sealer) -> SecretReader:
    """What opens the secrets that records of a workspace name; each time as the secret is at that moment.

    A workspace uses its own secrets only: whoever may write into one must not spend the credentials of another.
    """

    async def read(workspace: str, reference: str, field: str) -> str:
        named = parse_reference(reference, workspace)
        if named is None:
            raise BadReference(f"not a secret: {REFERENCE_RULE}", field=field)
        if named.workspace != workspace:
            raise BadReference(
                f"the secret {reference!r} is of another workspace; make one in {workspace!r} and name that",
                field=field,
            )

        async def action(tx: ReadTransaction) -> Row | None:
            return await tx.find(SECRET.name, named.workspace, named.name)

        row = await store.read(action)
        if row is None:
            raise BadReference(f"there is no secret {named.name!r} in the workspace {workspace!r}", field=field)
        return open_value(vault, row)

    return read


def open_value(vault: Sealer, row: Row) -> str:
    """The value of the secret `row`. Raises UnreadableSecret."""
    token: str = row.fields["value"]
    return vault.open(token, f"{row.id}:value")
