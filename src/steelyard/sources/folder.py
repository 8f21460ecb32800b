"""Folders of this machine to which the settings give a name. No link is followed, on no step of a path."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from steelyard.errors import BadReference, OutboundFailed
from steelyard.records.filesets import FileChange, FileEntry, Pinned
from steelyard.records.kinds import Fields
from steelyard.records.paths import path_fault
from steelyard.sources.checks import MOST_FILES, checked_files
from steelyard.sources.fetching import changed
from steelyard.sources.rules import SourceRules

_PIECE = 1 << 20
_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe that somebody put there must not hold up the thread that opens it.
_FILE = _STEP | os.O_NONBLOCK


class FolderSource:
    """The files below a folder, each pinned by its time, size and inode."""

    def __init__(self, rules: SourceRules, storage: Fields) -> None:
        self._storage = storage
        path: str = storage["path"]
        name, _, below = path.strip("/").partition("/")
        folder = rules.folders.get(name)
        if folder is None:
            raise BadReference(
                f"storage.path: there is no folder {name[:100]!r} on this server (setting files.folders)",
                field="storage.path",
            )
        if below and (fault := path_fault(below)):
            raise BadReference(f"storage.path: {fault}", field="storage.path")
        self._folder = folder
        self._below: list[str] = below.split("/") if below else []

    async def pin(self) -> Pinned:
        return Pinned(self._storage, None, await asyncio.to_thread(self._list))

    def _list(self) -> list[FileChange]:
        try:
            with self._opened_folder(self._below) as folder:
                return checked_files(self._pinned(file) for file in _files(folder, ""))
        except OSError:
            # Not why: it would tell what there is on this machine.
            raise BadReference(
                "storage.path: there is no such folder, it cannot be read, or a step of its path is a link",
                field="storage.path",
            ) from None

    def _pinned(self, file: FileChange) -> FileChange:
        remote = file.remote or {}
        place = "/".join((self._storage["path"].strip("/"), file.path))
        return file._replace(remote={"pin": f"{place} {remote['state']}", **remote})

    async def read_range(self, file: FileEntry, offset: int, length: int) -> bytes:
        content = await asyncio.to_thread(self._read, file, offset, length)
        if len(content) < length:
            raise changed(repr(file.path))
        return content

    async def stream(self, file: FileEntry) -> AsyncIterator[bytes]:
        done = 0
        while done < file.size or not file.size:
            piece = await self.read_range(file, done, min(_PIECE, file.size - done))
            if not file.size:
                return
            yield piece
            done += len(piece)

    def _read(self, file: FileEntry, offset: int, length: int) -> bytes:
        *folders, name = [*self._below, *file.path.split("/")]
        try:
            with self._opened_folder(folders) as folder:
                descriptor = os.open(name, _FILE, dir_fd=folder)
                try:
                    content = os.pread(descriptor, length, offset)
                    # After the read: what was there before it may have been written over since.
                    found = os.fstat(descriptor)
                finally:
                    os.close(descriptor)
        except OSError:
            raise OutboundFailed(f"{file.path!r} is no longer in its folder", reason="changed") from None
        if not stat.S_ISREG(found.st_mode) or _state(found) != (file.remote or {}).get("state"):
            raise changed(repr(file.path))
        return content

    @contextmanager
    def _opened_folder(self, steps: list[str]) -> Iterator[int]:
        """The folder at the end of `steps`, each opened in the one before. Raises OSError."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in steps:
                inner = os.open(step, _STEP | os.O_DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _files(folder: int, above: str) -> Iterator[FileChange]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    if len(entries) > MOST_FILES:
        raise OutboundFailed(f"the folder has more than {MOST_FILES} files; name a part of it", reason="unfit")
    for entry in entries:
        path = f"{above}{entry.name}"
        if fault := path_fault(path):
            raise OutboundFailed(f"{path[:200]!r} of the folder cannot be taken: {fault}", reason="unfit")
        said = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(said.st_mode):
            inner = os.open(entry.name, _STEP | os.O_DIRECTORY, dir_fd=folder)
            try:
                yield from _files(inner, f"{path}/")
            finally:
                os.close(inner)
        elif stat.S_ISREG(said.st_mode):
            yield FileChange(path, None, said.st_size, {"state": _state(said)})
        else:
            raise OutboundFailed(
                f"{path[:200]!r} of the folder is a link, or no file; links are not followed: name a folder of files",
                reason="unfit",
            )


def _state(said: os.stat_result) -> str:
    return f"{said.st_mtime_ns}-{said.st_size}-{said.st_ino}"
