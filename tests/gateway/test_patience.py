"""Upstreams that take too long, say too much, or want to be left alone."""

import json
import time
from email.utils import formatdate

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, ROUTES, TEXT, Gate, check_error
from tests.gateway.upstreams import Behaviour, Upstream, until


@pytest.mark.parametrize("fault", [faults.HUGE_LINE, faults.ENDLESS_LINE], ids=str)
def test_a_line_without_an_end_is_given_up(door: Gate, engine: Upstream, fault: Behaviour) -> None:
    model = door.model(engine)
    before = door.rss()
    for _ in range(5):
        engine.next(fault)
        seen = door.stream(model)
        assert seen.status == 502
        check_error(json.loads(seen.body), CHAT, ["larger"])
    assert door.rss() - before < 32 << 20


def test_a_line_without_an_end_in_the_middle_of_a_stream(door: Gate, engine: Upstream) -> None:
    engine.next(faults.mid_stream(b"data: " + b"x" * (4 << 20), after=3, more=False))
    seen = door.stream(door.model(engine))
    assert (seen.status, seen.complete) == (200, False)
    assert seen.error is not None
    check_error(seen.error, CHAT, ["larger"])


def test_a_slow_drip_has_an_end(door: Gate, engine: Upstream) -> None:
    """Each byte is in time; all of them are not."""
    engine.always = faults.dripping(0.05)
    patience = {"first_byte_seconds": 0.5, "between_chunks_seconds": 0.5, "total_seconds": 1.0}
    model = door.model(engine, timeouts=patience)
    begun = time.monotonic()
    answer = door.ask(model)
    assert answer.status_code == 504, answer.text
    assert time.monotonic() - begun < 2
    seen = door.stream(model)
    assert seen.status == 504 or (seen.error is not None and not seen.complete)
    assert seen.seconds < 2
    until(lambda: engine.busy == 0, seconds=1)


def test_a_stream_of_comments_is_no_answer(door: Gate, engine: Upstream, other: Upstream) -> None:
    engine.next(faults.chatting(0.05))
    seen = door.stream(door.model(engine))
    assert seen.status == 504, seen.body
    check_error(json.loads(seen.body), CHAT, ["in time"])
    assert seen.seconds < 2
    engine.next(faults.chatting(0.05))
    assert door.stream(door.model(engine, other, retries=1)).text == TEXT


def test_a_stream_that_drips_its_tokens_has_an_end(door: Gate, engine: Upstream) -> None:
    engine.next(faults.paced(200, 0.05))
    seen = door.stream(door.model(engine, timeouts={"total_seconds": 1.0}))
    assert (seen.status, seen.complete) == (200, False)
    assert seen.error is not None
    assert 0.8 < seen.seconds < 2


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "seconds"), [("30", 30), (formatdate(time.time() + 600, usegmt=True), 600)], ids=["seconds", "date"]
)
def test_retry_after_goes_to_the_client(
    door: Gate, engine: Upstream, route: str, stream: bool, said: str, seconds: int
) -> None:
    model = door.model(engine, route=route, retries=2)
    engine.always = faults.failing(429, ("retry-after", said))
    begun = time.monotonic()
    answer = door.ask(model, route, stream=stream)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == said
    check_error(answer.json(), route)
    assert len(engine.requests) == 1
    # The next one does not bother an engine that wants to be left alone.
    again = door.ask(model, route)
    assert again.status_code in {429, 503}
    assert 0 < int(again.headers["retry-after"]) <= seconds
    assert len(engine.requests) == 1
    assert time.monotonic() - begun < 2


def test_a_short_retry_after_is_waited_for(door: Gate, engine: Upstream) -> None:
    engine.next(faults.failing(429, ("retry-after", "1")))
    begun = time.monotonic()
    answer = door.ask(door.model(engine, retries=1))
    assert answer.status_code == 200
    assert 0.9 < time.monotonic() - begun < 3


def test_another_provider_answers_while_the_first_wants_to_be_left_alone(
    door: Gate, engine: Upstream, other: Upstream
) -> None:
    model = door.model(engine, other, retries=1)
    engine.next(faults.failing(429, ("retry-after", "30")))
    assert door.ask(model).status_code == 200
    assert door.ask(model).status_code == 200
    assert (len(engine.requests), len(other.requests)) == (1, 2)
