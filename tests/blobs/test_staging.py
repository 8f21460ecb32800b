"""Uploads: written piece by piece, taken up again after anything, finished as what they are or not at all."""

import asyncio
import hashlib
import random
import re
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.protocol import GIT_OID_LIMIT, PIECE, UploadState
from steelyard.blobs.staging import LocalStaging
from steelyard.errors import DigestMismatch, NotFound, TooLarge, UploadConflict
from tests.blobs.conftest import stage

CONTENT = random.Random(2).randbytes(5 * PIECE + 321)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ABSENT = "0" * 32


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _written_at(path: Path) -> float:
    return path.stat().st_mtime


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@given(sizes=st.lists(st.sampled_from([0, 1, 1000, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE]), max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pieces_of_any_size_make_the_same_file(staging: LocalStaging, sizes: list[int]) -> None:
    content, at = CONTENT * 3, 0

    async with await staging.begin() as upload:
        for size in sizes:
            await upload.write(content[at : at + size])
            at += size
            assert upload.offset == at
        staged = await upload.finish()

    assert staged.path.read_bytes() == content[:at]
    assert (staged.size, staged.digest) == (at, hashlib.sha256(content[:at]).hexdigest())


async def test_what_was_said_of_an_upload_is_kept(staging: LocalStaging, uploads_folder: Path) -> None:
    said = {"filename": "model.safetensors", "note": "żółw"}
    async with await staging.begin(length=10, metadata=said, expires_at="2026-01-01T00:00:00Z") as upload:
        await upload.write(b"four")
        assert re.fullmatch(r"[0-9a-f]{32}", upload.id)

    written_at = _written_at(uploads_folder / upload.id)
    expected = UploadState(upload.id, 4, 10, said, "2026-01-01T00:00:00Z", written_at)
    assert await staging.state(upload.id) == expected
    assert list(staging.uploads()) == [expected]
    async with await LocalStaging(uploads_folder).resume(upload.id) as again:
        assert (again.offset, again.length, again.metadata) == (4, 10, said)


async def test_only_the_owner_of_the_server_can_read_what_lies_there(
    staging: LocalStaging, local: LocalBlobs, uploads_folder: Path
) -> None:
    staged = await stage(staging, b"weights")
    assert {_mode(uploads_folder / name) for name in _names(uploads_folder)} == {0o600}
    assert _mode(uploads_folder) == 0o700

    await local.put(staged)

    path = local.path(staged.digest)
    assert path is not None
    assert _mode(path) == 0o600


@pytest.mark.parametrize("forgotten", [False, True], ids=["same process", "after a restart"])
async def test_an_upload_goes_on_where_it_was(staging: LocalStaging, uploads_folder: Path, forgotten: bool) -> None:
    async with await staging.begin(length=len(CONTENT)) as upload:
        await upload.write(CONTENT[: PIECE + 5])
    for _ in range(3):
        if forgotten:
            staging = LocalStaging(uploads_folder)
        async with await staging.resume(upload.id) as upload:
            await upload.write(CONTENT[upload.offset : upload.offset + PIECE])

    async with await staging.resume(upload.id) as upload:
        await upload.write(CONTENT[upload.offset :])
        staged = await upload.finish(expected=DIGEST)

    assert staged.path.read_bytes() == CONTENT


async def test_an_upload_goes_on_where_another_server_has_brought_it(
    staging: LocalStaging, uploads_folder: Path
) -> None:
    other = LocalStaging(uploads_folder)
    upload = await staging.begin()
    for at, here in ((0, staging), (PIECE, other), (2 * PIECE, staging), (3 * PIECE, other)):
        await upload.close()
        upload = await here.resume(upload.id)
        await upload.write(CONTENT[at : at + PIECE])

    await upload.write(CONTENT[4 * PIECE :])
    await upload.finish(expected=DIGEST)

    await upload.close()
    await other.close()


async def test_what_was_written_before_a_close_is_kept(staging: LocalStaging) -> None:
    async with await staging.begin() as upload:
        await upload.write(bytes(32 * PIECE))  # a thread is at it for a while
        await upload.write(b"the end")

    assert (await staging.state(upload.id)).offset == 32 * PIECE + 7


async def test_a_finished_upload_can_be_finished_again_until_it_is_a_blob(
    staging: LocalStaging, local: LocalBlobs
) -> None:
    staged = await stage(staging, CONTENT)
    (state,) = staging.uploads()

    async with await staging.resume(state.id) as upload:
        assert await upload.finish() == staged
        await local.put(staged)

    with pytest.raises(NotFound):
        await staging.resume(state.id)
    await staging.discard(state.id)
    assert list(staging.uploads()) == []


async def test_an_upload_has_one_writer(staging: LocalStaging, uploads_folder: Path) -> None:
    other = LocalStaging(uploads_folder)
    async with await staging.begin() as upload:
        for rival in (staging, other):
            with pytest.raises(UploadConflict, match="Another request"):
                await rival.resume(upload.id)
        await upload.write(b"first")

    async with await other.resume(upload.id) as upload:
        assert upload.offset == 5
    await other.close()


async def test_a_closed_upload_takes_nothing(staging: LocalStaging) -> None:
    upload = await staging.begin()
    await upload.close()
    await upload.close()

    for verb in (upload.write(b"x"), upload.sync(), upload.finish()):
        with pytest.raises(UploadConflict, match="closed"):
            await verb


async def test_more_bytes_than_announced(staging: LocalStaging) -> None:
    async with await staging.begin(length=4) as upload:
        with pytest.raises(TooLarge, match="4 bytes"):
            await upload.write(b"five!")
        await upload.write(b"four")
        assert (await upload.finish()).size == 4


async def test_fewer_bytes_than_announced(staging: LocalStaging) -> None:
    async with await staging.begin(length=4) as upload:
        await upload.write(b"one")
        with pytest.raises(UploadConflict, match="3 of 4") as refused:
            await upload.finish()
        assert refused.value.details == {"offset": 3}
        await upload.write(b"!")
        assert (await upload.finish()).size == 4


async def test_other_bytes_than_announced_are_named_and_stay_staged(staging: LocalStaging) -> None:
    async with await staging.begin() as upload:
        await upload.write(b"weights")
        with pytest.raises(DigestMismatch, match=f"{hashlib.sha256(b'weights').hexdigest()}.*{DIGEST}"):
            await upload.finish(expected=DIGEST)

    assert (await staging.state(upload.id)).offset == 7


@pytest.mark.parametrize(
    ("content", "oid"),
    [
        # As `git hash-object` says.
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
async def test_the_object_id_of_git(staging: LocalStaging, content: bytes, oid: str) -> None:
    assert (await stage(staging, content)).git_oid == oid


@pytest.mark.parametrize(("size", "has_one"), [(GIT_OID_LIMIT, True), (GIT_OID_LIMIT + 1, False)])
async def test_large_files_have_no_object_id(staging: LocalStaging, size: int, has_one: bool) -> None:
    assert ((await stage(staging, bytes(size))).git_oid is not None) is has_one


@pytest.mark.parametrize("id", ["", ABSENT, "..", "../uploads", "A" * 32, "0" * 32 + "\n", "0" * 31])
async def test_an_upload_that_is_not_there(staging: LocalStaging, id: str) -> None:
    with pytest.raises(NotFound):
        await staging.resume(id)
    with pytest.raises(NotFound):
        await staging.state(id)
    await staging.discard(id)


async def test_a_discard_takes_the_upload_from_under_its_writer(staging: LocalStaging, uploads_folder: Path) -> None:
    async with await staging.begin() as upload:
        await upload.write(CONTENT)
        await staging.discard(upload.id)
        with pytest.raises(NotFound, match="discarded"):
            await upload.finish()

    assert _names(uploads_folder) == []


async def test_leftovers_of_a_crash_are_found_and_discarded(staging: LocalStaging, uploads_folder: Path) -> None:
    (uploads_folder / ("a" * 32)).write_bytes(b"bytes without a word")
    (uploads_folder / f"{'b' * 32}.json").write_text('{"length": nonsense')
    (uploads_folder / f"{'c' * 32}.json.new").write_text("")
    (uploads_folder / "notes.txt").write_text("not ours")

    found = list(staging.uploads())
    for state in found:
        with pytest.raises(NotFound):
            await staging.resume(state.id)
        await staging.discard(state.id)

    assert [(state.id[0], state.offset, state.length, state.metadata) for state in found] == [
        ("a", 20, None, {}),
        ("b", 0, None, {}),
        ("c", 0, None, {}),
    ]
    assert _names(uploads_folder) == ["notes.txt"]


@pytest.mark.parametrize("turns", range(1, 12, 3))
async def test_a_sender_who_goes_away_leaves_a_beginning(
    staging: LocalStaging, uploads_folder: Path, turns: int
) -> None:
    upload = await staging.begin(length=len(CONTENT))

    async def send() -> None:
        async with upload:
            for at in range(0, len(CONTENT), PIECE // 2):
                await upload.write(CONTENT[at : at + PIECE // 2])
            await asyncio.Event().wait()

    sending = asyncio.create_task(send())
    for _ in range(turns):
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await staging.close()

    async with await LocalStaging(uploads_folder).resume(upload.id) as again:
        assert (uploads_folder / upload.id).read_bytes() == CONTENT[: again.offset]
        await again.write(CONTENT[again.offset :])
        await again.finish(expected=DIGEST)


async def test_an_upload_that_need_not_be_resumed_is_found_by_the_sweep_alone(
    staging: LocalStaging, local: LocalBlobs, uploads_folder: Path
) -> None:
    for _ in range(2):
        async with await staging.begin(length=4, resumable=False) as upload:
            await upload.write(b"four")
            staged = await upload.finish()
    with pytest.raises(NotFound):
        await staging.resume(upload.id)
    assert {(state.offset, state.length) for state in staging.uploads()} == {(4, None)}

    await local.put(staged)
    for state in staging.uploads():
        assert state.written_at == _written_at(uploads_folder / state.id)
        await staging.discard(state.id)

    assert _names(uploads_folder) == []


async def test_a_sync_says_how_much_is_safe(staging: LocalStaging) -> None:
    async with await staging.begin() as upload:
        await upload.write(b"a few bytes")
        assert (await staging.state(upload.id)).offset == 0
        assert await upload.sync() == 11
        assert (await staging.state(upload.id)).offset == 11
