"""Sends the bytes of files so that a cut connection, or a killed command, costs no more than the piece on its way.

The protocol is tus 1.0 (core and creation). Where an upload was begun is remembered in the user's cache, by what is
sent and to whom, so that the next run of the command goes on with it.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from steelyard.cli.client import Client
from steelyard.cli.errors import CliError, CutError, RefusedError, StartError
from steelyard.cli.folders import CHUNK, LocalFile, cache_folder
from steelyard.cli.tasks import Stop

_VERSION = {"tus-resumable": "1.0.0"}
_BYTES = {**_VERSION, "content-type": "application/offset+octet-stream"}
# Files up to this go with the request that begins their upload.
_AT_ONCE = 8 << 20
# One request carries at most so much, so that a proxy's limit on a request's time is not met.
_PATCH_BYTES = 1 << 30
_SILENCE_SECONDS = 120.0
_ASKED_AT_ONCE = 10_000
_TRIES = 8
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_GONE = frozenset({404, 410})
# What is worth another try: the offset is not what was thought, the upload is busy, the server is not ready.
_AGAIN = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504})


class Uploads:
    """Uploads to one fileset; each `send` may run in a thread of its own."""

    def __init__(self, client: Client, path: str, stop: Stop, sent: Callable[[int], None]) -> None:
        """`path` is that of the fileset; `sent` is told of bytes that are there, negative where they were not."""
        self._client = client
        self._home = path
        self._path = f"{path}/uploads"
        self._stop = stop
        self._sent = sent

    def send(self, file: LocalFile, digest: str) -> None:
        """Brings the bytes of a file to the server, which is told their sha256, and keeps them for a commit.

        Raises `CliError` if the file changed meanwhile, or after so many tries without a byte more.
        """
        memory = _Memory(self._client.url, self._path, digest)
        meter = _Meter(self._sent)
        location, best, tries = memory.read(), -1, 0
        while True:
            try:
                if location is None:
                    location, offset = self._begin(file, digest, meter)
                    memory.write(location)
                else:
                    offset = self._offset(location)
                meter.to(offset)
                if offset == file.size:
                    memory.forget()
                    return
                if offset > best:
                    best, tries = offset, 0
                self._patch(file, location, offset, meter)
            except (CutError, StartError, RefusedError) as error:
                if isinstance(error, RefusedError):
                    if error.http_status not in _AGAIN and not (error.http_status in _GONE and location):
                        memory.forget()
                        raise error.about(file.path) from None
                    if error.http_status in _GONE:
                        memory.forget()
                        location = None
                        # An upload goes when it is complete: it may be only the answer that was lost.
                        if not self.missing([(digest, file.size)]):
                            meter.to(file.size)
                            return
                tries += 1
                if tries > _TRIES:
                    raise
                self._stop.wait(min(_FIRST_WAIT * 2 ** (tries - 1), _LONGEST_WAIT))

    def missing(self, digests: Sequence[tuple[str, int]]) -> set[str]:
        """Which bytes, by sha256 and size, have to be sent before a commit can name them."""
        absent: set[str] = set()
        for start in range(0, len(digests), _ASKED_AT_ONCE):
            asked = [{"sha256": digest, "size": size} for digest, size in digests[start : start + _ASKED_AT_ONCE]]
            found = self._client.call(
                "POST", f"{self._home}/blobs:missing", body={"digests": asked}, seconds=_SILENCE_SECONDS
            )
            absent.update(found.record().get("missing", ()))
        return absent

    def _begin(self, file: LocalFile, digest: str, meter: "_Meter") -> tuple[str, int]:
        """Begins an upload, with all of a small file; answers where it is, and how many bytes it has."""
        metadata = f"sha256 {base64.b64encode(digest.encode()).decode()}"
        headers = {**_VERSION, "upload-length": str(file.size), "upload-metadata": metadata}
        content = None
        if file.size <= _AT_ONCE:
            headers |= {**_BYTES, "content-length": str(file.size)}
            content = self._pieces(file, 0, file.size, meter)
        answer = self._client.send("POST", self._path, content=content, headers=headers, seconds=_SILENCE_SECONDS)
        location = answer.headers.get("location")
        if not location:
            raise CliError("the server began an upload and did not say where; is --url the address of a Steelyard?")
        # Only the path: a proxy in front of the server may be known to it under another name.
        return urlsplit(location).path, int(answer.headers.get("upload-offset", 0))

    def _offset(self, location: str) -> int:
        return int(self._client.send("HEAD", location, headers=_VERSION).headers["upload-offset"])

    def _patch(self, file: LocalFile, location: str, offset: int, meter: "_Meter") -> None:
        length = min(file.size - offset, _PATCH_BYTES)
        headers = {**_BYTES, "upload-offset": str(offset), "content-length": str(length)}
        content = self._pieces(file, offset, length, meter)
        self._client.send("PATCH", location, content=content, headers=headers, seconds=_SILENCE_SECONDS)

    def _pieces(self, file: LocalFile, offset: int, length: int, meter: "_Meter") -> Iterator[bytes]:
        try:
            with file.where.open("rb") as source:
                source.seek(offset)
                while length:
                    self._stop.check()
                    piece = source.read(min(CHUNK, length))
                    if not piece:
                        raise CliError(f"{file.path} became shorter while it was sent; push again")
                    length -= len(piece)
                    meter.add(len(piece))
                    yield piece
        except OSError as error:
            raise CliError(f"cannot read {file.path}: {error.strerror}") from None


class _Meter:
    """How many bytes of one file are told to be sent: more as they go, fewer when the server has not got them."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._at = 0

    def add(self, nbytes: int) -> None:
        """So many more have gone."""
        self._at += nbytes
        self._tell(nbytes)

    def to(self, offset: int) -> None:
        """The server has so many."""
        self.add(offset - self._at)


class _Memory:
    """Where the upload of some bytes was begun, in a small file of the user's cache."""

    def __init__(self, url: str, path: str, digest: str) -> None:
        name = hashlib.sha256(f"{url}\n{path}\n{digest}".encode()).hexdigest()
        self._file: Path = cache_folder() / "uploads" / name[:40]

    def read(self) -> str | None:
        """The path of the upload."""
        try:
            return self._file.read_text() or None
        except (OSError, ValueError):
            return None

    def write(self, location: str) -> None:
        """Remembers it. A cache that cannot be written only means that the next run begins anew."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.write_text(location)
        except OSError:
            self.forget()

    def forget(self) -> None:
        """It is done, or of no use."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError:
            return
