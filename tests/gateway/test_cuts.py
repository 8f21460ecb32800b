"""An answer that is cut, after each of its bytes: it never looks whole, and nothing of what was cut is made up."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, ROUTES, Gate, check_error, gate
from tests.gateway.replies import Reply, reply_to
from tests.gateway.upstreams import Behaviour, Exchange, Upstream, upstream

WORDS = ("Grüße ", "世界")
TEXT = "".join(WORDS)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("cuts") / "data", "--set", "gateway.retry_budget=1") as door:
        yield door


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream(WORDS) as engine:
        yield engine


def _reply(engine: Upstream) -> Reply:
    """What the engine has answered to the last request."""
    seen = engine.requests[-1]
    return reply_to(seen.path, seen.body, WORDS)


@pytest.mark.parametrize("route", ROUTES)
def test_a_whole_answer_that_is_cut_anywhere_is_an_error(door: Gate, engine: Upstream, route: str) -> None:
    model = door.model(engine, route=route)
    assert TEXT in door.ask(model, route).text
    for length in range(len(_reply(engine).wire)):
        engine.next(faults.cut(length))
        engine.close_idle()
        answer = door.ask(model, route)
        assert answer.status_code == 502, (length, answer.text)
        check_error(answer.json(), route)


@pytest.mark.parametrize("route", ROUTES)
def test_a_stream_that_is_cut_anywhere_is_not_complete(door: Gate, engine: Upstream, route: str) -> None:
    model = door.model(engine, route=route)
    whole = door.stream(model, route)
    assert (whole.text, whole.complete) == (TEXT, True)
    reply = _reply(engine)
    wire = reply.wire
    # When its last event is there, the answer is, whatever becomes of the rest of the framing.
    last = reply.framed(reply.pieces[-1])
    enough = wire.rindex(last) + len(last) - len(b"\r\n")
    statuses = []
    for length in range(len(wire)):
        engine.next(faults.cut(length))
        engine.close_idle()
        seen = door.stream(model, route)
        statuses.append(seen.status)
        if length >= enough:
            assert (seen.text, seen.complete, seen.error) == (TEXT, True, None), length
        elif seen.status == 200:
            assert not seen.complete, (length, seen.body)
            assert seen.error is not None, (length, seen.body)
            check_error(seen.error, route)
            assert seen.text, length
            assert TEXT.startswith(seen.text), length
        else:
            assert seen.status == 502, (length, seen.body)
            check_error(json.loads(seen.body), route)
    # First there is nothing to show, then there is something.
    assert statuses == sorted(statuses, reverse=True)
    assert statuses.count(502) < enough


def test_a_stream_whose_end_nobody_marks_is_complete_only_when_it_has_said_why_it_ends(
    door: Gate, engine: Upstream
) -> None:
    """The end of a connection may be the end of an answer, or a cut: HTTP cannot tell, the dialect can."""
    model = door.model(engine)
    door.stream(model)
    reply = replace(_reply(engine), framing="close")
    reason = reply.wire.index(b'"finish_reason": "stop"')

    for length in range(len(reply.wire)):
        engine.next(_cut(reply, length))
        engine.close_idle()
        seen = door.stream(model)
        if seen.status == 200 and seen.error is None:
            assert length > reason
            assert seen.text == TEXT
        elif seen.status == 200:
            assert not seen.complete
            assert TEXT.startswith(seen.text)
        else:
            assert seen.status == 502, (length, seen.body)


def _cut(reply: Reply, length: int) -> Behaviour:
    async def run(exchange: Exchange) -> None:
        await exchange.send(reply.wire[:length])
        exchange.end()

    return Behaviour(f"cut at {length}", run)


def test_a_stream_that_is_cut_anywhere_before_its_first_token_comes_from_somebody_else(
    door: Gate, engine: Upstream
) -> None:
    with upstream(WORDS) as other:
        model = door.model(engine, other, retries=1)
        door.stream(model)
        reply = _reply(engine)
        begins = reply.wire.index(WORDS[0].strip().encode())
        for length in range(0, begins, 3):
            engine.next(faults.cut(length))
            engine.close_idle()
            seen = door.stream(model, CHAT)
            assert (seen.status, seen.text, seen.error, seen.complete) == (200, TEXT, None, True), length
        assert len(other.requests) == len(range(0, begins, 3))
