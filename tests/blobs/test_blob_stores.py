"""What every kind of blob store promises: a local folder and an object store alike."""

import asyncio
import hashlib
import random

import pytest

from steelyard.blobs.protocol import PIECE, BlobStore, Staged
from steelyard.blobs.staging import LocalStaging
from steelyard.errors import CorruptBytes, DigestMismatch, NotFound
from tests.blobs.conftest import content_of, put, stage

ABSENT = "0" * 64
BIG = random.Random(1).randbytes(9 * PIECE + 12_345)
"""Enough for several parts of an object, several requests for it, and an odd end."""


@pytest.mark.parametrize("content", [b"", b"x", bytes(PIECE), BIG], ids=["empty", "one byte", "one piece", "big"])
async def test_what_is_put_is_what_is_read(staging: LocalStaging, blobs: BlobStore, content: bytes) -> None:
    digest = await put(staging, blobs, content)

    assert digest == hashlib.sha256(content).hexdigest()
    assert await blobs.size(digest) == len(content)
    assert await content_of(blobs, digest, 0, len(content)) == content


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (PIECE - 1, PIECE + 1), (5, 4 * PIECE + 6), (4 * PIECE, len(BIG)), (len(BIG) - 1, len(BIG)), (7, 7)],
)
async def test_a_range_is_read_in_pieces(staging: LocalStaging, blobs: BlobStore, start: int, stop: int) -> None:
    digest = await put(staging, blobs, BIG)

    pieces = [piece async for piece in blobs.read(digest, start, stop)]

    assert b"".join(pieces) == BIG[start:stop]
    assert all(0 < len(piece) <= PIECE for piece in pieces)


async def test_a_reader_may_stop_anywhere(staging: LocalStaging, blobs: BlobStore) -> None:
    digest = await put(staging, blobs, BIG)
    reading = blobs.read(digest, 0, len(BIG))

    assert await anext(reading) == BIG[:PIECE]
    await reading.aclose()  # type: ignore[attr-defined]

    assert await content_of(blobs, digest, 0, 5) == BIG[:5]


async def test_a_thread_reads_at_an_offset(staging: LocalStaging, blobs: BlobStore) -> None:
    digest = await put(staging, blobs, BIG)

    assert await asyncio.to_thread(blobs.read_now, digest, 100, 50) == BIG[100:150]
    assert await asyncio.to_thread(blobs.read_now, digest, len(BIG), 0) == b""


@pytest.mark.parametrize(("offset", "length"), [(0, 6), (4, 2), (5, 1), (6, 10), (0, 2**50)])
async def test_bytes_past_the_end_are_an_error_and_never_less(
    staging: LocalStaging, blobs: BlobStore, offset: int, length: int
) -> None:
    digest = await put(staging, blobs, b"short")

    with pytest.raises(CorruptBytes, match=digest):
        await asyncio.to_thread(blobs.read_now, digest, offset, length)
    with pytest.raises(CorruptBytes, match=digest):
        await content_of(blobs, digest, offset, offset + length)


async def test_what_is_not_there(blobs: BlobStore) -> None:
    assert await blobs.size(ABSENT) is None
    assert blobs.path(ABSENT) is None
    await blobs.delete(ABSENT)
    with pytest.raises(NotFound, match=ABSENT):
        await content_of(blobs, ABSENT, 0, 1)
    with pytest.raises(NotFound, match=ABSENT):
        await asyncio.to_thread(blobs.read_now, ABSENT, 0, 1)


@pytest.mark.parametrize("name", ["", "..", "../" * 20 + "etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n"])
async def test_what_is_no_digest_reaches_no_disk(blobs: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case"):
        await blobs.size(name)
    with pytest.raises(ValueError, match="64 lower-case"):
        blobs.path(name)
    with pytest.raises(ValueError, match="64 lower-case"):
        await blobs.delete(name)
    with pytest.raises(ValueError, match="64 lower-case"):
        await content_of(blobs, name, 0, 1)


async def test_a_deleted_blob_is_gone_and_can_come_back(staging: LocalStaging, blobs: BlobStore) -> None:
    digest = await put(staging, blobs, b"weights")

    await blobs.delete(digest)
    assert await blobs.size(digest) is None
    await put(staging, blobs, b"weights")

    assert await content_of(blobs, digest, 0, 7) == b"weights"


async def test_a_put_moves_the_staging_file(staging: LocalStaging, blobs: BlobStore) -> None:
    staged = await stage(staging, b"weights")

    await blobs.put(staged)

    assert not staged.path.exists()


async def test_a_put_of_what_is_there_only_removes_the_staging_file(staging: LocalStaging, blobs: BlobStore) -> None:
    digest = await put(staging, blobs, b"weights")
    again = await stage(staging, b"weights")

    await blobs.put(again)
    await blobs.put(again)

    assert not again.path.exists()
    assert [found async for found in blobs.walk()] == [(digest, 7)]


@pytest.mark.parametrize("content", [b"weights" * 100, BIG], ids=["small", "in parts"])
async def test_uploads_of_the_same_content_at_once_keep_it_once(
    staging: LocalStaging, blobs: BlobStore, content: bytes
) -> None:
    digests = await asyncio.gather(*(put(staging, blobs, content) for _ in range(4)))

    assert [found async for found in blobs.walk()] == [(digests[0], len(content))]
    assert await content_of(blobs, digests[0], 0, len(content)) == content
    assert {state.offset for state in staging.uploads()} == {0}


async def test_a_walk_finds_all(staging: LocalStaging, blobs: BlobStore) -> None:
    contents = [b"a" * number for number in range(20)]
    digests = [await put(staging, blobs, content) for content in contents]

    found = [item async for item in blobs.walk()]

    assert sorted(found) == sorted((digest, len(content)) for digest, content in zip(digests, contents, strict=True))


async def test_a_staging_file_that_changed_is_not_taken(staging: LocalStaging, blobs: BlobStore) -> None:
    staged = await stage(staging, b"weights")
    with staged.path.open("ab") as stream:
        stream.write(b"!")

    with pytest.raises(DigestMismatch, match="changed"):
        await blobs.put(staged)

    assert await blobs.size(staged.digest) is None


async def test_a_staging_file_that_is_gone_is_not_found(staging: LocalStaging, blobs: BlobStore) -> None:
    staged: Staged = await stage(staging, b"weights")
    staged.path.unlink()

    with pytest.raises(NotFound, match="send it again"):
        await blobs.put(staged)


async def test_no_store_shows_where_it_is_or_its_keys(blobs: BlobStore) -> None:
    assert repr(blobs) in {"LocalBlobs()", "ObjectBlobs()"}
