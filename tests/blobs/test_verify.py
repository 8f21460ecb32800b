"""Damaged bytes are found, whatever keeps them."""

import obstore
import pytest

from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.objects import ObjectBlobs
from steelyard.blobs.protocol import BlobStore
from steelyard.blobs.staging import LocalStaging
from steelyard.blobs.verify import damaged, verify
from steelyard.errors import NotFound
from tests.blobs.conftest import put

CONTENT = bytes(range(256)) * 10_000


def _flip(blobs: BlobStore, digest: str) -> None:
    """Change one bit of what is kept, behind the store's back."""
    content = bytearray(CONTENT)
    content[1_234_567] ^= 1
    if isinstance(blobs, LocalBlobs):
        path = blobs.path(digest)
        assert path
        path.write_bytes(content)
    else:
        assert isinstance(blobs, ObjectBlobs)
        obstore.put(blobs._store, f"{digest[:2]}/{digest[2:]}", bytes(content))


async def test_sound_bytes(staging: LocalStaging, blobs: BlobStore) -> None:
    assert await verify(blobs, await put(staging, blobs, CONTENT))
    assert await verify(blobs, await put(staging, blobs, b""))


async def test_one_flipped_bit_is_found(staging: LocalStaging, blobs: BlobStore) -> None:
    digest = await put(staging, blobs, CONTENT)
    sound = await put(staging, blobs, b"sound")
    _flip(blobs, digest)

    assert not await verify(blobs, digest)
    assert await verify(blobs, sound)
    assert [found async for found in damaged(blobs)] == [digest]


async def test_there_is_nothing_to_verify(blobs: BlobStore) -> None:
    with pytest.raises(NotFound):
        await verify(blobs, "0" * 64)
