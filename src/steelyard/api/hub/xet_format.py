"""The two formats that clients of Xet send: xorbs, which are packs of chunks, and shards, which say what files are made
of them. The specification: https://huggingface.co/docs/xet (xorb, shard, hashing).
"""

import struct
from collections.abc import AsyncIterator
from typing import NamedTuple

import lz4.frame

from steelyard.actions.files.packs import Run
from steelyard.errors import InvalidInput, TooLarge

MOST_PACKED = 65 << 20
"""The most bytes of a xorb as it is sent; the specification says 64 MiB."""
MOST_UNPACKED = 129 << 20
LONGEST_CHUNK = 1 << 20
"""The longest chunk, in bytes. The specification says 128 KiB."""
MOST_CHUNKS = 32_768
MOST_FILE_INFO = 32 << 20
"""The most bytes that a shard may take to say what files are made of."""

_CHUNK_HEADER = 8
_END_OF_CHUNKS = b"XETBLOB"
_RECORD = 48
_END_OF_FILES = b"\xff" * 32
_VERIFIED, _WITH_SHA256 = 1 << 31, 1 << 30


class FileMade(NamedTuple):
    """A file that a shard tells of: its sha256, and the runs of chunks that it is made of."""

    digest: str
    runs: list[Run]


def name_of(raw: bytes) -> str:
    """The name of a hash of 32 bytes: its four parts of eight bytes as little-endian numbers, in hexadecimal."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


class _Reader:
    """Takes bytes off a body that comes in pieces."""

    def __init__(self, pieces: AsyncIterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self._held = bytearray()
        self._arrived = 0

    async def has(self, count: int) -> bool:
        """Whether `count` bytes more are there to take. Raises TooLarge."""
        while len(self._held) < count:
            piece = await anext(self._pieces, None)
            if piece is None:
                return False
            self._arrived += len(piece)
            if self._arrived > self._limit:
                raise TooLarge(f"the body is larger than {self._limit} bytes", limit=self._limit)
            self._held += piece
        return True

    async def take(self, count: int) -> bytes:
        """The next `count` bytes. Raises InvalidInput if the body ends before, TooLarge."""
        if not await self.has(count):
            raise _wrong("ends in the middle")
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    def starts_with(self, start: bytes) -> bool:
        """Whether what is held starts so."""
        return self._held.startswith(start)


async def chunks_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks of a xorb, unpacked. Raises InvalidInput, TooLarge."""
    reader, unpacked, count = _Reader(pieces, MOST_PACKED), 0, 0
    while await reader.has(_CHUNK_HEADER) and not reader.starts_with(_END_OF_CHUNKS):
        header = await reader.take(_CHUNK_HEADER)
        packed, size = int.from_bytes(header[1:4], "little"), int.from_bytes(header[5:8], "little")
        unpacked, count = unpacked + size, count + 1
        if header[0] != 0:
            raise _wrong(f"has a chunk of the unknown version {header[0]}")
        if not 0 < size <= LONGEST_CHUNK or packed > 2 * LONGEST_CHUNK:
            raise _wrong(f"has a chunk of {size} bytes ({packed} packed); a chunk has 1 to {LONGEST_CHUNK}")
        if unpacked > MOST_UNPACKED or count > MOST_CHUNKS:
            raise TooLarge(f"a xorb has at most {MOST_UNPACKED} bytes in {MOST_CHUNKS} chunks", limit=MOST_UNPACKED)
        yield _unpacked(header[4], await reader.take(packed), size)
    if not count:
        raise _wrong("has no chunks")


def _unpacked(scheme: int, data: bytes, size: int) -> bytes:
    if scheme == 0:
        chunk = data
    elif scheme in {1, 2}:
        try:
            # One byte more than announced is enough to see that it lies.
            chunk = lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1)
        except (RuntimeError, EOFError):
            raise _wrong("has a chunk that is no LZ4") from None
        chunk = _grouped_again(chunk) if scheme == 2 else chunk
    else:
        raise _wrong(f"has a chunk packed in the unknown way {scheme}")
    if len(chunk) != size:
        raise _wrong("has a chunk that is not as long as it says")
    return chunk


def _grouped_again(data: bytes) -> bytes:
    """Bytes in their order, of which every fourth one stood together."""
    chunk, at = bytearray(len(data)), 0
    for first in range(4):
        count = len(range(first, len(data), 4))
        chunk[first::4] = data[at : at + count]
        at += count
    return bytes(chunk)


async def files_of(pieces: AsyncIterator[bytes]) -> list[FileMade]:
    """The files that a shard tells of; what it says of its xorbs is not asked. Raises InvalidInput, TooLarge."""
    reader, files = _Reader(_first(pieces, MOST_FILE_INFO), MOST_FILE_INFO), list[FileMade]()
    await reader.take(_RECORD)  # the header: a mark, a version, and where the end is
    while True:
        hash, flags, count = struct.unpack("<32sII", (await reader.take(_RECORD))[:40])
        if hash == _END_OF_FILES:
            return files
        runs = [_run(await reader.take(_RECORD)) for _ in range(count)]
        if flags & _VERIFIED:
            for _ in range(count):
                await reader.take(_RECORD)
        if not flags & _WITH_SHA256:
            raise _wrong("has a file without its sha256")
        files.append(FileMade(name_of((await reader.take(_RECORD))[:32]), runs))


async def _first(pieces: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece[:limit]


def _run(record: bytes) -> Run:
    xorb, _, size, first, last = struct.unpack("<32sIIII", record)
    return Run(name_of(xorb), first, last, size)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.of(("body",), "xet", message)
