"""The files of a checkpoint, as the readers of this room see them: names, sizes, and bytes at an offset.

Where the bytes are (a folder, the content store, another server) is somebody else's business; nothing here is ever
executed, imported or unpickled.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from steelyard.errors import BadCheckpoint


class CheckpointFiles(Protocol):
    """The files of one checkpoint, which do not change while they are read."""

    def sizes(self) -> Mapping[str, int]:
        """The size in bytes of each file, by its path with `/` between steps."""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes of a file from `offset`; fewer at its end. Raises BadCheckpoint if it cannot be read."""


class FolderFiles:
    """A checkpoint in a folder of this machine. Links that lead out of it, and hidden files, are not of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._sizes = {
            path.relative_to(self._folder).as_posix(): path.stat().st_size
            for path in sorted(self._folder.rglob("*"))
            if path.is_file() and path.resolve().is_relative_to(self._folder) and not self._hidden(path)
        }

    def _hidden(self, path: Path) -> bool:
        return any(step.startswith(".") for step in path.relative_to(self._folder).parts)

    def sizes(self) -> Mapping[str, int]:
        return self._sizes

    def read(self, path: str, offset: int, length: int) -> bytes:
        if path not in self._sizes:
            raise BadCheckpoint(f"{path}: there is no such file", file=path)
        try:
            with (self._folder / path).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})", file=path) from None
