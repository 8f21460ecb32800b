"""What is kept of requests: the row of one whose client has left, and answers for those who ask the very same."""

import time
from typing import Any

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, Gate
from tests.gateway.spaces import Space
from tests.gateway.upstreams import Upstream, until


@pytest.fixture
def space(door: Gate) -> Space:
    return Space(door.http)


# What is written down.


def test_a_client_that_leaves_is_written_down(door: Gate, space: Space, engine: Upstream) -> None:
    model = space.served("m", engine)
    for fault, stream in ((faults.STALL, False), (faults.stalling(3), True)):
        engine.settle()
        engine.always = fault
        with door.begin(model, stream=stream) as connection:
            engine.wait_for(1)
            if stream:
                connection.recv(1000)
        until(lambda: engine.requests[0].left_at is not None)

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = space.http.get(f"/apis/steelyard/v1/workspaces/{space.name}/usage").json()["data"]
        return found

    until(lambda: len(rows()) == 2)
    for row, stream in zip(rows(), (True, False), strict=True):
        assert (row["status"], row["error"], row["stream"]) == (499, "client_left", stream)
        assert (row["model"], row["attempts"], row["output"]) == (model, 1, None)


# Answers that are kept.


def test_an_answer_is_given_again_to_the_very_same_request_and_to_no_other(space: Space, engine: Upstream) -> None:
    model = space.served("m", engine, routing={"cache_seconds": 60})

    def hit(route: str = CHAT, headers: dict[str, str] | None = None, **more: Any) -> bool:
        before = len(engine.requests)
        answer = space.ask(model, route, headers, **more)
        assert answer.status_code == 200
        kept = "x-steelyard-cache" in answer.headers
        assert kept == (len(engine.requests) == before)
        return kept

    assert [hit() for _ in range(3)] == [False, True, True]
    assert not hit(temperature=0.1)
    assert hit(temperature=0.1)
    assert hit(headers={"x-request-id": "another"})
    assert not hit(MESSAGES)
    assert [hit(stream=True) for _ in range(2)] == [False, False]
    space.patch("m", description="another state of the record")
    assert [hit(), hit()] == [False, True]
    space.http.patch(f"{space.providers}/p-m", json={"required_extra_body": {"seed": 1}})
    assert [hit(), hit()] == [False, True]
    space.alias("m@x", "m")
    assert space.asks("m@x")["model"] == f"{space.name}/m@x"
    space.patch("m", routing={"cache_seconds": 0})
    assert [hit(), hit()] == [False, False]


def test_failures_are_not_kept(space: Space, engine: Upstream) -> None:
    space.served("m", engine, routing={"cache_seconds": 60, "retries": 0})
    engine.next(faults.failing(500))
    assert [space.ask("m").status_code for _ in range(3)] == [500, 200, 200]
    assert len(engine.requests) == 2


def test_a_kept_answer_is_used_up_in_its_time_and_written_down_as_one(space: Space, engine: Upstream) -> None:
    space.served("m", engine, routing={"cache_seconds": 1}, pricing={"input": 1000.0, "output": 1000.0})
    first = space.ask("m")
    again = space.ask("m")
    assert (again.content, again.headers["x-steelyard-cache"]) == (first.content, "hit")
    time.sleep(1.1)
    assert "x-steelyard-cache" not in space.ask("m").headers
    usage = f"/apis/steelyard/v1/workspaces/{space.name}/usage"
    until(lambda: len(space.http.get(usage).json()["data"]) == 3)
    kept = space.http.get(usage).json()["data"][1]
    assert (kept["cache"], kept["cost"], kept["attempts"], kept["status"]) == ("hit", 0.0, 0, 200)
