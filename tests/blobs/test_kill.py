"""`kill -9` at any moment: a blob is whole or absent, and an upload goes on from what was said to be safe."""

import itertools
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.staging import LocalStaging
from steelyard.blobs.verify import damaged, verify
from tests.blobs.writers import endless

ROOT = Path(__file__).parents[2]


def _killed(verb: str, folder: Path, seconds: float) -> list[str]:
    """Run a writer, kill it some time after its first word, and answer all that it said."""
    command = [sys.executable, "-m", "tests.blobs.writers", verb, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        said = first + process.stdout.read()
    # A last line without its end may have been cut by the kill.
    return said[: said.rfind("\n") + 1].split()


@pytest.mark.parametrize("seed", range(4))
async def test_a_blob_is_whole_or_absent(tmp_path: Path, seed: int) -> None:
    kept = _killed("putting", tmp_path, random.Random(seed).uniform(0, 0.2))

    blobs, staging = LocalBlobs(tmp_path / "blobs"), LocalStaging(tmp_path / "uploads")
    assert kept
    for digest in kept:
        assert await verify(blobs, digest)
    assert [found async for found in damaged(blobs)] == []
    for state in list(staging.uploads()):
        await staging.discard(state.id)
    assert list(staging.uploads()) == []
    await blobs.close()
    await staging.close()


@pytest.mark.parametrize("seed", range(4))
async def test_an_upload_goes_on_from_what_was_safe(tmp_path: Path, seed: int) -> None:
    id, *safe = _killed("uploading", tmp_path, random.Random(seed).uniform(0, 0.2))

    staging = LocalStaging(tmp_path / "uploads")
    async with await staging.resume(id) as upload:
        offset = upload.offset
        assert offset >= int(safe[-1] if safe else 0)
        sent = b"".join(itertools.islice(endless(), offset // 100_000 + 20))
        await upload.write(sent[offset:])
        staged = await upload.finish()

    assert (tmp_path / "uploads" / id).read_bytes() == sent
    assert staged.size == len(sent)
    await staging.close()
