"""What goes wrong in a stream that has begun: it ends with an error of its dialect, and never looks complete."""

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, RESPONSES, ROUTES, TEXT, Gate, check_error
from tests.gateway.replies import WORDS, Reply
from tests.gateway.upstreams import Behaviour, Exchange, Upstream


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (faults.cut_after(-2), "broke off"),
        (faults.stalling(-2), "in time"),
        (faults.BAD_CHUNK_LATER, "not HTTP"),
    ],
    ids=str,
)
def test_a_stream_that_fails_after_its_first_token_ends_with_an_error_of_its_dialect(
    door: Gate, engine: Upstream, other: Upstream, route: str, fault: Behaviour, word: str
) -> None:
    if fault is faults.BAD_CHUNK_LATER and route != CHAT:
        pytest.skip("three events of that dialect hold no token")
    model = door.model(engine, other, route=route, retries=1)
    engine.next(fault)
    seen = door.stream(model, route)

    assert seen.status == 200
    assert seen.text and TEXT.startswith(seen.text)
    assert not seen.complete
    assert seen.error is not None, seen.body
    check_error(seen.error, route, [word])
    assert seen.seconds < 2
    name, _ = seen.events[-1]
    assert name == (None if route == CHAT else "error")
    # Nobody else goes on where it broke off.
    assert other.requests == []


@pytest.mark.parametrize(
    ("route", "error"),
    [
        (CHAT, b'data: {"error": {"message": "out of memory", "type": "server_error"}}\n\n'),
        (MESSAGES, b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"out of memory"}}\n\n'),
        (RESPONSES, b'data: {"error": {"message": "out of memory", "type": "server_error"}}\n\n'),
    ],
)
@pytest.mark.parametrize("more", [False, True])
def test_an_error_in_the_middle_of_a_stream_is_its_end(
    door: Gate, engine: Upstream, route: str, error: bytes, more: bool
) -> None:
    engine.next(faults.mid_stream(error, after=6, more=more))
    seen = door.stream(door.model(engine, route=route), route)
    assert seen.status == 200
    assert not seen.complete
    assert seen.error is not None
    assert "out of memory" in seen.error["detail"]
    assert seen.body.count(b"out of memory") <= 3


@pytest.mark.parametrize("route", ROUTES)
def test_what_was_said_just_before_an_error_is_passed_on(door: Gate, engine: Upstream, route: str) -> None:
    """Also where it comes in one piece with the error."""
    shape = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"out of memory"}}\n\n'
    error = shape if route == MESSAGES else b'data: {"error": {"message": "out of memory"}}\n\n'

    async def run(exchange: Exchange) -> None:
        reply = exchange.reply
        first, second = reply.pieces[:-6], reply.pieces[-6:-4]
        await exchange.send(reply.head + b"".join(map(reply.framed, first)))
        await exchange.wait(0.1)
        await exchange.send(b"".join(map(reply.framed, (*second, error))))
        exchange.end()

    model = door.model(engine, route=route)
    engine.next(Behaviour("an error behind words", run))
    seen = door.stream(model, route)
    said = [word for word in WORDS if word in seen.text]
    assert said == list(WORDS[: len(said)])
    assert len(said) == 4, seen.body
    assert not seen.complete
    assert seen.error is not None
    assert "out of memory" in seen.error["detail"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_stream_without_its_last_event_is_not_complete(door: Gate, engine: Upstream, route: str) -> None:
    cut = faults.changed("ends early", lambda answer: Reply(200, answer.headers, answer.pieces[:-3], "chunked"))
    engine.next(cut)
    seen = door.stream(door.model(engine, route=route), route)
    assert not seen.complete
    assert seen.error is not None
    check_error(seen.error, route)


def test_a_stream_without_done_is_complete_if_it_has_said_why_it_ends(door: Gate, engine: Upstream) -> None:
    engine.next(faults.WITHOUT_DONE)
    seen = door.stream(door.model(engine))
    assert (seen.text, seen.error) == (TEXT, None)
    assert '"finish_reason": "stop"' in seen.body.decode() or '"finish_reason":"stop"' in seen.body.decode()
