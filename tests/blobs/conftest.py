"""Staging and blob stores for tests: real folders, and a real object store."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.objects import ObjectBlobs, open_objects
from steelyard.blobs.protocol import BlobStore, Staged
from steelyard.blobs.staging import LocalStaging
from tests.blobs.object_servers import BUCKET, moto, options

_prefixes = itertools.count(1)


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Where an S3 server listens that all tests of the session share."""
    with moto() as url:
        yield url


@pytest.fixture
def uploads_folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
async def staging(uploads_folder: Path) -> AsyncIterator[LocalStaging]:
    store = LocalStaging(uploads_folder)
    yield store
    await store.close()


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalBlobs]:
    store = LocalBlobs(tmp_path / "blobs")
    yield store
    await store.close()


@pytest.fixture
async def objects(s3_url: str) -> AsyncIterator[ObjectBlobs]:
    """A part of the bucket that no other test uses."""
    store = open_objects(f"s3://{BUCKET}/test-{next(_prefixes)}", options(s3_url), presigned=True)
    yield store
    await store.close()


@pytest.fixture(params=["local", "objects"])
def blobs(request: pytest.FixtureRequest) -> BlobStore:
    """Each kind of store in turn: what is promised is promised by all."""
    store: BlobStore = request.getfixturevalue(request.param)
    return store


async def stage(staging: LocalStaging, content: bytes) -> Staged:
    """A finished staging file with this content."""
    async with await staging.begin(length=len(content)) as upload:
        await upload.write(content)
        return await upload.finish()


async def put(staging: LocalStaging, blobs: BlobStore, content: bytes) -> str:
    """Keep this content; answers its digest."""
    staged = await stage(staging, content)
    await blobs.put(staged)
    return staged.digest


async def content_of(blobs: BlobStore, digest: str, start: int, stop: int) -> bytes:
    return b"".join([piece async for piece in blobs.read(digest, start, stop)])
