"""Reading forwards through bytes that may be compressed, cut short, or of any size, with every byte counted."""

import bz2
import lzma
import zlib
from typing import Protocol

from steelyard.inspect.findings import LimitReached, Read, Report

_CHUNK = 64 << 10
_LONGEST_LINE = 16 << 20
_LZMA_MEMORY = 80 << 20
ENDLESS = 1 << 62
"""The size of what is not known to end: the end shows when fewer bytes come than were asked for."""


class Stream:
    """Bytes of `read` from `start` on, taken one after the other; skipping does not read."""

    def __init__(self, read: Read, size: int, report: Report, start: int = 0) -> None:
        self._read = read
        self._size = size
        self._report = report
        self._buffer = b""
        self._start = start
        self._at = 0

    @property
    def position(self) -> int:
        """The offset of the next byte."""
        return self._start + self._at

    def take(self, length: int) -> bytes:
        """The next `length` bytes; fewer at the end."""
        if self._at + length > len(self._buffer):
            self._fill(length)
        taken = self._buffer[self._at : self._at + length]
        self._at += len(taken)
        return taken

    def peek(self, length: int) -> bytes:
        """The next `length` bytes, which stay the next; fewer at the end."""
        if self._at + length > len(self._buffer):
            self._fill(length)
        return self._buffer[self._at : self._at + length]

    def skip(self, length: int) -> bool:
        """Goes on by `length` bytes. False if that is past the end, as far as the end is known."""
        self._at += length
        if self._at > len(self._buffer):
            self._start, self._at, self._buffer = self.position, 0, b""
        return self.position <= self._size

    def line(self, limit: int) -> bytes | None:
        """The bytes up to the next newline, which is passed; cut to `limit`. None if there is no newline any more.

        Raises LimitReached.
        """
        kept = b""
        begin = self.position
        while self.position - begin <= _LONGEST_LINE:
            end = self._buffer.find(b"\n", self._at)
            piece = self._buffer[self._at : end if end >= 0 else len(self._buffer)]
            kept += piece[: limit - len(kept)]
            self._at += len(piece)
            if end >= 0:
                self._at += 1
                return kept
            if not self.peek(1):
                return None
        raise LimitReached(f"a line of more than {_LONGEST_LINE} bytes")

    def _fill(self, length: int) -> None:
        """Has the next `length` bytes in the buffer, if there are so many."""
        left = self._buffer[self._at :]
        self._start, self._at = self.position, 0
        offset = self._start + len(left)
        wanted = min(max(length - len(left), _CHUNK), max(self._size - offset, 0))
        more = self._read(offset, wanted) if wanted else b""
        self._report.spend_bytes(len(more))
        self._buffer = left + more


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflated:
    """What compressed bytes hold, readable forwards (backwards begins anew). What is broken ends there.

    `form` is `deflate` (bare), `zlib`, `gzip`, `bzip2`, `xz` or `lzma`.
    """

    def __init__(self, read: Read, size: int, form: str, report: Report) -> None:
        self._source, self._source_size, self._form, self._report = read, size, form, report
        self.broken = False
        self._begin()

    def _begin(self) -> None:
        self._taken = 0
        self._unread = b""
        self._position = 0
        self._ended = False
        self._decompressor = _decompressor(self._form)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` inflated bytes from `offset`."""
        if offset < self._position:
            self._begin()
        while self._position < offset and not self._ended:
            self._next(offset - self._position)
        pieces: list[bytes] = []
        while length > 0 and not self._ended:
            piece = self._next(length)
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _next(self, most: int) -> bytes:
        """A piece of up to `most` bytes, which may be empty; sets `_ended` where nothing more comes."""
        data, self._unread = self._unread, b""
        # Feeding more to one that still holds input would let it hoard the whole of a bomb.
        if not data and self._taken < self._source_size and getattr(self._decompressor, "needs_input", True):
            data = self._source(self._taken, min(_CHUNK, self._source_size - self._taken))
            self._taken = self._taken + len(data) if data else self._source_size
            self._report.spend_bytes(len(data))
        try:
            piece = self._decompressor.decompress(data, min(most, _CHUNK))
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            self._ended = self.broken = True
            return b""
        self._unread = getattr(self._decompressor, "unconsumed_tail", b"")
        if self._decompressor.eof:
            self._unread = self._decompressor.unused_data
            self._follow()
        elif not piece and not data and not self._unread:
            self._ended = self.broken = True
        self._position += len(piece)
        self._report.spend_bytes(len(piece))
        return piece

    def _follow(self) -> None:
        """Goes on to the stream after this one, which readers of gzip, bzip2 and xz take as its continuation."""
        if self._form in {"gzip", "bzip2", "xz"} and (self._unread or self._taken < self._source_size):
            self._decompressor = _decompressor(self._form)
        else:
            self._ended = True


def _decompressor(form: str) -> _Decompressor:
    if form == "bzip2":
        return bz2.BZ2Decompressor()
    if form in {"xz", "lzma"}:
        return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    return zlib.decompressobj({"deflate": -15, "zlib": 15, "gzip": 31}[form])
