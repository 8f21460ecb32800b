"""New keys for all that is sealed, in pages, so that other writes go on in between.

Every secret gets a new data key, wherever it stands: in records, in deleted ones, and in the history, which must still
open for a `:revert`. No record gets a revision by it, for none changes. A new master key may be taken first; the one
from before goes when nothing is sealed under it any more.

Whoever seals takes the present key at that moment, inside a write. Writes run one after the other: those that took the
key from before are done when the first page begins. What they copy later (a revert, an undelete) may carry old tokens
past the pages; that is why the keys in use are looked for at the end, in one view of everything.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, get_args

from steelyard.actions.context import Context
from steelyard.auth.vault import Sealer
from steelyard.errors import StartupError, SteelyardError, Unavailable, UnreadableSecret
from steelyard.records.kinds import Fields, split_path
from steelyard.records.registry import KINDS
from steelyard.records.secrets import Sealed, SealedIn
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_AT_ONCE = 200
_ROUNDS = 10
_log = logging.getLogger("steelyard")


class Rotation(NamedTuple):
    """How many secrets of records were sealed anew, and how many could not be opened, those of the history too."""

    rotated: int
    unreadable: int


async def rotate_keys(context: Context, *, master_key: bool = False, everything: bool = True) -> Rotation:
    """Seals every secret anew; with `master_key` under a new master key. The secrets themselves stay as they are.

    Without `everything` only what another master key has sealed. Raises Conflict where there is no new master key to
    take, Unavailable where it cannot be made or kept.
    """
    async with context.vault.rotating:
        if master_key:
            await _renew(context.vault)
        # What was sealed with the key from before is on the disk when this is: all writes wait in one line.
        await context.store.write(_nothing)
        done = await _seal_all(context, "" if everything else context.vault.keys.present.id)
        for _ in range(_ROUNDS):
            in_use = await context.store.scan(_keys_in_use)
            if not in_use & context.vault.keys.previous:
                break
            again = await _seal_all(context, other_than=context.vault.keys.present.id)
            if not again.everywhere:
                break
        await asyncio.to_thread(context.vault.keys.retire, in_use)
        return Rotation(done.rotated, done.unreadable)


async def finish_rotation(context: Context) -> None:
    """Goes on where a server was ended in the middle of taking a new master key."""
    try:
        await rotate_keys(context, everything=False)
    except SteelyardError as error:
        _log.warning("a rotation of the master key was begun and could not be finished: %s", error.message)


async def _renew(vault: Sealer) -> None:
    try:
        await asyncio.to_thread(vault.keys.renew)
    except StartupError as error:
        # What a command said is for those who run the server.
        _log.warning("no new master key was taken: %s", error.message)
        raise Unavailable("no new master key could be taken: nothing was changed; the log says why") from None
    except OSError as error:
        _log.warning("no new master key was taken: %s", error.strerror)
        raise Unavailable("the new master key could not be written, and nothing was changed") from None


async def _nothing(tx: WriteTransaction) -> None:
    """Changes nothing."""


class _Done(NamedTuple):
    rotated: int
    unreadable: int
    everywhere: int


async def _seal_all(context: Context, other_than: str = "") -> _Done:
    """Seals what is sealed (by another key than the one of that id) anew."""
    rotated = unreadable = everywhere = 0
    for kind, path in _paths():
        for place in get_args(SealedIn):
            after: str | int | None = None
            while keys := await context.store.scan(_found(place, kind, path, after, other_than)):
                done, failed = await context.store.write(_page(context.vault, place, keys, path), heavy=True)
                rotated += done if place == "records" else 0
                everywhere, unreadable, after = everywhere + done, unreadable + failed, keys[-1]
    return _Done(rotated, unreadable, everywhere)


def _paths() -> Iterator[tuple[str, str]]:
    for kind in KINDS.values():
        for path in kind.secrets:
            yield kind.name, path


async def _keys_in_use(tx: ReadTransaction) -> set[str]:
    return {id for kind, path in _paths() for id in await tx.sealing_keys(kind, path)}


def _found(
    place: SealedIn, kind: str, path: str, after: str | int | None, other_than: str
) -> Callable[[ReadTransaction], Awaitable[list[str | int]]]:
    async def action(tx: ReadTransaction) -> list[str | int]:
        found = await tx.sealed(place, kind, path, after=after, limit=_AT_ONCE, other_than=other_than)
        return [sealed.key for sealed in found]

    return action


def _page(
    vault: Sealer, place: SealedIn, keys: list[str | int], path: str
) -> Callable[[WriteTransaction], Awaitable[tuple[int, int]]]:
    async def action(tx: WriteTransaction) -> tuple[int, int]:
        done = failed = 0
        for key in keys:
            # As it is now: it may have been changed since it was found.
            sealed = await tx.sealed_at(place, key)
            if sealed is None:
                continue
            try:
                fields = _resealed(vault, sealed, path)
            except UnreadableSecret:
                failed += 1
                continue
            if fields is not None:
                await tx.put_sealed(sealed._replace(fields=fields))
                done += 1
        return done, failed

    return action


def _resealed(vault: Sealer, sealed: Sealed, path: str) -> Fields | None:
    """The fields with a new token at `path`; None where there is no secret. Raises UnreadableSecret."""
    parent, child = split_path(path)
    holder = sealed.fields.get(parent)
    token = holder.get(child) if child and holder else holder
    if not token:
        return None
    context = f"{sealed.record_id}:{path}"
    renewed = vault.seal(vault.open(token, context), context)
    return {**sealed.fields, parent: {**(holder or {}), child: renewed} if child else renewed}
