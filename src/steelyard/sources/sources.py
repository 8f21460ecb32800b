"""The places that filesets can take their files from, by the type of their storage."""

from collections.abc import AsyncIterator

from steelyard.errors import Forbidden
from steelyard.records.filesets import FileEntry, Pinned
from steelyard.records.kinds import Fields, Row


class ConfiguredSources:
    """The sources that the settings allow."""

    async def pin(self, workspace: str, storage: Fields) -> Pinned:
        raise Forbidden(f"sources of type {storage['type']!r} are not taken")

    async def read_range(self, fileset: Row, file: FileEntry, offset: int, length: int) -> bytes:
        raise Forbidden("sources are not read")

    async def stream(self, fileset: Row, file: FileEntry) -> AsyncIterator[bytes]:
        raise Forbidden("sources are not read")
        yield b""
