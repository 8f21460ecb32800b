"""Clients that leave, and connections that end: the other side is told at once, or does not notice."""

import time

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, ROUTES, TEXT, Gate, check_error
from tests.gateway.upstreams import Upstream, until


def test_an_engine_that_refuses_connections(door: Gate, engine: Upstream) -> None:
    model = door.model(engine)
    engine.refuse()
    answer = door.ask(model)
    assert answer.status_code == 502
    check_error(answer.json(), CHAT, ["refuses the connection"])
    engine.settle()
    assert door.ask(model).status_code == 200


def test_an_engine_that_resets_each_connection(door: Gate, engine: Upstream) -> None:
    model = door.model(engine)
    engine.close_idle()
    engine.resets_all = True
    for _ in range(20):
        answer = door.ask(model)
        assert answer.status_code == 502, answer.text
    engine.settle()
    assert door.ask(model).status_code == 200


def test_a_connection_that_was_closed_while_it_was_idle_is_not_noticed(door: Gate, engine: Upstream) -> None:
    model = door.model(engine)
    for stream in (False, True) * 10:
        if stream:
            assert door.stream(model).text == TEXT
        else:
            assert TEXT in door.ask(model).text
        engine.close_idle()
    assert len(engine.requests) == 20


def test_a_connection_that_closes_as_it_is_used_is_not_noticed(door: Gate, engine: Upstream) -> None:
    """The engine ends a kept connection when the next request comes: it has not looked at it."""
    model = door.model(engine)
    for _ in range(10):
        assert door.ask(model).status_code == 200
        engine.next(faults.NO_ANSWER)
        answer = door.ask(model)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pieces", [None, -3])
def test_when_the_client_leaves_the_upstream_is_left_at_once(
    door: Gate, engine: Upstream, route: str, stream: bool, pieces: int | None
) -> None:
    model = door.model(engine, route=route, timeouts={"first_byte_seconds": 60, "between_chunks_seconds": 60})
    engine.next(faults.stalling(pieces))
    with door.begin(model, route, stream=stream) as client:
        (seen,) = engine.wait_for(1)
        if stream and pieces is not None:
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(0.05)
        assert seen.left_at is None
    left = time.monotonic()
    until(lambda: seen.left_at is not None, lambda: "the upstream was not left", seconds=3)
    assert seen.left_at is not None
    assert seen.left_at - left < 1


def test_when_the_client_leaves_while_tokens_come_the_upstream_is_left_at_once(door: Gate, engine: Upstream) -> None:
    model = door.model(engine)
    engine.next(faults.paced(1000, 0.01))
    with door.begin(model, stream=True) as client:
        (seen,) = engine.wait_for(1)
        client.recv(1000)
    left = time.monotonic()
    until(lambda: seen.left_at is not None, lambda: "the upstream was not left", seconds=3)
    assert (seen.left_at or 0) - left < 1


def test_no_second_provider_is_asked_for_a_client_that_has_left(door: Gate, engine: Upstream, other: Upstream) -> None:
    model = door.model(engine, other, retries=2, timeouts={"first_byte_seconds": 1.0})
    engine.next(faults.STALL)
    with door.begin(model, stream=False):
        engine.wait_for(1)
    time.sleep(1.5)
    assert other.requests == []
