"""The sweep: what nobody needs goes, what somebody needs stays, and a cut in the middle does no harm."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from time import time

import pytest

from steelyard.actions.context import Caller, Context
from steelyard.actions.files.bytes import missing_bytes, receive
from steelyard.actions.files.commits import change_files
from steelyard.actions.files.edits import delete_file, restore_files
from steelyard.actions.files.sweep import sweep_blobs, sweep_files
from steelyard.actions.files.tree import list_commits
from steelyard.actions.files.uploads import begin_upload
from steelyard.actions.perform import perform
from steelyard.actions.registry import VERBS
from steelyard.errors import Gone
from steelyard.records.blobs import Blob
from steelyard.records.conditions import NONE
from steelyard.records.file_policy import FilePolicy
from steelyard.records.filesets import FileChange
from steelyard.store.protocol import WriteTransaction
from tests.contexts import Clock, opened
from tests.files.conftest import digest_of

HOUR = 3600
DAY = 24 * HOUR
CALLER = Caller()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def context(tmp_path: Path, clock: Clock) -> AsyncIterator[Context]:
    """The actions of a server, in this process, with a fileset `weights`."""
    async with opened(tmp_path, clock) as context:
        await perform(context, VERBS["fileset"].create(context, CALLER, "default", {"name": "weights"}, NONE))
        yield context


async def send(context: Context, content: bytes) -> Blob:
    """Gives the workspace bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return await receive(context, "default", pieces())


async def put(context: Context, path: str, content: bytes) -> None:
    """Gives a path its content."""
    blob = await send(context, content)
    change = FileChange(path, blob.digest, blob.size)
    await perform(context, change_files(context, CALLER, "default", "weights", [change], NONE).write)


async def remove(context: Context, path: str) -> None:
    """Removes a file."""
    await perform(context, delete_file(context, CALLER, "default", "weights", path, NONE)[0].write)


async def kept(context: Context) -> set[str]:
    """The digests of all bytes that are on the disk."""
    return {digest async for digest, _ in context.blobs.walk()}


async def known(context: Context, content: bytes) -> Blob | None:
    """What the database says of bytes."""
    return await context.store.read(lambda tx: tx.blob(digest_of(content)))


async def test_bytes_that_nothing_names_go_after_a_day(context: Context, clock: Clock) -> None:
    await put(context, "named", b"named")
    await send(context, b"claimed")
    clock.seconds += 23 * HOUR
    assert (await sweep_files(context)).blobs == 0

    clock.seconds += 2 * HOUR

    assert (await sweep_files(context)).blobs == 1
    assert await kept(context) == {digest_of(b"named")}
    assert await known(context, b"claimed") is None


async def test_bytes_of_older_commits_stay(context: Context, clock: Clock) -> None:
    await put(context, "file", b"first")
    await put(context, "file", b"second")
    await put(context, "other", b"other")
    await remove(context, "other")
    clock.seconds += 400 * DAY

    assert (await sweep_files(context)).blobs == 0
    assert len(await kept(context)) == 3


async def test_bytes_that_somebody_asks_for_stay_a_day_more(context: Context, clock: Clock) -> None:
    await send(context, b"asked for")
    clock.seconds += 20 * HOUR
    assert await missing_bytes(context, "default", [digest_of(b"asked for")]) == set()
    clock.seconds += 20 * HOUR

    assert await sweep_blobs(context) == 0
    clock.seconds += 20 * HOUR
    assert await sweep_blobs(context) == 1


async def test_bytes_that_come_again_are_no_garbage(context: Context, clock: Clock) -> None:
    await send(context, b"again")
    clock.seconds += 2 * DAY
    await put(context, "file", b"again")

    assert await sweep_blobs(context) == 0
    assert await kept(context) == {digest_of(b"again")}


@pytest.mark.parametrize("removed", [False, True])
async def test_a_sweep_that_was_cut_is_finished_by_the_next(context: Context, clock: Clock, removed: bool) -> None:
    """A crash leaves the mark, and the bytes or not."""
    await send(context, b"half swept")
    clock.seconds += 2 * DAY

    async def mark(tx: WriteTransaction) -> bool:
        return await tx.mark_garbage(digest_of(b"half swept"), context.ago(DAY))

    assert await context.store.write(mark)
    if removed:
        await context.blobs.delete(digest_of(b"half swept"))

    assert await sweep_blobs(context) == 1
    assert (await kept(context), await known(context, b"half swept")) == (set(), None)
    await put(context, "file", b"half swept")
    assert await kept(context) == {digest_of(b"half swept")}


async def test_what_was_named_meanwhile_is_not_marked(context: Context, clock: Clock) -> None:
    await send(context, b"named late")
    clock.seconds += 2 * DAY
    await put(context, "file", b"named late")

    async def mark(tx: WriteTransaction) -> bool:
        return await tx.mark_garbage(digest_of(b"named late"), context.ago(-DAY))

    assert not await context.store.write(mark)


async def test_a_store_of_many_pages_is_swept_whole(context: Context, clock: Clock) -> None:
    async def fill(tx: WriteTransaction) -> None:
        for number in range(1_200):
            await tx.put_blob(Blob(digest_of(b"%d" % number), 1, "arriving", context.now(), {}))

    await context.store.write(fill, heavy=True)
    clock.seconds += 2 * DAY

    assert await sweep_blobs(context) == 1_200


async def test_uploads_that_were_given_up_go(context: Context, clock: Clock, tmp_path: Path) -> None:
    clock.seconds = time()  # staging files have the time of the disk
    begun = [
        await begin_upload(context, "default", "weights", length=5, path=None, sha256=None, said="") for _ in range(2)
    ]
    (tmp_path / "uploads" / ("f" * 32)).write_bytes(b"what a crash has left")
    old = clock.seconds - 25 * HOUR
    for name in (begun[0].id, f"{begun[0].id}.json", "f" * 32):
        os.utime(tmp_path / "uploads" / name, (old, old))

    assert (await sweep_files(context)).uploads == 2
    assert {state.id for state in context.staging.uploads()} == {begun[1].id}


async def test_replaced_files_are_kept_as_long_as_the_settings_say(context: Context, clock: Clock) -> None:
    short = replace(context, policy=replace(context.policy, files=FilePolicy(keep_replaced_seconds=7 * DAY)))
    await put(context, "file", b"first")
    await put(context, "gone", b"gone")
    _, commits = await list_commits(context, "default", "weights", limit=1)
    await put(context, "file", b"second")
    await remove(context, "gone")
    clock.seconds += 6 * DAY
    assert (await sweep_files(short)).replaced == 0
    clock.seconds += 2 * DAY

    swept = await sweep_files(short)

    assert (swept.replaced, swept.blobs) == (2, 2)
    assert await kept(context) == {digest_of(b"second")}
    with pytest.raises(Gone):
        await perform(context, restore_files(context, CALLER, "default", "weights", commits[0].id, NONE).write)
