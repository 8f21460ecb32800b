"""Checks that the bytes which are kept are what their digests say: `steelyard fsck`."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, NamedTuple

from steelyard.actions.context import Context
from steelyard.actions.files.damage import mark_corrupt, mark_sound
from steelyard.blobs.verify import verify
from steelyard.errors import NotFound
from steelyard.records.blobs import Blob
from steelyard.store.protocol import ReadTransaction

Trouble = Literal["missing", "corrupt", "orphan", "mended"]

_AT_ONCE = 200
_USERS_NAMED = 100
_PROGRESS_BYTES = 256 << 20
_PROGRESS_BLOBS = 100


class Finding(NamedTuple):
    """Bytes that are not as they should be, with the filesets and paths that name them, at any commit.

    `missing` and `corrupt` are handed out no more, until they are sent again. An `orphan` is kept, and known to
    nobody: it does no harm. `mended` was damaged when it was looked at last, and is sound now.
    """

    trouble: Trouble
    digest: str
    size: int
    used_by: tuple[tuple[str, str], ...] = ()

    def document(self) -> Mapping[str, Any]:
        """As it is answered."""
        users = [{"fileset": fileset, "path": path} for fileset, path in self.used_by]
        return {"type": self.trouble, "sha256": self.digest, "size": self.size, "used_by": users}


class Progress(NamedTuple):
    """How much has been read so far, in blobs and bytes; `done` says that this is all."""

    blobs: int
    bytes: int
    troubles: int
    done: bool = False

    def document(self) -> Mapping[str, Any]:
        """As it is answered."""
        kind = "done" if self.done else "progress"
        return {"type": kind, "blobs": self.blobs, "bytes": self.bytes, "troubles": self.troubles}


async def check_all(context: Context) -> AsyncIterator[Finding | Progress]:
    """Reads all bytes again, and tells what is wrong as it is found; the last that it tells is a Progress with `done`.

    Damage that is found is marked, so that it is never handed out. A few MiB of memory, whatever there is to read.
    """
    blobs = size = troubles = told = 0
    yield Progress(0, 0, 0)
    async for blob in _known(context):
        finding = await _check(context, blob)
        blobs, size = blobs + 1, size + blob.size
        if finding is not None:
            troubles += finding.trouble != "mended"
            yield finding
        if size - told >= _PROGRESS_BYTES or blobs % _PROGRESS_BLOBS == 0:
            told = size
            yield Progress(blobs, size, troubles)
    async for digest, length in context.blobs.walk():
        if not await _is_known(context, digest):
            troubles += 1
            yield Finding("orphan", digest, length)
    yield Progress(blobs, size, troubles, done=True)


async def _known(context: Context) -> AsyncIterator[Blob]:
    after = ""

    async def page(tx: ReadTransaction) -> list[Blob]:
        return await tx.blobs_from(after, _AT_ONCE)

    while found := await context.store.scan(page):
        after = found[-1].digest
        for blob in found:
            if blob.state in {"live", "corrupt"}:
                yield blob


async def _check(context: Context, blob: Blob) -> Finding | None:
    trouble: Trouble = "corrupt"
    try:
        sound = await verify(context.blobs, blob.digest)
    except NotFound:
        trouble, sound = "missing", False
    if sound and blob.state == "live":
        return None
    now = await _state_now(context, blob.digest)
    if now is None or now not in {"live", "corrupt"}:
        return None  # it was swept, or is being sent again, while it was read
    if sound:
        await mark_sound(context, blob.digest)
        trouble = "mended"
    else:
        await mark_corrupt(context, blob.digest)
    return Finding(trouble, blob.digest, blob.size, await _users(context, blob.digest))


async def _users(context: Context, digest: str) -> tuple[tuple[str, str], ...]:
    async def look(tx: ReadTransaction) -> tuple[tuple[str, str], ...]:
        return tuple((str(home), path) for home, path in await tx.blob_users(digest, _USERS_NAMED))

    return await context.store.scan(look)


async def _state_now(context: Context, digest: str) -> str | None:
    async def look(tx: ReadTransaction) -> str | None:
        blob = await tx.blob(digest)
        return blob.state if blob is not None else None

    return await context.store.read(look)


async def _is_known(context: Context, digest: str) -> bool:
    return await _state_now(context, digest) is not None
