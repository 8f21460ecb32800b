"""Blobs in a local folder: where they lie, when they are durable, what mends them."""

import os
from pathlib import Path

import pytest

from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.staging import LocalStaging
from tests.blobs.conftest import content_of, put, stage


async def test_a_blob_lies_under_its_digest(staging: LocalStaging, local: LocalBlobs, tmp_path: Path) -> None:
    digest = await put(staging, local, b"weights")

    assert local.path(digest) == tmp_path / "blobs" / digest[:2] / digest[2:]
    assert (tmp_path / "blobs" / digest[:2] / digest[2:]).read_bytes() == b"weights"


async def test_there_are_no_urls_to_a_folder(staging: LocalStaging, local: LocalBlobs) -> None:
    digest = await put(staging, local, b"weights")

    assert await local.presign(digest, seconds=60, name="model.bin") is None


@pytest.mark.parametrize("again", [False, True], ids=["new", "there already"])
async def test_a_put_returns_when_bytes_and_names_are_on_the_disk(
    staging: LocalStaging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    if again:
        other = LocalBlobs(tmp_path / "blobs")
        await put(staging, other, b"weights")
        await other.close()
    blobs = LocalBlobs(tmp_path / "blobs")
    staged = await stage(staging, b"weights")
    flushed: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    await blobs.put(staged)
    monkeypatch.undo()

    path = blobs.path(staged.digest)
    assert path is not None
    content = [] if again else [path.stat().st_ino]
    assert flushed == [*content, path.parent.stat().st_ino, path.parent.parent.stat().st_ino]
    await blobs.close()


async def test_a_blob_of_the_wrong_size_is_mended_by_an_upload(staging: LocalStaging, local: LocalBlobs) -> None:
    digest = await put(staging, local, b"weights")
    path = local.path(digest)
    assert path is not None
    path.write_bytes(b"wei")

    await put(staging, local, b"weights")

    assert await content_of(local, digest, 0, 7) == b"weights"


async def test_foreign_files_are_no_blobs(staging: LocalStaging, local: LocalBlobs, tmp_path: Path) -> None:
    digest = await put(staging, local, b"weights")
    folder = tmp_path / "blobs"
    (folder / "lost+found").mkdir()
    (folder / "README").write_text("not ours")
    (folder / digest[:2] / "note").write_text("not ours")
    (folder / digest[:2] / f"{digest[2:]}.bak").write_text("not ours")

    assert [found async for found in local.walk()] == [(digest, 7)]


async def test_a_reader_of_a_deleted_blob_reads_to_its_end(staging: LocalStaging, local: LocalBlobs) -> None:
    content = bytes(3_000_000)
    digest = await put(staging, local, content)
    reading = local.read(digest, 0, len(content))
    first = await anext(reading)

    await local.delete(digest)

    assert first + b"".join([piece async for piece in reading]) == content
    assert await local.size(digest) is None
