"""Unpacks answers that an upstream has compressed although nobody asked for it, within bounds."""

import zlib
from collections.abc import Iterable

from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.headers import Header

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class Inflate:
    """Unpacks a body piece by piece; one of more than `most` bytes is refused, however small it came."""

    def __init__(self, most: int) -> None:
        self._unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._left = most

    def feed(self, data: bytes) -> bytes:
        """What a piece says. Raises UpstreamFailed."""
        try:
            unpacked = self._unpack.decompress(data, self._left + 1)
        except zlib.error:
            raise UpstreamFailed("bad_answer", "its compression cannot be read") from None
        self._left -= len(unpacked)
        if self._left < 0:
            raise UpstreamFailed("too_large")
        return unpacked


def inflate_of(headers: Iterable[Header], most: int) -> Inflate | None:
    """What unpacks a body with these headers; None if it is plain. Raises UpstreamFailed if nothing does."""
    encoding = b", ".join(value for name, value in headers if name == b"content-encoding").strip().lower()
    if encoding in {b"", b"identity"}:
        return None
    if encoding in {b"gzip", b"x-gzip", b"deflate"}:
        return Inflate(most)
    raise UpstreamFailed("bad_answer", "it is compressed in a way that nobody asked for")
