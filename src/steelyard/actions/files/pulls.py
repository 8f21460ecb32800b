"""What is being fetched from sources at this moment: one value for the server, made when it starts."""

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from steelyard.records.kinds import Document

PullKey = tuple[str, str, int]
"""Which file: the id of its fileset, its path, and the commit since when it has been there."""
SyncState = Literal["idle", "running", "done", "failed", "cancelled"]

_REMEMBERED = 1000


class Pull:
    """A file on its way into the content store. Readers follow in its staging file, which `descriptor` is open on."""

    def __init__(self) -> None:
        self.descriptor: int | None = None
        self.bytes_done = 0
        self.task: asyncio.Task[str] | None = None
        self._bell = asyncio.Event()
        self._readers = 0

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, good or bad."""
        return self.task is not None and self.task.done()

    def ring(self) -> None:
        """Tells the readers that there is more, or that there will be no more."""
        self._bell.set()
        self._bell = asyncio.Event()

    @property
    def bell(self) -> asyncio.Event:
        """Rings when there is more to read than now. Who takes it before looking misses nothing."""
        return self._bell

    @property
    def is_followed(self) -> bool:
        """Whether somebody reads it as it comes."""
        return self._readers > 0

    def begin(self, descriptor: int) -> None:
        """The staging file is there, and can be read."""
        self.descriptor = descriptor
        self.ring()

    def end(self) -> None:
        """Wakes the readers, and closes the staging file when none is left."""
        self.ring()
        self._close_if_left()

    def enter(self) -> None:
        """One reader more."""
        self._readers += 1

    def leave(self) -> None:
        """One reader less."""
        self._readers -= 1
        self._close_if_left()

    def _close_if_left(self) -> None:
        if not self._readers and self.ended and self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


@dataclass
class Sync:
    """The fetching of all files of a fileset: how far it is, and what came of it. Sizes are in bytes."""

    started_at: str
    state: SyncState = "running"
    commit: str | None = None
    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    error: str | None = None
    finished_at: str | None = None
    task: "asyncio.Task[None] | None" = None
    under_way: dict[str, Pull] = field(default_factory=dict)

    def document(self) -> Document:
        """As it is answered."""
        return {
            "state": self.state,
            "commit": self.commit,
            "files_total": self.files_total,
            "files_done": self.files_done,
            "bytes_total": self.bytes_total,
            "bytes_done": self.bytes_done + sum(pull.bytes_done for pull in self.under_way.values()),
            "error": self.error,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
        }


class Pulls:
    """The files and the filesets that are being fetched, and what came of the last thousand filesets."""

    def __init__(self) -> None:
        self.files: dict[PullKey, Pull] = {}
        self.syncs: OrderedDict[str, Sync] = OrderedDict()

    def remember(self, fileset_id: str, sync: Sync) -> None:
        """The last fetching of a fileset."""
        self.syncs[fileset_id] = sync
        self.syncs.move_to_end(fileset_id)
        for old in [id for id, one in self.syncs.items() if one.task is None or one.task.done()]:
            if len(self.syncs) <= _REMEMBERED:
                break
            del self.syncs[old]

    async def close(self) -> None:
        """Ends all of it; what is not whole is fetched again another time."""
        tasks: list[asyncio.Task[None] | asyncio.Task[str]] = [sync.task for sync in self.syncs.values() if sync.task]
        tasks += [pull.task for pull in self.files.values() if pull.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
