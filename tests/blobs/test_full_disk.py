"""A full disk: the upload is refused, keeps what arrived, and goes on when there is room again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.protocol import PIECE, Upload
from steelyard.blobs.staging import LocalStaging
from steelyard.errors import StorageFull
from tests.blobs.conftest import content_of
from tests.disks import fill, small_disk

CONTENT = bytes(range(256)) * (4 * PIECE // 256)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 6) as place:
        yield place


@pytest.fixture
async def small_staging(disk: Path) -> AsyncIterator[LocalStaging]:
    staging = LocalStaging(disk / "uploads")
    yield staging
    await staging.close()


async def _send(upload: Upload, content: bytes) -> None:
    for at in range(0, len(content), 100_000):
        await upload.write(content[at : at + 100_000])
    await upload.sync()


async def test_an_upload_that_finds_the_disk_full_goes_on_later(disk: Path, small_staging: LocalStaging) -> None:
    (disk / "others").write_bytes(bytes(3 * PIECE))
    async with await small_staging.begin() as upload:
        with pytest.raises(StorageFull, match="make room"):
            await _send(upload, CONTENT)
        kept = upload.offset
        assert (disk / "uploads" / upload.id).read_bytes() == CONTENT[:kept]
        assert 2 * PIECE <= kept < len(CONTENT)

        (disk / "others").unlink()
        await _send(upload, CONTENT[kept:])
        staged = await upload.finish()
        blobs = LocalBlobs(disk / "blobs")
        await blobs.put(staged)

    assert await content_of(blobs, staged.digest, 0, len(CONTENT)) == CONTENT
    await blobs.close()


async def test_an_upload_that_was_refused_is_resumed_with_what_it_has(disk: Path, small_staging: LocalStaging) -> None:
    ballast = fill(disk / "uploads")
    with ballast.open("r+b") as stream:
        stream.truncate(ballast.stat().st_size - 64 * 1024)
    async with await small_staging.begin() as upload:
        await upload.write(CONTENT[:PIECE])
        assert upload._append
        with pytest.raises(StorageFull):
            await asyncio.wrap_future(upload._append)
        ballast.unlink()
        # Nobody has been told of the error yet, and there is room for this, but not at its place.
        await upload.write(b"what follows")

    async with await LocalStaging(disk / "uploads").resume(upload.id) as again:
        assert 0 < again.offset < PIECE
        await again.write(CONTENT[again.offset :])
        staged = await again.finish()

    assert staged.path.read_bytes() == CONTENT


async def test_an_upload_that_cannot_fit_is_refused_at_once(disk: Path, small_staging: LocalStaging) -> None:
    with pytest.raises(StorageFull):
        await small_staging.begin(length=100 * PIECE)

    assert list((disk / "uploads").iterdir()) == []


async def test_an_upload_that_cannot_begin_leaves_nothing(disk: Path, small_staging: LocalStaging) -> None:
    fill(disk)

    with pytest.raises(StorageFull):
        await small_staging.begin()

    assert list((disk / "uploads").iterdir()) == []
