"""Removes what nobody needs: bytes that nothing names, uploads that were given up, replaced files past their time.

Each step can be cut anywhere, and the next round goes on from there (docs/decisions/0016-files.md).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from steelyard.actions.context import Context
from steelyard.actions.files.commits import CLAIM_SECONDS
from steelyard.actions.files.uploads import is_expired
from steelyard.store.protocol import ReadTransaction, WriteTransaction

INSPECTION_SECONDS = 24 * 3600
"""How long what was read in a content is kept after its last commit is gone: a write may be about to make one."""
_AT_ONCE = 500


class Swept(NamedTuple):
    """How much a sweep removed."""

    blobs: int
    uploads: int
    replaced: int


async def sweep_files(context: Context) -> Swept:
    """Removes what is not needed any more. Replaced files go first: their bytes may be garbage then."""
    replaced = await _forget_replaced(context)
    await _forget_notes(context)
    return Swept(await sweep_blobs(context), await sweep_uploads(context), replaced)


async def sweep_blobs(context: Context) -> int:
    """Removes bytes that nothing names, that no upload has claimed within a day, and nobody has asked about for as
    long; answers how many those were.

    They are marked first, in a transaction which sees that nothing names them, then removed, then forgotten. Whoever
    brings the same bytes meanwhile waits for that.
    """
    removed = await _remove_marked(context)  # what a crash has left
    before, after = context.ago(CLAIM_SECONDS), ""
    while unused := await context.store.scan(_unused_after(before, after)):
        after = unused[-1]
        await context.store.write(_mark(unused, before), heavy=True)
        removed += await _remove_marked(context)
    return removed


def _unused_after(before: str, after: str) -> Callable[[ReadTransaction], Awaitable[list[str]]]:
    async def look(tx: ReadTransaction) -> list[str]:
        return await tx.unused_blobs(before, after, _AT_ONCE)

    return look


def _mark(digests: list[str], before: str) -> Callable[[WriteTransaction], Awaitable[None]]:
    async def mark(tx: WriteTransaction) -> None:
        for digest in digests:
            await tx.mark_garbage(digest, before)

    return mark


async def _remove_marked(context: Context) -> int:
    removed = 0
    while marked := await context.store.read(_marked):
        for digest in marked:
            await context.blobs.delete(digest)
        await context.store.write(_forget(marked), heavy=True)
        removed += len(marked)
    return removed


async def _marked(tx: ReadTransaction) -> list[str]:
    return await tx.garbage(_AT_ONCE)


def _forget(digests: list[str]) -> Callable[[WriteTransaction], Awaitable[None]]:
    async def forget(tx: WriteTransaction) -> None:
        for digest in digests:
            await tx.forget_blob(digest)

    return forget


async def sweep_uploads(context: Context) -> int:
    """Drops uploads that can be resumed no longer, and what crashes have left of others; answers how many."""

    def expired() -> list[str]:
        return [state.id for state in context.staging.uploads() if is_expired(context, state)]

    found = await asyncio.to_thread(expired)
    for id in found:
        await context.staging.discard(id)
    return len(found)


async def _forget_replaced(context: Context) -> int:
    kept = context.policy.files.keep_replaced_seconds
    if not kept:
        return 0
    before, forgotten = context.ago(kept), 0

    async def forget(tx: WriteTransaction) -> int:
        return await tx.forget_replaced_files(before, _AT_ONCE)

    while count := await context.store.write(forget, heavy=True):
        forgotten += count
    return forgotten


async def _forget_notes(context: Context) -> None:
    async def forget(tx: WriteTransaction) -> None:
        await tx.forget_claims(context.ago(CLAIM_SECONDS))
        await tx.forget_inspections(context.ago(INSPECTION_SECONDS))

    await context.store.write(forget, heavy=True)
