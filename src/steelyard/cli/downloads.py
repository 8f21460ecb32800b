"""Fetches files in ranges, several at once, so that a cut connection or a killed command costs a part, not a file.

A file that is not whole yet lies in the folder's `.steelyard`, under its sha256, beside a list of the parts that it
has. It gets its name when its bytes are checked.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from steelyard.cli.client import Client
from steelyard.cli.errors import CliError, CutError, RefusedError, StartError
from steelyard.cli.folders import CHUNK, STATE, place_for, sha256_of
from steelyard.cli.tasks import Stop

PART_BYTES = 16 << 20
_SILENCE_SECONDS = 60.0
_TRIES = 8
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a fileset: its path there, its size in bytes, its sha256 (None: its source was not asked yet), where
    it is asked for, and where it goes.
    """

    path: str
    size: int
    digest: str | None
    url: str
    place: Path


class Downloads:
    """Downloads into one folder; each part may run in a thread of its own."""

    def __init__(
        self,
        client: Client,
        root: Path,
        query: dict[str, str],
        stop: Stop,
        told: Callable[[int], None],
        done: Callable[[RemoteFile, str], None],
        refused: Callable[[RemoteFile], None] | None = None,
    ) -> None:
        """`root` is resolved; `told` is told of bytes that have come, `done` of each file that is whole, and `refused`
        of each that policy keeps back (403): without it, that is an error.
        """
        self._client = client
        self._root = root
        self._query = query
        self._stop = stop
        self._told = told
        self._done = done
        self._refused = refused
        self._parts = root / STATE

    def prepare(self) -> None:
        """Makes the folder for parts. Raises `CliError` if something else is in its place."""
        self._parts.mkdir(parents=True, exist_ok=True)
        if self._parts.is_symlink():
            raise CliError(f"{self._parts} is a link; remove it, for files would be written where it leads")

    def tidy(self) -> None:
        """Removes the folder for parts, unless there are some."""
        try:
            self._parts.rmdir()
        except OSError:
            return

    def work(self, file: RemoteFile) -> Iterator[Callable[[], None]]:
        """The jobs that fetch a file; the last one to end gives it its name."""
        # By its path too: two files of the same bytes do not get into each other's way.
        name = f"{(file.digest or 'new')[:32]}-{hashlib.sha256(file.path.encode()).hexdigest()[:16]}"
        part = _Part(self._parts / f"{name}.part", file.size, resumes=file.digest is not None)
        missing = part.open()
        self._told(file.size - sum(length for _, length in missing))
        left = _Countdown(len(missing))
        if not missing:
            yield partial(self._finish, file, part)
        for start, length in missing:
            yield partial(self._fetch, file, part, start, length, left)

    def _fetch(self, file: RemoteFile, part: "_Part", start: int, length: int, left: "_Countdown") -> None:
        """Fetches a range, again where the connection is cut."""
        have, tries = 0, 0
        while have < length:
            try:
                for piece in self._range(file, start + have, length - have):
                    part.write(start + have, piece)
                    have += len(piece)
                    tries = 0
                    self._told(len(piece))
                    self._stop.check()
            except (CutError, StartError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.http_status not in _AGAIN:
                    if error.http_status == 403 and self._refused is not None:
                        self._leave_out(file, part, left)
                        return
                    raise error.about(file.path) from None
                tries += 1
                if tries > _TRIES:
                    raise
                self._stop.wait(min(_FIRST_WAIT * 2 ** (tries - 1), _LONGEST_WAIT))
            except OSError as error:
                raise CliError(f"cannot write {file.path}: {error.strerror}") from None
        part.mark(start)
        if left.down():
            self._finish(file, part)

    def _leave_out(self, file: RemoteFile, part: "_Part", left: "_Countdown") -> None:
        assert self._refused is not None  # noqa: S101
        if left.down():
            part.remove()
            self._refused(file)

    def _range(self, file: RemoteFile, start: int, length: int) -> Iterator[bytes]:
        headers = {"accept": "*/*", "accept-encoding": "identity"}
        whole = start == 0 and length == file.size
        if not whole:
            headers["range"] = f"bytes={start}-{start + length - 1}"
            if file.digest:
                headers["if-range"] = f'"{file.digest}"'
        with self._client.stream(file.url, query=self._query, headers=headers, seconds=_SILENCE_SECONDS) as answer:
            if not whole and answer.status_code != 206:
                raise CliError(f"{file.path} changed on the server while it was fetched; pull again")
            for piece in answer.iter_bytes(CHUNK):
                yield piece[:length]
                length -= len(piece)
                if length <= 0:
                    return
        raise CutError(f"{file.path}: the server sent fewer bytes than it said")

    def _finish(self, file: RemoteFile, part: "_Part") -> None:
        """Checks the bytes, and gives the file its name."""
        try:
            digest = sha256_of(part.path)
            if file.digest is not None and digest != file.digest:
                part.remove()
                raise CliError(f"{file.path}: the bytes that came are not those of its sha256; pull again")
            file.place.parent.mkdir(parents=True, exist_ok=True)
            # A link may have come into the way since the path was checked.
            place_for(self._root, file.path)
            if file.place.is_dir() and not file.place.is_symlink():
                raise CliError(f"{file.path}: a folder is in its place; remove it")
            part.take(file.place)
        except OSError as error:
            raise CliError(f"cannot write {file.path}: {error.strerror}") from None
        self._done(file, digest)


class _Countdown:
    """Says which of several threads was the last."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._lock = threading.Lock()

    def down(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left == 0


class _Part:
    """A file that is not whole yet, and the list of its parts that have come."""

    def __init__(self, path: Path, size: int, *, resumes: bool) -> None:
        self.path = path
        self._size = size
        self._list = path.with_suffix(".list")
        self._resumes = resumes
        self._lock = threading.Lock()

    def open(self) -> list[tuple[int, int]]:
        """Makes the file, or takes up the one that is there; answers start and length of what is missing."""
        have = self._have() if self._resumes else set()
        if not have:
            self.remove()
        with self.path.open("ab"):
            os.truncate(self.path, self._size)
        starts = range(0, self._size, PART_BYTES)
        return [(start, min(PART_BYTES, self._size - start)) for start in starts if start not in have]

    def _have(self) -> set[int]:
        try:
            if self.path.is_symlink() or self.path.stat().st_size != self._size:
                return set()
            lines = self._list.read_text().split()
        except (OSError, ValueError):
            return set()
        return {int(line) for line in lines if line.isascii() and line.isdigit()}

    def write(self, start: int, piece: bytes) -> None:
        """Puts bytes in their place."""
        with self.path.open("r+b", buffering=0) as file:
            file.seek(start)
            view = memoryview(piece)
            while view:
                view = view[file.write(view) or 0 :]

    def mark(self, start: int) -> None:
        """Notes that the part that starts there has come."""
        with self._lock, self._list.open("a") as lines:
            lines.write(f"{start}\n")

    def take(self, place: Path) -> None:
        """Gives the file its name, when it is on the disk."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(place)
        self._list.unlink(missing_ok=True)

    def remove(self) -> None:
        """Begins anew."""
        self.path.unlink(missing_ok=True)
        self._list.unlink(missing_ok=True)


def remote_file(record: dict[str, Any], home: str, root: Path) -> RemoteFile:
    """A file out of a server's list. Raises `CliError` for one that must not be written."""
    path, size, digest = record.get("path"), record.get("size"), record.get("sha256")
    if not isinstance(path, str) or not isinstance(size, int) or size < 0:
        raise CliError("the list of files is not one; is --url the address of a Steelyard server?")
    if digest is not None and not (isinstance(digest, str) and len(digest) == 64 and digest.isalnum()):
        raise CliError(f"the server names a file {path[:200]!a} with what is no sha256; nothing was written")
    return RemoteFile(path, size, digest, f"{home}/-/{quote(path)}", place_for(root, path))
