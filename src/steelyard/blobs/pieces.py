"""Reads a range of a local file without holding up the event loop."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from steelyard.blobs.protocol import PIECE
from steelyard.errors import CorruptBytes


async def read_pieces(path: Path, start: int, stop: int, threads: ThreadPoolExecutor) -> AsyncIterator[bytes]:
    """The bytes from `start` up to `stop`, in pieces of at most 1 MiB, with the next one read ahead.

    Raises `FileNotFoundError`, and `CorruptBytes` if the file ends before `stop`. The file is open until the iterator
    is done or closed, so it is read to its end even if its name is removed meanwhile.
    """
    if start >= stop:
        return
    descriptor = await _opened(path, threads)
    ahead: Future[bytes] = threads.submit(os.pread, descriptor, min(PIECE, stop - start), start)
    try:
        at = start
        while at < stop:
            # A reader that goes away must not cancel the read: its file may only be closed after it.
            piece = await asyncio.shield(asyncio.wrap_future(ahead))
            at += len(piece)
            if not piece:
                raise CorruptBytes(f"The file ends at byte {at}, and has no byte {stop - 1}")
            if at < stop:
                ahead = threads.submit(os.pread, descriptor, min(PIECE, stop - at), at)
            yield piece
    finally:
        ahead.add_done_callback(lambda _: os.close(descriptor))


async def _opened(path: Path, threads: ThreadPoolExecutor) -> int:
    opening = threads.submit(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await asyncio.shield(asyncio.wrap_future(opening))
    except asyncio.CancelledError:
        opening.add_done_callback(lambda done: None if done.exception() else os.close(done.result()))
        raise


def read_exactly(path: Path, offset: int, length: int) -> bytes:
    """`length` bytes of a file, blocking. Raises `FileNotFoundError`, and `CorruptBytes` if it is shorter."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Asked first, so that a length that some header claims does not become memory.
        size = os.fstat(descriptor).st_size
        if offset + length > size:
            raise CorruptBytes(f"The file has {size} bytes, and no byte {offset + length - 1}")
        parts = []
        while length and (part := os.pread(descriptor, length, offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
