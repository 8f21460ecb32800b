"""Ranges of a local file, read by threads."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.blobs.pieces import read_exactly, read_pieces
from steelyard.blobs.protocol import PIECE
from steelyard.errors import CorruptBytes

CONTENT = bytes(os.urandom(1000)) * 3500
EDGES = st.sampled_from([0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE, len(CONTENT) - 1, len(CONTENT)])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pieces") / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@given(ends=st.tuples(EDGES | st.integers(0, len(CONTENT)), EDGES | st.integers(0, len(CONTENT))))
async def test_any_range(file: Path, threads: ThreadPoolExecutor, ends: tuple[int, int]) -> None:
    start, stop = sorted(ends)

    pieces = [piece async for piece in read_pieces(file, start, stop, threads)]

    assert b"".join(pieces) == CONTENT[start:stop]
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    assert read_exactly(file, start, stop - start) == CONTENT[start:stop]


@pytest.mark.parametrize(("start", "stop"), [(0, len(CONTENT) + 1), (len(CONTENT), len(CONTENT) + 1), (2**40, 2**41)])
async def test_a_file_that_is_too_short(file: Path, threads: ThreadPoolExecutor, start: int, stop: int) -> None:
    with pytest.raises(CorruptBytes):
        _ = [piece async for piece in read_pieces(file, start, stop, threads)]
    with pytest.raises(CorruptBytes):
        read_exactly(file, start, stop - start)


async def test_a_file_whose_name_is_removed_is_read_to_its_end(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    reading = read_pieces(path, 0, len(CONTENT), threads)

    first = await anext(reading)
    path.unlink()

    assert first + b"".join([piece async for piece in reading]) == CONTENT


async def test_no_file_stays_open(file: Path, threads: ThreadPoolExecutor) -> None:
    before = _open_files()

    for turns in range(8):
        reading = read_pieces(file, 0, len(CONTENT), threads)
        asking = asyncio.ensure_future(anext(reading))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await reading.aclose()  # type: ignore[attr-defined]
    await asyncio.get_running_loop().run_in_executor(threads, lambda: None)
    await asyncio.get_running_loop().run_in_executor(threads, lambda: None)

    assert _open_files() == before
