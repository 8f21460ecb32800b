"""Everything that an upstream can do wrong: what the client sees of it is exact, and in time."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, RESPONSES, ROUTES, TEXT, Gate, check_error, gate
from tests.gateway.replies import DONE, WORDS, Reply, json_reply
from tests.gateway.upstreams import Behaviour, Exchange, Upstream, until, upstream

STATUSES = [(number, number) for number in (400, 408, 409, 413, 418, 422, 429, 500, 501, 502, 503, 504, 529)]
OURS = [(number, 502) for number in (401, 403, 404)]

# What the upstream does, the status that the client sees, and a word of the reason.
REFUSED: list[tuple[Behaviour, int, str]] = [
    (faults.RESET, 502, "ended the connection"),
    (faults.NO_ANSWER, 502, "ended the connection"),
    (faults.STALL, 504, "in time"),
    (faults.NOT_HTTP, 502, "not HTTP"),
    (faults.HUGE_HEADER, 502, "not HTTP"),
    (faults.ENDLESS_HEADERS, 502, "not HTTP"),
    (faults.BAD_CHUNK_SIZE, 502, "not HTTP"),
    (faults.HTML, 502, "upstream"),
    (faults.redirecting("http://127.0.0.1:1/v1/chat/completions"), 502, "307"),
    (faults.EARLY, 413, "too large"),
    *((faults.failing(said), shown, "engine trouble") for said, shown in STATUSES + OURS),
]
BROKEN_WHOLE: list[tuple[Behaviour, int, str]] = [
    (faults.CHUNK_WITHOUT_END, 502, "upstream"),
    (faults.NO_LAST_CHUNK, 502, "broke off"),
    (faults.LENGTH_TOO_LONG, 502, "broke off"),
    (faults.LENGTH_TOO_SHORT, 502, "JSON"),
    (faults.BAD_JSON, 502, "JSON"),
    (faults.cut(0), 502, "ended the connection"),
    (faults.cut(30), 502, "broke off"),
    (faults.endless("endless body", b"HTTP/1.1 200 OK\r\n\r\n", b"[" * 65536), 502, "larger"),
    (faults.reply(json_reply({"error": {"message": "no"}})), 502, "dialect"),
    (faults.reply(json_reply([1])), 502, "dialect"),
    (faults.reply(Reply(204)), 502, "upstream"),
    (
        faults.reply(Reply(200, (("content-type", "application/json"), ("content-encoding", "br")), (b"xx",))),
        502,
        "upstream",
    ),
]
# Odd, but not wrong.
SOUND: list[Behaviour] = [
    faults.GZIP,
    faults.CONTINUE,
    faults.ENDS_WITH_CONNECTION,
    faults.split_chunks(1),
    faults.split_chunks(7),
    faults.late(0.2),
]
SOUND_STREAMS: list[Behaviour] = [*SOUND, faults.NAMED_EVENTS, faults.DONE_TWICE, faults.dripping(0.0005, 5)]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("faults") / "data") as door:
        yield door


@pytest.fixture(scope="module")
def _engines() -> Iterator[tuple[Upstream, Upstream]]:
    with upstream() as first, upstream() as second:
        yield first, second


@pytest.fixture
def engine(_engines: tuple[Upstream, Upstream]) -> Upstream:
    _engines[0].settle()
    # Over a kept connection, the gateway sends a request once more where the engine ends it without a word.
    _engines[0].close_idle()
    return _engines[0]


@pytest.fixture
def other(_engines: tuple[Upstream, Upstream]) -> Upstream:
    _engines[1].settle()
    return _engines[1]


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
    check_error(_json(seen.body), route, [word] if fault is not faults.HTML else [])
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


@pytest.mark.parametrize("fault", [faults.HUGE_LINE, faults.ENDLESS_LINE], ids=str)
def test_a_line_without_an_end_is_given_up(door: Gate, engine: Upstream, fault: Behaviour) -> None:
    model = door.model(engine)
    before = door.rss()
    for _ in range(5):
        engine.next(fault)
        seen = door.stream(model)
        assert seen.status == 502
        check_error(_json(seen.body), CHAT, ["larger"])
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
    check_error(_json(seen.body), CHAT, ["in time"])
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


def _json(body: bytes) -> Any:
    import json  # noqa: PLC0415

    return json.loads(body)
