"""The feed as Server-Sent Events: resumed where it was left, ended when the server stops, and nobody's brake."""

import contextlib
import time
from pathlib import Path

import httpx
import pytest

from tests.api.paths import made, models, projects, prompts
from tests.feed.following import EVENTS, Stream, all_pages, latest
from tests.servers import running


def test_it_tells_what_was_and_then_what_comes(http: httpx.Client, server_url: str, workspace: str) -> None:
    made(http, models(workspace), name="before")
    with Stream(server_url, workspace=workspace, after="0") as stream:
        assert "content-type: text/event-stream" in stream.head.lower()
        assert "cache-control: no-store" in stream.head.lower()
        assert stream.next()["event"] == "workspace.create"
        assert stream.next()["name"] == "before"
        for number in range(3):
            made(http, models(workspace), name=f"after-{number}")
            assert stream.next()["name"] == f"after-{number}"
        http.patch(f"{models(workspace)}/before", json={"description": "x"})
        told = stream.next()
    assert told == all_pages(http, str(int(told["cursor"]) - 1), workspace=workspace)[0]


def test_it_goes_on_after_the_last_event_that_was_seen(http: httpx.Client, server_url: str, workspace: str) -> None:
    for number in range(4):
        made(http, models(workspace), name=f"m-{number}")
    seen: list[str] = []
    last = None
    for _ in range(5):
        with Stream(server_url, last, workspace=workspace, after="0") as stream:
            event = stream.next()
        last = event["cursor"]
        seen.append(event["name"])
    assert seen == [workspace, "m-0", "m-1", "m-2", "m-3"]


def test_latest_tells_only_what_comes(http: httpx.Client, server_url: str, workspace: str) -> None:
    made(http, models(workspace), name="before")
    with Stream(server_url, after="latest") as stream:
        made(http, models(workspace), name="after")
        assert stream.next()["name"] == "after"


def test_filters_hold_for_the_stream(http: httpx.Client, server_url: str, workspace: str) -> None:
    with Stream(server_url, workspace=workspace, kind="prompt", after=latest(http)) as stream:
        made(http, models(workspace), name="m")
        made(http, projects(workspace), name="pro")
        made(http, prompts("default"), name=f"elsewhere-{workspace}")
        made(http, prompts(workspace), name="p")
        event = stream.next()
        assert (event["event"], event["name"]) == ("prompt.create", "p")


def test_a_filter_that_fits_little_gets_through_thousands(http: httpx.Client, server_url: str, workspace: str) -> None:
    start = latest(http)
    operations = [{"op": "create", "kind": "model", "name": f"m-{number}", "body": {}} for number in range(1000)]
    for round in range(6):
        for operation in operations:
            operation["name"] = f"m-{round}-{operation['name']}"
        batch = f"/apis/steelyard/v1/workspaces/{workspace}:batch"
        assert http.post(batch, json={"operations": operations}).status_code == 200
    made(http, prompts(workspace), name="needle")
    with Stream(server_url, after=start, workspace=workspace, kind="prompt") as stream:
        assert stream.next()["name"] == "needle"
    (found,) = all_pages(http, start, workspace=workspace, kind="prompt")
    assert found["name"] == "needle"


@pytest.mark.parametrize("last", ["x", "-5", "1.5"])
def test_an_id_that_is_none_is_refused(server_url: str, last: str) -> None:
    with Stream(server_url, last) as stream:
        assert " 422 " in stream.head


def test_the_stream_ends_when_the_server_stops(data_dir: Path) -> None:
    with running(data_dir, "--set", "limits.shutdown_seconds=60") as server:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            made(http, models("default"), name="m")
        streams = [Stream(server.url, kind="model", after="0") for _ in range(3)]
        assert [stream.next()["name"] for stream in streams] == ["m"] * 3
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 30, "it waited for readers that never leave by themselves"
        for stream in streams:
            with pytest.raises(EOFError), stream:
                stream.next()


def test_a_reader_that_does_not_read_slows_no_writer(data_dir: Path) -> None:
    """What it leaves unread is more than sockets hold; the writes go on, and what it missed is there for it."""
    path, body, number = models("default"), {"custom_fields": {"filler": "x" * 500_000}}, 40
    with running(data_dir) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(Stream(server.url, kind="model", after="0")) for _ in range(4)]
            for name in range(number):
                made(http, path, name=f"m-{name}", **body)
            assert http.get(f"{path}/m-{number - 1}").status_code == 200
            quick = stack.enter_context(Stream(server.url, kind="model", after="0"))
            for stream in (quick, idle[0]):
                assert [stream.next()["name"] for _ in range(number)] == [f"m-{name}" for name in range(number)]
        assert http.get(EVENTS, params={"after": "latest"}).status_code == 200
        assert server.stop() == 0
