"""Bytes on their way in and out: received, hashed, scanned and kept; looked up to be sent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from steelyard.actions.context import Context
from steelyard.actions.files.commits import CLAIM_SECONDS
from steelyard.blobs.protocol import Staged
from steelyard.errors import TooLarge, Unavailable
from steelyard.records.blobs import Blob, BlobState
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_SWEEP_WAIT = 0.05
_SWEEP_TRIES = 200


async def receive(
    context: Context,
    workspace: str,
    pieces: AsyncIterator[bytes],
    *,
    length: int | None = None,
    expected: str | None = None,
) -> Blob:
    """Keeps the bytes that `pieces` bring, for `workspace`; whole, or not at all.

    Raises TooLarge, UploadConflict (fewer bytes than announced), DigestMismatch, StorageFull and what `pieces` raises.
    """
    check_size(context, length or 0)
    # Whoever goes away begins again: nothing needs to be found after a crash.
    async with await context.staging.begin(length=length, resumable=False) as upload:
        try:
            async for piece in pieces:
                check_size(context, upload.offset + len(piece))
                await upload.write(piece)
            return await keep(context, workspace, await upload.finish(expected=expected))
        finally:
            await context.staging.discard(upload.id)


def check_size(context: Context, size: int) -> None:
    """Raises TooLarge for more bytes than a file may have."""
    limit = context.policy.files.max_bytes
    if size > limit:
        raise TooLarge(f"the file is larger than {limit} bytes (setting files.max_bytes)", limit=limit)


async def keep(context: Context, workspace: str, staged: Staged) -> Blob:
    """Takes a finished staging file into the content store, and lets `workspace` name its bytes. Raises StorageFull."""
    found = await asyncio.to_thread(_scan, staged.path, staged.size)
    facts = {"scan": found, "git_oid": staged.git_oid}
    arriving = Blob(staged.digest, staged.size, "arriving", context.now(), facts)

    async def announce(tx: WriteTransaction) -> BlobState | None:
        there = await tx.blob(staged.digest)
        if there is None or there.state != "deleting":
            await tx.put_blob(arriving)
        return there.state if there is not None else None

    for _ in range(_SWEEP_TRIES):
        before = await context.store.write(announce)
        if before != "deleting":
            break
        # The same bytes are being swept this moment: they must be gone before they can come again.
        await asyncio.sleep(_SWEEP_WAIT)
    else:
        raise Unavailable("the same content is being removed; try again")
    if before == "corrupt":
        # Only one of all who bring these bytes now sees that state: nobody's fresh bytes are removed.
        await context.blobs.delete(staged.digest)
    await context.blobs.put(staged)
    live = arriving._replace(state="live", seen_at=context.now())

    async def arrive(tx: WriteTransaction) -> None:
        await tx.put_blob(live)
        await tx.claim_blob(staged.digest, workspace, live.seen_at)

    await context.store.write(arrive)
    return live


def _scan(path: Path, size: int) -> dict[str, object] | None:
    """What would run if somebody loaded the file; None where nothing would."""
    # Loaded with the first file that comes: see `inspections.py`.
    from steelyard.inspect.pickles import scan  # noqa: PLC0415

    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        # By the content alone: the same bytes can have any name later.
        found = scan(read, size, "")
    return None if found.kind == "none" else dict(found.as_document())


async def missing_bytes(context: Context, workspace: str, digests: list[str]) -> set[str]:
    """Which of `digests` a workspace has to send before it can name them. Those that it has are kept for a day more."""

    async def action(tx: WriteTransaction) -> set[str]:
        since, now, absent = context.ago(CLAIM_SECONDS), context.now(), set()
        for digest in digests:
            blob = await tx.blob(digest)
            if blob is None or blob.state != "live" or not await tx.workspace_has(workspace, digest, since):
                absent.add(digest)
            else:
                await tx.touch_blob(digest, now)
        return absent

    return await context.store.write(action, heavy=len(digests) > 50)


async def known_blob(context: Context, digest: str) -> Blob | None:
    """What is known of those bytes."""

    async def action(tx: ReadTransaction) -> Blob | None:
        return await tx.blob(digest)

    return await context.store.read(action)
