"""Programs that the tests run as processes of their own, to be killed or measured.

python -m tests.blobs.writers putting FOLDER      puts blobs without end; writes the digest of each that is kept
python -m tests.blobs.writers uploading FOLDER    writes one upload without end; writes its id, then safe offsets
python -m tests.blobs.writers measuring FOLDER SIZE [URL]    writes by how many KiB its peak of memory grew
"""

import asyncio
import itertools
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.objects import open_objects
from steelyard.blobs.protocol import PIECE, BlobStore
from steelyard.blobs.staging import LocalStaging
from steelyard.blobs.verify import verify
from tests.blobs.conftest import put
from tests.blobs.object_servers import BUCKET, options


def endless() -> Iterator[bytes]:
    """The same bytes for every caller, in pieces of 100,000."""
    source = random.Random(4)
    while True:
        yield source.randbytes(100_000)


async def putting(folder: Path) -> None:
    blobs, staging = LocalBlobs(folder / "blobs"), LocalStaging(folder / "uploads")
    for number in itertools.count():
        print(await put(staging, blobs, f"{number}".encode() * 1_000_000), flush=True)


async def uploading(folder: Path) -> None:
    async with await LocalStaging(folder / "uploads").begin() as upload:
        print(upload.id, flush=True)
        for number, piece in enumerate(endless()):
            await upload.write(piece)
            if number % 7 == 6:
                print(await upload.sync(), flush=True)


async def measuring(folder: Path, size: int, url: str | None) -> None:
    staging = LocalStaging(folder / "uploads")
    blobs: BlobStore = open_objects(f"s3://{BUCKET}/measured", options(url)) if url else LocalBlobs(folder / "blobs")
    await put(staging, blobs, b"whatever is loaded or made once")
    before = _peak()
    piece = bytes(64 * 1024)
    async with await staging.begin(length=size) as upload:
        for _ in range(size // len(piece)):
            await upload.write(piece)
        staged = await upload.finish()
        await blobs.put(staged)
    assert await verify(blobs, staged.digest)
    print(_peak() - before)
    assert size >= 64 * PIECE


def _peak() -> int:
    """The most memory that this process has had, in KiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


if __name__ == "__main__":
    verb, place, *rest = sys.argv[1:]
    if verb == "measuring":
        asyncio.run(measuring(Path(place), int(rest[0]), rest[1] if rest[1:] else None))
    else:
        asyncio.run({"putting": putting, "uploading": uploading}[verb](Path(place)))
