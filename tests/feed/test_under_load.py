"""64 writers, followers cut at random, servers that are stopped and killed: nothing is missing, nothing comes twice."""

import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx

from tests.api.paths import models, projects
from tests.feed.following import Event, Follower, all_pages, latest
from tests.servers import Server, running

WRITERS = 64
PATH = models("default")


class Writer(threading.Thread):
    """Makes, changes, deletes and brings back a model of its own, and notes each write that was answered.

    It goes on while the server is started again. A write without an answer may or may not have been done.
    """

    def __init__(self, server: list[Server], number: int) -> None:
        super().__init__()
        self.answered: list[tuple[str, int]] = []
        self.faults: list[str] = []
        self.ended = threading.Event()
        self._server, self._name = server, f"w-{number}"

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            try:
                with httpx.Client(base_url=self._server[0].url, timeout=20) as http:
                    while not self.ended.is_set():
                        self._write(http, number)
                        number += 1
            except httpx.TransportError:
                self.ended.wait(0.05)

    def _write(self, http: httpx.Client, number: int) -> None:
        item, turn = f"{PATH}/{self._name}", number % 8
        body: dict[str, Any] = {"custom_fields": {"number": number}}
        if turn == 0:
            answer, verb = http.post(PATH, json={"name": self._name, **body}), "create"
        elif turn == 6:
            answer, verb = http.delete(item), "delete"
        elif turn == 7:
            answer, verb = http.post(f"{item}:undelete"), "undelete"
        else:
            answer, verb = http.patch(item, json=body), "update"
        if answer.is_success:
            revision = answer.json()["revision"] if answer.content else 0
            self.answered.append((verb, revision))
        elif answer.status_code not in {404, 409, 503}:
            self.faults.append(f"{answer.status_code} {answer.text}")


def check_follower(events: list[Event]) -> None:
    """Each change once, in order, and of each record every revision from the first to the last."""
    cursors = [int(event["cursor"]) for event in events]
    assert cursors == sorted(set(cursors))
    revisions: dict[str, list[int]] = defaultdict(list)
    for event in events:
        revisions[event["id"]].append(event["revision"])
    for id, found in revisions.items():
        assert found == list(range(1, len(found) + 1)), f"{id} misses a revision, or has one twice"


def check_answered(writers: list[Writer], events: list[Event]) -> None:
    """What was answered is in the feed."""
    told = defaultdict(set)
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for event in events:
        told[event["name"]].add((event["event"].removeprefix("model."), event["revision"]))
        counted[event["name"], event["event"]] += 1
    for writer in writers:
        assert writer.faults == []
        for verb, revision in writer.answered:
            if revision:
                assert (verb, revision) in told[writer._name]
        deletes = sum(1 for verb, _ in writer.answered if verb == "delete")
        assert counted[writer._name, "model.delete"] >= deletes


def wait_until(happened: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.02)


def test_followers_that_are_cut_miss_nothing_while_servers_stop_and_die(data_dir: Path) -> None:
    with running(data_dir) as first:
        current = [first]
        writers = [Writer(current, number) for number in range(WRITERS)]
        followers = [Follower(first.url, seed) for seed in (1, 2)]
        followers.append(Follower(first.url, 3, kind="model", workspace="default"))
        for thread in (*writers, *followers):
            thread.start()
        try:
            for end in ("kill", "stop"):
                start = sum(len(writer.answered) for writer in writers)
                wait_until(lambda start=start: sum(len(writer.answered) for writer in writers) > start + 100)
                getattr(current[0], end)()
                current[0] = Server(data_dir, {}, ())
                for follower in followers:
                    follower.url = current[0].url
        finally:
            for writer in writers:
                writer.ended.set()
            for writer in writers:
                writer.join()
        with httpx.Client(base_url=current[0].url, timeout=30) as http:
            # The last change is one that every follower wants to hear of.
            assert http.post(PATH, json={"name": "the-last"}).status_code == 201
            end_of_all = latest(http)
            for follower in followers:
                follower.wait_for(end_of_all)
                follower.end()
            whole = all_pages(http, "0", limit=1000)
        assert current[0].stop() == 0
    check_follower(whole)
    check_answered(writers, whole)
    assert sum(follower.cuts for follower in followers) > 5
    for follower in followers[:2]:
        assert follower.events == whole
    assert followers[2].events == [event for event in whole if event["kind"] == "model"]


def test_changes_of_many_records_at_once_are_told_whole(http: httpx.Client, workspace: str) -> None:
    """A page never shows a part of a transaction: what one delete does to others is there with it."""
    start = latest(http)
    http.post(projects(workspace), json={"name": "pro"})
    operations = [
        {"op": "create", "kind": "model", "name": f"m-{number}", "body": {"project": "pro"}} for number in range(200)
    ]
    http.post(f"/apis/steelyard/v1/workspaces/{workspace}:batch", json={"operations": operations})
    seen: list[list[Event]] = []
    stop = threading.Event()

    def look() -> None:
        with httpx.Client(base_url=http.base_url, timeout=30) as other:
            while not stop.is_set():
                seen.append(all_pages(other, start, workspace=workspace, limit=1000))

    watcher = threading.Thread(target=look)
    watcher.start()
    http.delete(f"{projects(workspace)}/pro")
    stop.set()
    watcher.join()
    seen.append(all_pages(http, start, workspace=workspace, limit=1000))
    assert {len(events) for events in seen} <= {201, 201 + 201}
    assert len(seen[-1]) == 402
