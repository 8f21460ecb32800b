"""One staging file while it is written: hashed on the way, a piece behind its sender, in order, by one writer."""

import asyncio
import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from steelyard.blobs.digests import git_oid
from steelyard.blobs.disk import full_disk_named, write_all
from steelyard.blobs.protocol import PIECE, Staged, UploadState
from steelyard.errors import DigestMismatch, NotFound, StorageFull, TooLarge, UploadConflict

_Result = TypeVar("_Result")


class Hash(Protocol):
    """A sha256 that is being computed."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class StagingFile:
    """The file of an upload, for threads, one call at a time: its hash and its size are always those of its content."""

    def __init__(self, path: Path, descriptor: int, size: int, sha256: Hash) -> None:
        self.path = path
        self.size = size
        self.sha256 = sha256
        # A file object, so that one which is forgotten is closed all the same, and gives up its lock.
        self._file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115

    def append(self, pieces: list[bytes], at: int) -> None:
        """Write at the end. Nothing is written if that is not `at`, as when the piece before it found a full disk."""
        if at != self.size:
            return
        for written in write_all(self._file.fileno(), b"".join(pieces), at):
            self.sha256.update(written)
            self.size += len(written)

    def flush(self) -> int:
        """Returns, with its size, when all of the content is on the disk."""
        with full_disk_named():
            os.fsync(self._file.fileno())
        return self.size

    def finish(self, expected: str | None) -> Staged:
        """What the file is, when it is on the disk. Raises `DigestMismatch` and `NotFound`."""
        size, digest = self.flush(), self.sha256.hexdigest()
        if expected is not None and digest != expected:
            raise DigestMismatch(f"The bytes that arrived have the sha256 {digest}, and {expected} was announced")
        if not same_file(self._file.fileno(), self.path):
            raise NotFound("The upload was discarded; begin a new one")
        return Staged(digest, size, self.path, git_oid(self.path, size))

    def close(self) -> None:
        """Lets go of the lock, which is held by the open file."""
        self._file.close()


def same_file(descriptor: int, path: Path) -> bool:
    """Whether an open file is still what is found under its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class LocalUpload:
    """An `Upload` over a `StagingFile`.

    At most two pieces of about 1 MiB are in memory: one arrives while a thread hashes and writes the one before.
    """

    def __init__(
        self,
        state: UploadState,
        file: StagingFile,
        threads: ThreadPoolExecutor,
        released: Callable[[str, int, Hash], None],
    ) -> None:
        """`released` is told id, size and hash when the file is let go, so that it need not be read again."""
        self._state = state
        self._file = file
        self._threads = threads
        self._released = released
        self._offset = file.size
        self._pieces: list[bytes] = []
        self._held = 0
        self._append: Future[None] | None = None
        self._last: Future[Any] | None = None
        self._closed = False

    @property
    def id(self) -> str:
        return self._state.id

    @property
    def offset(self) -> int:
        return self._offset

    @property
    def length(self) -> int | None:
        return self._state.length

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._state.metadata

    @property
    def path(self) -> Path:
        return self._file.path

    async def write(self, piece: bytes) -> None:
        self._check_open()
        if self.length is not None and self._offset + len(piece) > self.length:
            raise TooLarge(f"The upload was announced with {self.length} bytes, and more arrived; begin a new one")
        self._pieces.append(piece)
        self._held += len(piece)
        self._offset += len(piece)
        if self._held >= PIECE:
            await self._hand_over()

    async def sync(self) -> int:
        self._check_open()
        await self._settle()
        return await self._in_thread(self._file.flush)

    async def finish(self, *, expected: str | None = None) -> Staged:
        self._check_open()
        if self.length is not None and self._offset < self.length:
            raise UploadConflict(
                f"The upload has {self._offset} of {self.length} bytes; send the rest", offset=self._offset
            )
        await self._settle()
        return await self._in_thread(lambda: self._file.finish(expected))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._in_thread(self._let_go)

    def abandon(self) -> None:
        """Close what was opened for a caller who is gone, in the thread that opened it."""
        self._closed = True
        self._let_go()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _let_go(self) -> None:
        try:
            # What arrived is kept, if there is room: the sender may come back and go on from there.
            with contextlib.suppress(StorageFull):
                self._file.append(self._pieces, self._offset - self._held)
            self._released(self.id, self._file.size, self._file.sha256)
        finally:
            self._file.close()

    def _check_open(self) -> None:
        if self._closed:
            raise UploadConflict("The upload is closed; resume it to go on")

    async def _hand_over(self) -> None:
        """Give the pieces to a thread, when it is done with those before."""
        await self._written()
        pieces, at = self._pieces, self._offset - self._held
        self._pieces, self._held = [], 0
        self._append = self._submit(lambda: self._file.append(pieces, at))

    async def _settle(self) -> None:
        """Returns when all that arrived is in the file, if not yet on the disk."""
        if self._held:
            await self._hand_over()
        await self._written()

    async def _written(self) -> None:
        if self._append is None:
            return
        try:
            await asyncio.shield(asyncio.wrap_future(self._append))
        except StorageFull:
            self._append = None
            self._pieces, self._held, self._offset = [], 0, self._file.size
            raise

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        # A caller who goes away stops waiting; the file is not pulled from under the thread.
        return await asyncio.shield(asyncio.wrap_future(self._submit(work)))

    def _submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Do work in a thread after all work given before, which has begun or is done: threads take it in order."""
        before = self._last

        def in_order() -> _Result:
            if before is not None:
                concurrent.futures.wait([before])
            return work()

        submitted = self._threads.submit(in_order)
        self._last = submitted
        return submitted
