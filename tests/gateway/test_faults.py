"""What an upstream can do wrong before anything of its answer is out: what the client sees is exact, and in time."""

import json
import time

import pytest

from tests.gateway import faults
from tests.gateway.cases import BROKEN_WHOLE, REFUSED, SOUND, SOUND_STREAMS
from tests.gateway.gates import CHAT, ROUTES, TEXT, Gate, check_error
from tests.gateway.replies import DONE, Reply
from tests.gateway.upstreams import Behaviour, Upstream


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("fault", "status", "word"), REFUSED + BROKEN_WHOLE, ids=str)
def test_a_whole_answer_that_fails(
    door: Gate, engine: Upstream, route: str, fault: Behaviour, status: int, word: str
) -> None:
    model = door.model(engine, route=route)
    engine.next(fault)
    begun = time.monotonic()
    answer = door.ask(model, route)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    check_error(answer.json(), route, [word])
    assert time.monotonic() - begun < 2
    # Whatever was left on the connection is not taken for the next answer.
    assert TEXT in door.ask(model, route).text


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("fault", "status", "word"), REFUSED, ids=str)
def test_a_stream_that_fails_before_its_first_token(
    door: Gate, engine: Upstream, route: str, fault: Behaviour, status: int, word: str
) -> None:
    model = door.model(engine, route=route)
    engine.next(fault)
    seen = door.stream(model, route)

    assert seen.status == status, seen.body
    check_error(json.loads(seen.body), route, [word] if fault is not faults.HTML else [])
    assert seen.seconds < 2
    after = door.stream(model, route)
    assert (after.text, after.complete) == (TEXT, True)


@pytest.mark.parametrize("fault", SOUND, ids=str)
@pytest.mark.parametrize("route", ROUTES)
def test_a_whole_answer_that_is_odd_but_sound(door: Gate, engine: Upstream, route: str, fault: Behaviour) -> None:
    engine.next(fault)
    answer = door.ask(door.model(engine, route=route), route)
    assert answer.status_code == 200, answer.text
    assert TEXT in answer.text


@pytest.mark.parametrize("fault", SOUND_STREAMS, ids=str)
@pytest.mark.parametrize("route", ROUTES)
def test_a_stream_that_is_odd_but_sound(door: Gate, engine: Upstream, route: str, fault: Behaviour) -> None:
    engine.next(fault)
    seen = door.stream(door.model(engine, route=route), route)
    assert (seen.status, seen.text, seen.error, seen.complete) == (200, TEXT, None, True)
    assert seen.body.count(b"[DONE]") == (1 if route == CHAT else 0)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_before_the_request_has_been_read_is_passed_on(door: Gate, engine: Upstream, stream: bool) -> None:
    model = door.model(engine)
    for _ in range(5):
        engine.next(faults.EARLY)
        messages = [{"role": "user", "content": "x" * (8 << 20)}]
        answer = door.ask(model, messages=messages, stream=stream)
        assert answer.status_code == 413, answer.text
        check_error(answer.json(), CHAT, ["too large"])
        assert TEXT in door.ask(model).text


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "fault",
    [
        *(fault for fault, status, _ in REFUSED if status not in {400, 413, 418, 422, 501}),
        *(fault for fault, _, _ in BROKEN_WHOLE),
    ],
    ids=str,
)
def test_another_provider_answers_where_the_first_fails(
    door: Gate, engine: Upstream, other: Upstream, route: str, fault: Behaviour
) -> None:
    model = door.model(engine, other, route=route, retries=1)
    engine.next(fault)
    answer = door.ask(model, route)
    assert answer.status_code == 200, answer.text
    assert TEXT in answer.text
    assert (len(engine.requests), len(other.requests)) == (1, 1)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "fault",
    [
        *(fault for fault, status, _ in REFUSED if status not in {400, 413, 418, 422, 501}),
        *(faults.stalling(pieces) for pieces in (0, 1)),
        faults.cut_after(0),
        faults.cut_after(1),
        faults.mid_stream(b'data: {"error": {"message": "out of memory"}}\n\n', after=0, more=False),
        faults.changed("an empty stream", lambda answer: Reply(200, answer.headers, (), "chunked")),
        faults.changed("only [DONE]", lambda answer: Reply(200, answer.headers, (DONE,), "chunked")),
    ],
    ids=str,
)
def test_another_provider_streams_where_the_first_fails_before_a_token(
    door: Gate, engine: Upstream, other: Upstream, route: str, fault: Behaviour
) -> None:
    model = door.model(engine, other, route=route, retries=1)
    engine.next(fault)
    seen = door.stream(model, route)
    assert (seen.status, seen.text, seen.error, seen.complete) == (200, TEXT, None, True), seen.body
    assert (len(engine.requests), len(other.requests)) == (1, 1)
