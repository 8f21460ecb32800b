"""The bytes of files: from the content store, or from a source, from which they are kept when they are first read."""

import asyncio
from collections.abc import Mapping, Sequence

from steelyard.actions.context import Context
from steelyard.errors import BadCheckpoint, SteelyardError
from steelyard.records.filesets import FileEntry
from steelyard.records.kinds import Row

_FETCH_SECONDS = 120.0


def identity_of(entry: FileEntry) -> str:
    """What identifies the content of a file: its sha256, or what its source pins it by.

    It is the same before and after a source's file has been fetched: what was said of the one is true of the other.
    """
    if entry.remote is not None:
        return f"source:{entry.remote.get('pin', '')}"
    return entry.digest or ""


def verdict_of(entry: FileEntry) -> str | None:
    """What the scan for pickles said of a file; None where there was nothing to scan, or it was not fetched yet."""
    verdict: str | None = ((entry.facts or {}).get("scan") or {}).get("verdict")
    return verdict


class StoredFiles:
    """The files of a fileset for the readers of checkpoints, which run in a thread. See `inspect/files.py`."""

    def __init__(
        self, context: Context, fileset: Row, files: Sequence[FileEntry], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._context = context
        self._fileset = fileset
        self._files = {entry.path: entry for entry in files}
        self._loop = loop

    def sizes(self) -> Mapping[str, int]:
        """The size in bytes of each file, by path."""
        return {path: entry.size for path, entry in self._files.items()}

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes of a file from `offset`. Raises BadCheckpoint if it cannot be read."""
        entry = self._files.get(path)
        if entry is None:
            raise BadCheckpoint(f"{path}: there is no such file", file=path)
        length = max(0, min(length, entry.size - offset))
        if not length:
            return b""
        try:
            if entry.digest is not None:
                return self._context.blobs.read_now(entry.digest, offset, length)
            asked = self._context.sources.read_range(self._fileset, entry, offset, length)
            return asyncio.run_coroutine_threadsafe(asked, self._loop).result(_FETCH_SECONDS)
        except SteelyardError as error:
            raise BadCheckpoint(f"{path}: cannot be read: {error.message}", file=path) from None
        except TimeoutError:
            raise BadCheckpoint(f"{path}: its source does not answer", file=path) from None
