"""Blobs in a folder of the local disk: `ab/cdef…`, each a file that never changes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from steelyard.blobs.checks import check_staged, damaged, discarded, missing
from steelyard.blobs.digests import is_digest, is_shard, relative_path
from steelyard.blobs.disk import flush_file, flush_folder, full_disk_named
from steelyard.blobs.pieces import read_exactly, read_pieces
from steelyard.blobs.protocol import Staged
from steelyard.errors import CorruptBytes

_Result = TypeVar("_Result")


class LocalBlobs:
    """A `BlobStore` over a folder, which must be on the same file system as the staging.

    `threads` is how many reads and writes may wait for the disk at once.
    """

    def __init__(self, folder: Path, *, threads: int = 8) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="steelyard-blobs")
        # Folders whose own names are known to be durable: the others are flushed once by whoever uses them first.
        self._durable: set[Path] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flush_folder(folder.parent)

    def __repr__(self) -> str:
        return "LocalBlobs()"

    async def size(self, digest: str) -> int | None:
        path = self._place(digest)
        return await self._run(lambda: _size(path))

    def path(self, digest: str) -> Path | None:
        path = self._place(digest)
        return path if path.is_file() else None

    async def read(self, digest: str, start: int, stop: int) -> AsyncIterator[bytes]:
        pieces = read_pieces(self._place(digest), start, stop, self._threads)
        try:
            async for piece in pieces:
                yield piece
        except FileNotFoundError:
            raise missing(digest) from None
        except CorruptBytes as error:
            raise damaged(digest, error.message) from None

    def read_now(self, digest: str, offset: int, length: int) -> bytes:
        try:
            return read_exactly(self._place(digest), offset, length)
        except FileNotFoundError:
            raise missing(digest) from None
        except CorruptBytes as error:
            raise damaged(digest, error.message) from None

    async def put(self, staged: Staged) -> None:
        path = self._place(staged.digest)
        await self._run(lambda: self._put(path, staged))

    async def delete(self, digest: str) -> None:
        path = self._place(digest)

        def remove() -> None:
            if path.exists():
                path.unlink(missing_ok=True)
                flush_folder(path.parent)

        await self._run(remove)

    async def presign(self, digest: str, *, seconds: int, name: str) -> str | None:
        return None

    async def walk(self) -> AsyncIterator[tuple[str, int]]:
        for shard in await self._run(lambda: sorted(filter(is_shard, os.listdir(self._folder)))):  # noqa: PTH208
            for found in await self._run(partial(_blobs_of, self._folder / shard)):
                yield found

    async def close(self) -> None:
        """Ends the threads, after what they are at."""
        await asyncio.to_thread(self._threads.shutdown)

    def _place(self, digest: str) -> Path:
        return self._folder / relative_path(digest)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _put(self, path: Path, staged: Staged) -> None:
        # A blob of another size is a damaged one, which these bytes mend.
        if _size(path) == staged.size:
            staged.path.unlink(missing_ok=True)
        else:
            check_staged(staged)
            with full_disk_named():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                try:
                    flush_file(staged.path)
                    staged.path.replace(path)
                except FileNotFoundError:
                    raise discarded(staged) from None
        # Also when the blob was here: whoever moved it in may not have come this far yet, and we say that it is kept.
        flush_folder(path.parent)
        if path.parent not in self._durable:
            flush_folder(self._folder)
            self._durable.add(path.parent)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _blobs_of(folder: Path) -> list[tuple[str, int]]:
    """Digests and sizes of one folder; foreign files, and blobs removed meanwhile, are passed over."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            digest = folder.name + entry.name
            if is_digest(digest) and (size := _size(Path(entry.path))) is not None:
                found.append((digest, size))
    return found
