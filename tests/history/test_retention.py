"""How long a history is kept: until the retention time of what is deleted ends, or not at all."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from steelyard.actions.context import Caller, Context
from steelyard.actions.history import list_revisions
from steelyard.actions.maintenance import tidy
from steelyard.actions.perform import perform
from steelyard.actions.registry import VERBS
from steelyard.errors import NotFound
from steelyard.records.conditions import NONE
from steelyard.records.models import MODEL
from steelyard.records.patch import Said
from steelyard.store.protocol import ReadTransaction, WriteTransaction
from steelyard.store.queries import KeptAnswer
from tests.api.paths import LAYERS, SPEC, made, models, projects
from tests.contexts import Clock, opened
from tests.servers import running

DAY = 24 * 3600
CALLER = Caller()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def context(tmp_path: Path, clock: Clock) -> AsyncIterator[Context]:
    """The actions of a server, in this process, on a store of their own."""
    async with opened(tmp_path, clock) as context:
        yield context


async def create(context: Context, name: str, **body: Any) -> None:
    await perform(context, VERBS["model"].create(context, CALLER, "default", {"name": name, **body}, NONE))


async def update(context: Context, name: str, **body: Any) -> None:
    await perform(context, VERBS["model"].update(context, CALLER, "default", name, Said(body), NONE))


async def delete(context: Context, name: str) -> None:
    await perform(context, VERBS["model"].delete(context, CALLER, "default", name, NONE))


async def kept(context: Context, name: str) -> int:
    """How many revisions of a model are kept."""
    try:
        return (await list_revisions(context, MODEL, "default", name, newest=None, offset=0, limit=10)).total
    except NotFound:
        return 0


async def test_what_is_deleted_for_longer_than_the_time_is_purged(context: Context, clock: Clock) -> None:
    for name in ("old", "young", "alive"):
        await create(context, name)
        await update(context, name, description="2")
    await delete(context, "old")
    clock.seconds += 20 * DAY
    await delete(context, "young")
    assert await tidy(context, 30 * DAY) == 0
    clock.seconds += 11 * DAY
    assert await tidy(context, 30 * DAY) == 1
    assert [await kept(context, name) for name in ("old", "young", "alive")] == [0, 3, 2]
    clock.seconds += 1000 * DAY
    assert await tidy(context, 30 * DAY) == 1
    assert [await kept(context, name) for name in ("old", "young", "alive")] == [0, 0, 2]
    assert await tidy(context, 30 * DAY) == 0


async def test_more_than_are_purged_at_once_are_all_purged(context: Context, clock: Clock) -> None:
    async def many(tx: WriteTransaction) -> None:
        for number in range(1100):
            await VERBS["model"].create(context, CALLER, "default", {"name": f"m-{number}"}, NONE).run(tx)
        for number in range(1100):
            await VERBS["model"].delete(context, CALLER, "default", f"m-{number}", NONE).run(tx)

    await context.store.write(many, heavy=True)
    clock.seconds += 2 * DAY
    assert await tidy(context, DAY) == 1100


async def test_a_purge_by_the_server_stands_in_the_feed_with_its_reason(context: Context, clock: Clock) -> None:
    await create(context, "m", description="canary")
    await delete(context, "m")

    async def latest(tx: ReadTransaction) -> int:
        return await tx.last_event()

    before = await context.store.read(latest)
    clock.seconds += 2 * DAY
    await tidy(context, DAY)
    (purged,) = await context.store.read(lambda tx: tx.events(before, 10))
    assert (purged.action, purged.name, purged.actor, purged.fields) == ("purge", "m", "steelyard", None)
    assert purged.reason == "the retention time is over"


async def test_large_values_go_when_nobody_holds_them_any_more(context: Context, clock: Clock, tmp_path: Path) -> None:
    def contents() -> int:
        with closing(sqlite3.connect(tmp_path / "steelyard.db")) as database:
            return int(database.execute("SELECT COUNT(*) FROM contents").fetchone()[0])

    for name, layers in (("a", LAYERS), ("b", LAYERS), ("c", LAYERS * 2)):
        await create(context, name, spec={**SPEC, "linear_layers": layers})
    await update(context, "b", spec={**SPEC, "linear_layers": []})
    for name in ("a", "c"):
        await delete(context, name)
    clock.seconds += 2 * DAY
    assert contents() == 3
    await tidy(context, DAY)
    assert contents() == 2, "the history of b holds the layers that it had, and the empty list"


async def test_kept_answers_are_forgotten_after_a_day(context: Context, clock: Clock) -> None:
    async def keep(tx: WriteTransaction) -> None:
        await tx.keep_answer("POST /x", "key", context.now(), KeptAnswer("asked", 200, [], "{}"))

    async def find(tx: ReadTransaction) -> KeptAnswer | None:
        return await tx.find_answer("POST /x", "key", "")

    await context.store.write(keep)
    clock.seconds += DAY - 60
    await tidy(context, 30 * DAY)
    assert await context.store.read(find) is not None
    clock.seconds += 120
    await tidy(context, 30 * DAY)
    assert await context.store.read(find) is None


async def test_a_purge_holds_up_no_write(context: Context, clock: Clock) -> None:
    await create(context, "m")
    await delete(context, "m")
    clock.seconds += 2 * DAY
    _, purged = await asyncio.gather(create(context, "other"), tidy(context, DAY))
    assert purged == 1
    assert await kept(context, "other") == 1


def test_the_server_purges_by_itself(data_dir: Path) -> None:
    with running(data_dir) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        made(http, models("default"), name="m", description="canary")
        assert http.delete(f"{models('default')}/m").status_code == 204
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(data_dir, "--set", "history.retention_days=0"))
        with httpx.Client(base_url=server.url, timeout=30) as http:
            feed = {"headers": {"Accept": "text/event-stream"}, "params": {"after": "0", "kind": "model"}}
            with http.stream("GET", "/apis/steelyard/v1/events", **feed) as stream:  # type: ignore[arg-type]
                assert "event: model.purge" in (line for line in stream.iter_lines())
            assert http.post(f"{models('default')}/m:undelete").status_code == 404


def test_without_history_all_else_works(data_dir: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(data_dir, "--set", "history.enabled=false"))
        with httpx.Client(base_url=server.url, timeout=30) as http:
            item = f"{models('default')}/m"
            made(http, projects("default"), name="pro")
            seen = http.post(models("default"), json={"name": "m", "description": "1", "project": "pro"})
            assert http.patch(item, json={"description": "2"}).json()["revision"] == 2
            assert http.get(f"{item}/revisions").json()["data"] == []
            for path in (f"{item}?revision=1", f"{item}?at=2999-01-01T00:00:00Z", f"{item}/revisions/1...2"):
                assert http.get(path).status_code == 404
            assert http.post(f"{item}:revert", json={"revision": 1}).status_code == 404
            conflict = http.patch(item, json={}, headers={"If-Match": seen.headers["etag"]}).json()
            assert (conflict["code"], "changes" in conflict) == ("precondition_failed", False)
            assert http.get("/apis/steelyard/v1/events").json()["data"] == []
            shown = http.patch(item, json={"description": "3"}, params={"dry_run": "true"}).json()
            assert shown["dry_run"]["diff"] == [{"path": "description", "before": "2", "after": "3"}]
            assert http.delete(item).status_code == 204
            assert http.delete(f"{projects('default')}/pro").status_code == 200
            assert http.post(f"{projects('default')}/pro:undelete").status_code == 200
            back = http.post(f"{item}:undelete")
            assert (back.status_code, back.json()["revision"]) == (200, 4), "a delete can be taken back all the same"
            with closing(sqlite3.connect(server.data_dir / "steelyard.db")) as database:
                assert database.execute("SELECT COUNT(*) FROM revisions").fetchone() == (0,)
