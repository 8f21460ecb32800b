"""Files of sources: fetched once, whichever of their readers comes first, checked, and kept in the content store.

`open_through` is what answers a download: it gives the bytes while they are being kept, so that the first of them does
not wait for the last. Where policy looks at what a file holds before it leaves, `fetch` it first.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from steelyard.actions.context import Context
from steelyard.actions.files.bytes import check_size, keep, missing_bytes
from steelyard.actions.files.pulls import Pull, PullKey
from steelyard.blobs.protocol import Staged
from steelyard.errors import OutboundFailed
from steelyard.records.filesets import FileEntry, is_external
from steelyard.records.kinds import Row
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_PIECE = 1 << 20
_RANGE = 8 << 20
"""Up to so many bytes of a file are asked of the source by themselves: a header need not wait for the rest."""
_HELD = 64 << 10
"""So many bytes at the end are given out only when the whole has been checked: what is wrong never looks complete."""


def cache_status(context: Context, row: Row, entry: FileEntry) -> str:
    """Whether the bytes of a file are kept here: not_cacheable (they always are), cached, caching or not_cached."""
    if not is_external(row.fields):
        return "not_cacheable"
    if entry.digest is not None:
        return "cached"
    return "caching" if _key(row, entry) in context.pulls.files else "not_cached"


async def fetch(context: Context, row: Row, entry: FileEntry) -> str:
    """The digest of a file, whose bytes are kept here from then on.

    Raises OutboundRefused, OutboundFailed (also for bytes that are not those that were pinned), StorageFull, TooLarge.
    """
    return entry.digest if entry.digest is not None else await ended(pull_of(context, row, entry))


async def open_through(context: Context, row: Row, entry: FileEntry, start: int, stop: int) -> AsyncIterator[bytes]:
    """The bytes of a file from `start` up to `stop`, kept here as they come, unless it is a small part that was asked.

    What goes wrong before the first byte is raised here, what goes wrong later by the iterator: see `fetch`.
    """
    pieces = _pieces(context, row, entry, start, stop)
    try:
        first = await anext(pieces, b"")
    except BaseException:
        await pieces.aclose()
        raise
    return _primed(first, pieces)


async def _primed(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):
        if first:
            yield first
        async for piece in pieces:
            yield piece


async def _pieces(context: Context, row: Row, entry: FileEntry, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    digest = entry.digest or await _kept(context, row, entry)
    if digest is None and stop - start < entry.size and stop - start <= _RANGE:
        for at in range(start, stop, _PIECE):
            yield await context.sources.read_range(row, entry, at, min(_PIECE, stop - at))
        return
    at = start
    if digest is None:
        pull = pull_of(context, row, entry)
        pull.enter()
        try:
            async with aclosing(_followed(pull, start, min(stop, entry.size - _HELD))) as parts:
                async for part in parts:
                    at += len(part)
                    yield part
            digest = await ended(pull)
        finally:
            pull.leave()
    async with aclosing(_read(context, digest, at, stop)) as parts:
        async for part in parts:
            yield part


async def _read(context: Context, digest: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    async for piece in context.blobs.read(digest, start, stop):
        yield piece


async def _followed(pull: Pull, at: int, stop: int) -> AsyncGenerator[bytes, None]:
    """What has come of a file, and what comes, up to `stop` or the end of the pull, good or bad."""
    while at < stop and not pull.ended:
        bell, piece = pull.bell, b""
        if pull.descriptor is not None:
            piece = await asyncio.to_thread(os.pread, pull.descriptor, min(_PIECE, stop - at), at)
        if piece:
            at += len(piece)
            yield piece
        elif not pull.ended:
            await bell.wait()


def pull_of(context: Context, row: Row, entry: FileEntry) -> Pull:
    """The fetching of a file: the one that is under way, or a new one."""
    key, pulls = _key(row, entry), context.pulls.files
    if key in pulls:
        return pulls[key]
    pull = pulls[key] = Pull()

    def settle(task: asyncio.Task[str]) -> None:
        del pulls[key]
        pull.end()
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; nobody may

    pull.task = asyncio.create_task(_pull(context, row, entry, pull))
    pull.task.add_done_callback(settle)
    return pull


async def ended(pull: Pull) -> str:
    """The digest, when all is here. Raises what has gone wrong."""
    assert pull.task is not None  # noqa: S101 - begun with it
    try:
        # Who stops waiting does not stop the others who wait, nor the fetching.
        return await asyncio.shield(pull.task)
    except asyncio.CancelledError:
        if pull.task.cancelled():
            raise OutboundFailed("the fetching was cancelled", reason="cancelled") from None
        raise


async def _pull(context: Context, row: Row, entry: FileEntry, pull: Pull) -> str:
    digest = await _kept(context, row, entry)
    if digest is not None:
        return digest
    check_size(context, entry.size)
    known = (entry.remote or {}).get("sha256")
    if known is not None and not await missing_bytes(context, row.workspace, [known]):
        digest = known  # the workspace has had these bytes from elsewhere
    else:
        digest = await _received(context, row, entry, pull)

    async def note(tx: WriteTransaction) -> None:
        await tx.set_file_digest(row.id, entry, digest, entry.size)

    await context.store.write(note)
    return digest


async def _received(context: Context, row: Row, entry: FileEntry, pull: Pull) -> str:
    async with await context.staging.begin(length=entry.size, resumable=False) as upload:
        try:
            pull.begin(os.open(upload.path, os.O_RDONLY | os.O_CLOEXEC))
            async for piece in context.sources.stream(row, entry):
                await upload.write(piece)
                pull.bytes_done = upload.offset
                pull.ring()
            staged = await upload.finish()
            _verify(entry, staged)
            return (await keep(context, row.workspace, staged)).digest
        finally:
            await context.staging.discard(upload.id)


def _verify(entry: FileEntry, staged: Staged) -> None:
    """Raises OutboundFailed if the bytes are not those that the source promised when it was pinned."""
    remote = entry.remote or {}
    promised = {"sha256": staged.digest, "git_oid": staged.git_oid}
    for kind, came in promised.items():
        if came is not None and remote.get(kind, came) != came:
            raise OutboundFailed(
                f"what came for {entry.path!r} is not what its source promised ({kind} {remote[kind]}): not kept",
                reason="changed",
            )


async def _kept(context: Context, row: Row, entry: FileEntry) -> str | None:
    """The digest of a file that somebody has fetched since `entry` was read."""

    async def action(tx: ReadTransaction) -> FileEntry | None:
        return await tx.file_at(row.id, entry.since, entry.path)

    found = await context.store.read(action)
    return found.digest if found is not None else None


def _key(row: Row, entry: FileEntry) -> PullKey:
    return row.id, entry.path, entry.since
