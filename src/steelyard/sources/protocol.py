"""What each kind of source can do."""

from collections.abc import AsyncIterator
from typing import Protocol

from steelyard.records.filesets import FileEntry, Pinned


class Source(Protocol):
    """A place with files, as a fileset's storage names it.

    What a file is pinned to stands in its `remote`: `pin` names the content, and where they are known, `sha256` and
    `git_oid` are what the bytes must have when they have come. A pin begins with where it is from: what one server says
    of its files must never be taken for what another says of its own.
    """

    async def pin(self) -> Pinned:
        """What is there now. Raises BadReference, InvalidInput, Forbidden, OutboundRefused, OutboundFailed."""

    async def read_range(self, file: FileEntry, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`. Raises OutboundRefused, OutboundFailed."""

    def stream(self, file: FileEntry) -> AsyncIterator[bytes]:
        """All bytes of a file, in pieces. Raises OutboundRefused, OutboundFailed."""
