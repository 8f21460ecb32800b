"""Where streams begin and end: what is whole, what has failed, what was used; passed as they are, and translated."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from steelyard.errors import BadUpstreamAnswer, UpstreamStreamError
from steelyard.gateway.sse import blocks, parse
from steelyard.gateway.streams import Passing, Stream, Translating
from tests.gateway.replies import DONE, PROMPT_TOKENS, WORDS, data, event
from tests.gateway.wires import CHAT, MESSAGES, NAME, PATHS, RESPONSES, TEXT, engine_stream, through, ways_to_cut

# Where they begin and end.


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_has_started_with_its_first_token(dialect: str) -> None:
    stream, started = Passing(dialect, NAME), []
    for piece in [b": ping\n\n", *engine_stream(dialect, words=("a", "b"))]:
        stream.feed(piece)
        started.append((stream.started, b'"a"' in piece))
    assert [one for one, _ in started] == sorted(one for one, _ in started), "it stays so"
    assert next(one for one in started if one[0]) == (True, True)


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("more", [DONE, b"data: {}\n\n", b": late\n\n", b"event: ping\ndata: {}\n\n"])
def test_what_comes_behind_the_end_is_not_the_clients(dialect: str, more: bytes) -> None:
    sound = engine_stream(dialect)
    expected = through(Passing(dialect, NAME), b"".join(sound), [])
    wire = b"".join(sound) + more
    for cuts in ([], [len(wire) - len(more)], [len(wire) - len(more) - 3, len(wire) - 2]):
        stream = Passing(dialect, NAME)
        assert through(stream, wire, cuts) == expected
        assert stream.ended


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_that_lacks_its_end_is_not_whole(dialect: str) -> None:
    sound = engine_stream(dialect)
    reason = {MESSAGES: b"message_delta", RESPONSES: b"response.completed"}.get(dialect, b'"stop"')
    stops = next(place for place, piece in enumerate(sound) if reason in piece)
    for number in range(stops + 1):
        stream = Passing(dialect, NAME)
        for piece in sound[:number]:
            stream.feed(piece)
        assert not stream.ended
        with pytest.raises(BadUpstreamAnswer):
            stream.end()


@pytest.mark.parametrize("dialect", [CHAT, TEXT])
def test_a_reason_to_stop_is_enough_where_the_upstream_ends_well(dialect: str) -> None:
    """Many engines forget `[DONE]`; that the answer ended as HTTP says is known then."""
    stream = Passing(dialect, NAME)
    for piece in engine_stream(dialect)[:-1]:
        stream.feed(piece)
    assert not stream.ended
    assert stream.end() == b""


def test_an_end_without_a_beginning_is_no_answer() -> None:
    with pytest.raises(BadUpstreamAnswer):
        Passing(CHAT, NAME).feed(DONE)


# Usage.


@pytest.mark.parametrize("dialect", PATHS)
def test_usage_is_read_in_passing(dialect: str) -> None:
    stream = Passing(dialect, NAME)
    through(stream, b"".join(engine_stream(dialect, usage=True)), [])
    if dialect == TEXT:
        assert stream.usage is None, "the engine of the tests tells none here"
    else:
        assert stream.usage is not None
        assert (stream.usage.input, stream.usage.output) == (PROMPT_TOKENS, len(WORDS))


def test_usage_that_the_client_has_not_asked_for_is_hidden_and_nothing_else() -> None:
    wire = b"".join(engine_stream(CHAT, usage=True))
    expected = b"".join(engine_stream(CHAT)).replace(b'"model": "tiny"', b'"model": "default/m"')
    for cuts in ([], list(range(1, len(wire))), [len(wire) - 20]):
        stream = Passing(CHAT, NAME, hide_usage=True)
        assert through(stream, wire, cuts) == expected
        assert stream.usage is not None


@pytest.mark.parametrize(
    "kept",
    [
        {"choices": [{"index": 0, "delta": {"content": '"usage":{},"choices":[]'}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}},
        {"choices": [{"index": 0, "delta": {"extra": {"choices": []}}}], "usage": {"prompt_tokens": 1}},
        {"choices": [], "usage": None},
        {"choices": [], "prompt_filter_results": [], "note": '"usage"'},
    ],
)
def test_an_event_that_says_more_than_the_usage_is_kept(kept: dict[str, Any]) -> None:
    first = data({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]})
    for compact in (False, True):
        block = data(kept)
        if compact:
            block = b"data: " + json.dumps(kept, separators=(",", ":")).encode() + b"\n\n"
        stream = Passing(CHAT, NAME, hide_usage=True)
        assert stream.feed(first + block) == first + block


# Failures that the upstream tells of in its stream.

_ERRORS: dict[str, tuple[bytes, int]] = {
    CHAT: (data({"error": {"message": "out of memory", "type": "server_error"}}), 500),
    TEXT: (data({"error": {"message": "out of memory", "code": 503}}), 503),
    MESSAGES: (event({"type": "error", "error": {"type": "overloaded_error", "message": "out of memory"}}), 529),
    RESPONSES: (event({"type": "error", "code": "server_error", "message": "out of memory"}), 500),
}


def _both(dialect: str) -> list[Callable[[], Stream]]:
    ways: list[Callable[[], Stream]] = [lambda: Passing(dialect, NAME)]
    if dialect in {CHAT, MESSAGES}:
        client = MESSAGES if dialect == CHAT else CHAT
        ways.append(lambda: Translating(dialect, client, NAME, {"model": "m"}, include_usage=False))
    return ways


@pytest.mark.parametrize("dialect", PATHS)
def test_an_error_at_the_beginning_is_raised(dialect: str) -> None:
    for make in _both(dialect):
        with pytest.raises(UpstreamStreamError) as failed:
            make().feed(_ERRORS[dialect][0])
        assert "out of memory" in failed.value.message
        assert failed.value.upstream_status == _ERRORS[dialect][1]


@pytest.mark.parametrize("dialect", PATHS)
def test_what_was_said_before_an_error_is_the_clients_though_both_came_at_once(dialect: str) -> None:
    sound = engine_stream(dialect)[:-3]
    for make in _both(dialect):
        apart = make()
        expected = b"".join(apart.feed(piece) for piece in sound)
        with pytest.raises(UpstreamStreamError):
            apart.feed(_ERRORS[dialect][0])
        together = make()
        assert together.feed(b"".join([*sound, _ERRORS[dialect][0], sound[-1]])) == expected
        assert together.ended
        assert isinstance(together.failure, UpstreamStreamError)
        assert "out of memory" in together.failure.message


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("broken", [b'data: {"choices": [\n\n', b"data: hello\n\n", b"data: [1]\n\n"])
def test_an_event_that_is_none_of_the_dialect_is_a_failure(dialect: str, broken: bytes) -> None:
    for make in _both(dialect):
        with pytest.raises((BadUpstreamAnswer, UpstreamStreamError)):
            make().feed(broken)


def test_a_text_that_speaks_of_errors_is_none() -> None:
    text = '{"error": {"message": "x"}} data: {"error"'
    block = data({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
    stream = Passing(CHAT, NAME)
    assert stream.feed(block + block) == block + block
    assert stream.failure is None


# Translated.


@pytest.mark.parametrize(("upstream", "client"), [(CHAT, MESSAGES), (CHAT, RESPONSES), (MESSAGES, CHAT)])
def test_a_translation_is_the_same_wherever_the_stream_was_cut(upstream: str, client: str) -> None:
    wire = b"".join(engine_stream(upstream, usage=True, words=("a", "é", "\U0001f30d")))
    made = {
        _steady(through(Translating(upstream, client, NAME, {"model": "m"}, include_usage=True), wire, cuts))
        for cuts in ways_to_cut(wire)
    }
    assert len(made) == 1
    out = made.pop()
    assert b"default/m" in out
    assert b"tiny" not in out


def _steady(out: bytes) -> bytes:
    """Without what is made anew each time: ids and times."""
    said = []
    for block in blocks(out):
        name, text = parse(block)
        said.append((name, _timeless(json.loads(text)) if text and text != b"[DONE]" else None))
    return repr(said).encode()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _timeless(one)
            for key, one in value.items()
            if key not in {"id", "created", "created_at", "completed_at", "item_id"}
        }
    return [_timeless(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("upstream", "client"), [(CHAT, MESSAGES), (CHAT, RESPONSES), (MESSAGES, CHAT)])
def test_a_translation_ends_where_the_upstream_does(upstream: str, client: str) -> None:
    sound = engine_stream(upstream)
    stream = Translating(upstream, client, NAME, {"model": "m"}, include_usage=False)
    out = through(stream, b"".join(sound) + DONE, [])
    assert stream.ended
    last = {MESSAGES: b"message_stop", RESPONSES: b"response.completed", CHAT: b"[DONE]"}[client]
    assert last in blocks(out)[-1]
    assert out.count(b"[DONE]") == (client == CHAT)
