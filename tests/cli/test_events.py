"""`events`: the feed by the page, and for as long as somebody looks."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from steelyard.cli.sse import Event, events
from tests.servers import running

from .conftest import RunCli, Steelyard, done


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        **{"cursor": str(number), "event": "model.update", "kind": "model", "workspace": "team", "name": "m"},
        **{"id": "model-1", "revision": number, "at": "2026-01-31T12:00:00.000000Z", "actor": "anna"},
        **{"request_id": "r", "reason": "why", "cause": None, "changed": ["tags"], "record": {}, **more},
    }


def feed(*found: dict[str, Any], cursor: str) -> httpx.Response:
    return httpx.Response(200, json={"data": list(found), "next_cursor": cursor})


def sse(*found: dict[str, Any]) -> httpx.Response:
    text = "".join(
        f"id: {one['cursor']}\nevent: {one['event']}\ndata: {json.dumps(one)}\n\n: here\n\n" for one in found
    )
    return httpx.Response(200, text=f"retry: 1000\n\n{text}", headers={"content-type": "text/event-stream"})


def test_pages_are_followed_to_the_end(cli: RunCli) -> None:
    pages = iter([feed(event(1), cursor="1"), feed(cursor="5"), feed(event(7), cursor="7"), feed(cursor="7")])
    run = cli("events", "-w", "team", "--kind", "model", "--kind", "alias", handler=lambda _: next(pages))
    assert run.out.splitlines() == [
        "1  2026-01-31 12:00:00  model.update  team/m@1  [tags]  by anna  (why)",
        "7  2026-01-31 12:00:00  model.update  team/m@7  [tags]  by anna  (why)",
    ]
    queries = [request.url.params for request in run.requests]
    assert [query.get("after") for query in queries] == [None, "1", "5", "7"]
    assert all(query.get_list("kind") == ["model", "alias"] and query["workspace"] == "team" for query in queries)


def test_json_lines_limits_and_all_workspaces(cli: RunCli) -> None:
    answer = feed(event(8), event(9), cursor="9")
    run = cli("events", "-w", "-", "--after", "7", "--limit", "1", "--json", handler=lambda _: answer)
    assert json.loads(run.out) == event(8)
    assert run.out.count("\n") == 1
    [request] = run.requests
    assert (request.url.params["after"], "workspace" in request.url.params) == ("7", False)


def test_a_text_of_a_record_does_not_drive_the_terminal(cli: RunCli) -> None:
    run = cli("events", "--limit", "1", handler=lambda _: feed(event(1, reason="a\x1b[2J\nb"), cursor="1"))
    assert "(a\\x1b[2J b)" in run.out
    assert run.out.count("\n") == 1


def test_a_stream_that_is_cut_goes_on_where_it_was(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("steelyard.cli.feed.time.sleep", waits.append)

    def answers() -> Iterator[httpx.Response | BaseException]:
        yield feed(event(1), cursor="3")
        yield httpx.ReadError("reset")
        yield feed(cursor="3")
        yield sse(event(4), event(5))
        yield httpx.ConnectError("refused")
        yield httpx.Response(503, json={"detail": "stopping"})
        yield sse(event(6))
        yield httpx.ReadTimeout("silent")
        yield KeyboardInterrupt()

    script = answers()

    def server(_: httpx.Request) -> httpx.Response:
        answer = next(script)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    run = cli("events", "--follow", handler=server)
    assert run.code == 0
    assert [line.split()[0] for line in run.out.splitlines()] == ["1", "4", "5", "6"]
    streams = run.requests[3:]
    assert [request.headers["last-event-id"] for request in streams] == ["3", "5", "5", "5", "6", "6"]
    assert all(request.headers["accept"] == "text/event-stream" for request in streams)
    assert waits == [0.5, 0.5, 1.0, 2.0, 0.5, 1.0]
    assert run.err.count("trying again") == 6


def test_a_stream_that_is_refused_ends(cli: RunCli) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if "text/event-stream" in request.headers["accept"]:
            return httpx.Response(422, json={"detail": "no such kind"})
        return feed(cursor="0")

    assert cli("events", "-f", handler=server).code == 4

    def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert cli("events", "-f", handler=nobody).code == 3
    assert cli("events", handler=lambda _: httpx.Response(200, json={"data": 3})).code == 1


def test_the_lines_of_a_stream() -> None:
    text = ": hello\n\nid: 1\nevent: x\ndata: a\ndata:b\n\nid\ndata: c\n\nretry: 5\n\ndata\n\nid: 9\ndata: unfinished"
    assert list(events(text.split("\n"))) == [Event("1", "a\nb"), Event("", "c"), Event("", "")]


def test_the_feed_of_a_workspace(steelyard: Steelyard, workspace: str) -> None:
    done(steelyard("models", "create", "m", "--reason", "new"))
    done(steelyard("prompts", "create", "p"))
    done(steelyard("models", "update", "m", "--description", "d"))
    lines = done(steelyard("events", "--kind", "model")).splitlines()
    assert [line.split("  ")[2:] for line in lines] == [
        ["model.create", f"{workspace}/m@1", "(new)"],
        ["model.update", f"{workspace}/m@2", "[description]"],
    ]
    cursor = lines[0].split()[0]
    found = [json.loads(line) for line in done(steelyard("events", "--after", cursor, "--json")).splitlines()]
    assert [one["event"] for one in found] == ["prompt.create", "model.update"]
    assert done(steelyard("events", "--after", "latest")) == ""
    assert steelyard("events", "--kind", "colour").returncode == 4


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def test_follow_outlives_the_server_and_ends_when_asked(tmp_path: Path) -> None:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    # What runs in the background of a shell is born deaf to SIGINT, and so are its children: the tests may be that.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from steelyard.cli import main"
    command = [sys.executable, "-c", f"{code}; main()", "events", "--follow", "--kind", "model", "--url", url]
    lines: queue.Queue[str] = queue.Queue()
    follower: subprocess.Popen[str] | None = None
    try:
        for name in ("before", "after"):
            with running(tmp_path / "data", "--port", port) as server:
                if follower is None:
                    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
                    assert follower.stdout
                    threading.Thread(target=_read, args=(follower.stdout, lines), daemon=True).start()
                models = f"{url}/apis/models/v2/workspaces/default/models"
                assert httpx.post(models, json={"name": name}, timeout=30).status_code == 201
                assert f"default/{name}@1" in lines.get(timeout=60)
                server.kill()
        assert follower is not None
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 0
        assert lines.get(timeout=5) == ""
    finally:
        if follower is not None:
            follower.kill()
            follower.wait()
            if follower.stdout:
                follower.stdout.close()


def _read(stream: Any, lines: queue.Queue[str]) -> None:
    while line := stream.readline():
        lines.put(line)
    lines.put("")
