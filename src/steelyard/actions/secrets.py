"""Secrets: their writes, their use by the server itself, and new data keys for all that is sealed."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.records import missing
from steelyard.actions.writes import Write
from steelyard.auth.vault import Sealer
from steelyard.errors import BadReference, Forbidden, UnreadableSecret
from steelyard.records.conditions import Conditions
from steelyard.records.kinds import Fields, Kind, Row, split_path
from steelyard.records.names import REFERENCE_RULE, parse_reference
from steelyard.records.patch import Said
from steelyard.records.registry import KINDS
from steelyard.records.secrets import SECRET
from steelyard.store.protocol import Query, ReadTransaction, Store, WriteTransaction

_AT_ONCE = 200

SecretReader = Callable[[str, str, str], Awaitable[str]]
"""The value of a secret, for the server's own use: from a workspace, a reference, and the field that holds it."""


class Rotation(NamedTuple):
    """How many secrets were sealed anew, and how many could not be opened."""

    rotated: int
    unreadable: int


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


async def rotate_keys(context: Context) -> Rotation:
    """Seals every secret of every record anew, each under a new data key; the secrets themselves stay as they are.

    A page of records at a time, so that other writes go on in between. No record gets a revision by it, for none
    changes. What the history holds stays as it was sealed.
    """
    rotated = unreadable = 0
    for kind in KINDS.values():
        after: tuple[str, str] | None = None
        while kind.secrets:
            done, failed, after = await context.store.write(_page(context, kind, after), heavy=True)
            rotated, unreadable = rotated + done, unreadable + failed
            if after is None:
                break
    return Rotation(rotated, unreadable)


def _page(
    context: Context, kind: Kind, after: tuple[str, str] | None
) -> Callable[[WriteTransaction], Awaitable[tuple[int, int, tuple[str, str] | None]]]:
    query = Query(kind.name, None, "created_at", descending=False, limit=_AT_ONCE, after=after)

    async def action(tx: WriteTransaction) -> tuple[int, int, tuple[str, str] | None]:
        done = failed = 0
        rows = await tx.select(query)
        for row in rows:
            fields, resealed, lost = _resealed(context.vault, kind, row)
            done, failed = done + resealed, failed + lost
            if resealed:
                await tx.put_fields(row._replace(fields=fields))
        last = (rows[-1].created_at, rows[-1].id) if len(rows) == _AT_ONCE else None
        return done, failed, last

    return action


def _resealed(vault: Sealer, kind: Kind, row: Row) -> tuple[Fields, int, int]:
    """The fields with new tokens, how many these are, and how many could not be opened."""
    fields, done, failed = dict(row.fields), 0, 0
    for path in kind.secrets:
        parent, child = split_path(path)
        holder = fields.get(parent)
        token = holder.get(child) if child and holder else holder
        if not token:
            continue
        place = f"{row.id}:{path}"
        try:
            renewed = vault.seal(vault.open(token, place), place)
        except UnreadableSecret:
            failed += 1
            continue
        fields[parent] = {**(holder or {}), child: renewed} if child else renewed
        done += 1
    return fields, done, failed
