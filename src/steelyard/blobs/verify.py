"""Reads kept bytes again, to see that they are still what their digest says."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from steelyard.blobs.checks import missing
from steelyard.blobs.protocol import BlobStore
from steelyard.errors import CorruptBytes, NotFound


async def verify(blobs: BlobStore, digest: str) -> bool:
    """Whether the bytes of a blob hash to its digest; a few MiB of memory, whatever its size. Raises `NotFound`."""
    size = await blobs.size(digest)
    if size is None:
        raise missing(digest)
    hashed = hashlib.sha256()
    try:
        async for piece in blobs.read(digest, 0, size):
            await asyncio.to_thread(hashed.update, piece)
    except CorruptBytes:
        return False
    return hashed.hexdigest() == digest


async def damaged(blobs: BlobStore) -> AsyncIterator[str]:
    """The digests of all blobs whose bytes are no longer what they were; those removed meanwhile are passed over."""
    async for digest, _ in blobs.walk():
        try:
            sound = await verify(blobs, digest)
        except NotFound:
            continue
        if not sound:
            yield digest
