"""Uploads on the local disk: `<id>` holds the bytes, `<id>.json` what the sender said of them."""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from steelyard.blobs.digests import pieces_now
from steelyard.blobs.disk import flush_folder, full_disk_named, storage_full, write_file
from steelyard.blobs.protocol import UploadState
from steelyard.blobs.upload import Hash, LocalUpload, StagingFile, same_file
from steelyard.errors import NotFound, StorageFull, UploadConflict

_Result = TypeVar("_Result")

_ID = re.compile(r"[0-9a-f]{32}")
_REMEMBERED = 1024


class LocalStaging:
    """A `Staging` over a folder, on the file system of the blobs if these are local.

    `threads` is how many uploads may hash and write at once; the others wait their turn.
    """

    def __init__(self, folder: Path, *, threads: int = 8) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="steelyard-uploads")
        # Hashes of uploads that were let go. A sender who comes back in many small requests would else have the whole
        # file read again for each of them.
        self._hashes: OrderedDict[str, tuple[int, Hash]] = OrderedDict()
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flush_folder(folder.parent)

    def __repr__(self) -> str:
        return "LocalStaging()"

    async def begin(
        self,
        *,
        length: int | None = None,
        metadata: Mapping[str, str] | None = None,
        expires_at: str | None = None,
        resumable: bool = True,
    ) -> LocalUpload:
        state = UploadState(secrets.token_hex(16), 0, length, dict(metadata or {}), expires_at, 0)
        return await self._opening(lambda: self._create(state, resumable))

    async def resume(self, id: str) -> LocalUpload:
        return await self._opening(lambda: self._reopen(self._known(id)))

    async def announce(self, id: str, length: int) -> None:
        await self._run(lambda: self._announce(id, length))

    async def state(self, id: str) -> UploadState:
        return await self._run(lambda: self._known(id))

    async def discard(self, id: str) -> None:
        if _ID.fullmatch(id):
            await self._run(lambda: self._remove(id))

    def uploads(self) -> Iterator[UploadState]:
        names = {name.partition(".")[0] for name in os.listdir(self._folder)}  # noqa: PTH208
        for id in sorted(filter(_ID.fullmatch, names)):
            yield self._read(id)

    async def close(self) -> None:
        """Ends the threads, after what they are at."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _opening(self, work: Callable[[], LocalUpload]) -> LocalUpload:
        """Run what opens an upload; if nobody waits for it any more, it is let go again."""
        opening = self._threads.submit(work)
        try:
            return await asyncio.shield(asyncio.wrap_future(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(lambda done: None if done.exception() else done.result().abandon())
            raise

    def _create(self, state: UploadState, resumable: bool) -> LocalUpload:
        if state.length is not None and state.length > shutil.disk_usage(self._folder).free:
            raise storage_full()
        path = self._content(state.id)
        with full_disk_named():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, path)
            if resumable:
                self._say(state)
        except StorageFull:
            os.close(descriptor)
            self._remove(state.id)
            raise
        return LocalUpload(state, StagingFile(path, descriptor, 0, hashlib.sha256()), self._threads, self._remember)

    def _announce(self, id: str, length: int) -> None:
        state = self._known(id)
        if state.length == length:
            return
        if state.length is not None or state.offset > length:
            known = f"was announced with {state.length}" if state.length is not None else f"has {state.offset}"
            raise UploadConflict(f"The upload {known} bytes, not {length}; begin a new one", offset=state.offset)
        self._say(state._replace(length=length))

    def _say(self, state: UploadState) -> None:
        """Keep, durably, what the sender said."""
        said = {"length": state.length, "metadata": state.metadata, "expires_at": state.expires_at}
        write_file(self._sidecar(state.id), json.dumps(said).encode())
        flush_folder(self._folder)

    def _reopen(self, state: UploadState) -> LocalUpload:
        path = self._content(state.id)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _unknown() from None
        try:
            _lock(descriptor, path)
            file = self._hashed(state.id, path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return LocalUpload(state._replace(offset=file.size), file, self._threads, self._remember)

    def _hashed(self, id: str, path: Path, descriptor: int) -> StagingFile:
        """The file with the hash of its content: the one remembered, if the file has grown no further since."""
        size = os.fstat(descriptor).st_size
        with self._lock:
            remembered = self._hashes.pop(id, None)
        if remembered is not None and remembered[0] == size:
            return StagingFile(path, descriptor, size, remembered[1])
        sha256, at = hashlib.sha256(), 0
        for piece in pieces_now(descriptor, size):
            sha256.update(piece)
            at += len(piece)
        return StagingFile(path, descriptor, at, sha256)

    def _remember(self, id: str, size: int, sha256: Hash) -> None:
        with self._lock:
            self._hashes[id] = (size, sha256)
            while len(self._hashes) > _REMEMBERED:
                self._hashes.popitem(last=False)

    def _known(self, id: str) -> UploadState:
        if not _ID.fullmatch(id) or not self._content(id).is_file() or not self._sidecar(id).is_file():
            raise _unknown()
        return self._read(id)

    def _read(self, id: str) -> UploadState:
        """What is there of an upload, whatever a crash has left of it."""
        content, sidecar = _stat(self._content(id)), _stat(self._sidecar(id))
        offset = content.st_size if content else 0
        written_at = max((found.st_mtime for found in (content, sidecar) if found), default=0.0)
        try:
            said = json.loads(self._sidecar(id).read_bytes())
            return UploadState(id, offset, said["length"], said["metadata"], said["expires_at"], written_at)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return UploadState(id, offset, None, {}, None, written_at)

    def _remove(self, id: str) -> None:
        with self._lock:
            self._hashes.pop(id, None)
        sidecar = self._sidecar(id)
        # The bytes last: while they are there, `uploads` still finds what is to be removed.
        for path in (sidecar.with_name(f"{sidecar.name}.new"), sidecar, self._content(id)):
            path.unlink(missing_ok=True)

    def _content(self, id: str) -> Path:
        return self._folder / id

    def _sidecar(self, id: str) -> Path:
        return self._folder / f"{id}.json"


def _lock(descriptor: int, path: Path) -> None:
    """Take the file for one writer, until it is closed or its process ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UploadConflict("Another request is writing to this upload; wait for it to end") from None
    # It may have become a blob, or been discarded, between the opening and the lock.
    if not same_file(descriptor, path):
        raise _unknown()


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _unknown() -> NotFound:
    return NotFound("There is no such upload: it was finished, discarded or has expired; begin a new one")
