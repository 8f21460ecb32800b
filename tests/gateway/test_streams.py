"""Streams on their way: cut into whole events, passed as they are but for the model's name, ended when they end."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import BadUpstreamAnswer, UpstreamStreamError
from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.sse import blocks, complete, parse
from steelyard.gateway.streams import Events, Passing, Stream, Translating
from tests.gateway.replies import DONE, PROMPT_TOKENS, WORDS, data, event, reply_to

CHAT, RESPONSES, MESSAGES, TEXT = "openai.chat", "openai.responses", "anthropic.messages", "openai.completions"
PATHS = {CHAT: "/chat/completions", RESPONSES: "/responses", MESSAGES: "/messages", TEXT: "/completions"}
NAME = "default/m"


def _sound(dialect: str, *, usage: bool = False, model: str = "tiny", words: Sequence[str] = WORDS) -> list[bytes]:
    """The events of a sound engine."""
    asked: dict[str, Any] = {"model": model, "stream": True}
    if usage:
        asked["stream_options"] = {"include_usage": True}
    return list(reply_to(PATHS[dialect], json.dumps(asked).encode(), words).pieces)


def _through(stream: Stream, wire: bytes, cuts: Sequence[int]) -> bytes:
    """What the client gets of a stream that comes in these pieces, and ends well."""
    events, out = Events(1 << 20), b""
    for start, end in pairwise([0, *cuts, len(wire)]):
        if whole := events.push(wire[start:end]):
            out += stream.feed(whole)
        if stream.ended:
            return out
    assert not events.rest.strip()
    return out + stream.end()


def _cuts(wire: bytes) -> Iterator[list[int]]:
    """Ways to cut a wire: at each one place, at all, and at random."""
    for place in range(1, len(wire)):
        yield [place]
    yield list(range(1, len(wire)))
    for size in (2, 3, 7, 100):
        yield list(range(size, len(wire), size))
    dice = random.Random(7)
    for _ in range(20):
        yield sorted(dice.sample(range(1, len(wire)), min(40, len(wire) - 1)))


# Whole events.


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_leave_whole_wherever_they_were_cut(end: bytes) -> None:
    one = [b"data: 1" + end + end, b": c" + end + end, b"event: x" + end + b"data: 2" + end + b"data: 3" + end + end]
    wire = b"".join(one)
    assert blocks(wire) == one
    for cuts in _cuts(wire):
        events, out = Events(1000), []
        for start, stop in pairwise([0, *cuts, len(wire)]):
            whole = events.push(wire[start:stop])
            assert whole == b"".join(blocks(whole)), "never a part of one"
            out += blocks(whole)
        assert (out, events.rest) == (one, b"")


def test_an_event_leaves_as_soon_as_it_is_whole() -> None:
    events = Events(1000)
    assert events.push(b"data: 1\n\ndata: 2\n") == b"data: 1\n\n"
    assert events.rest == b"data: 2\n"
    assert events.push(b"\ndata") == b"data: 2\n\n"
    assert events.push(b": 3\n\n:\n\nd") == b"data: 3\n\n:\n\n"
    assert events.rest == b"d"


def test_an_event_that_does_not_end_is_refused_when_it_is_too_long() -> None:
    events = Events(100)
    assert events.push(b"data: " + b"a" * 94) == b""
    with pytest.raises(UpstreamFailed) as failed:
        events.push(b"a")
    assert failed.value.reason == "too_large"


def test_many_small_events_at_once_are_not_too_long() -> None:
    wire = b"data: 1\n\n" * 1000
    assert Events(100).push(wire) == wire


def test_a_long_event_in_small_pieces_takes_time_that_grows_with_its_length_only() -> None:
    """Nothing that was looked at is looked at again."""
    events, pieces, begun = Events(64 << 20), 20_000, time.process_time()
    for _ in range(pieces):
        assert events.push(b"a" * 100) == b""
    assert len(events.push(b"\n\n")) == pieces * 100 + 2
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "length"),
    [
        *((b"", 0), (b"\n", 0), (b"\n\n", 2), (b"\r\r", 2), (b"\r\n\r\n", 4), (b"\r\n", 0), (b"\r\n\r", 0)),
        *((b"a\n\nb", 3), (b":\n\nd", 3), (b"a\r\rb", 3), (b"a\r\n\r\nb", 5), (b"ab", 0), (b"a\nb\n", 0)),
    ],
)
def test_where_the_last_whole_event_ends(text: bytes, length: int) -> None:
    assert complete(text) == length


def test_what_an_event_says() -> None:
    assert parse(b"event: x\nid: 1\nretry: 5\n: c\ndata: a\ndata:b\ndata\n\n") == ("x", b"a\nb\n")
    assert parse(b": ping\n\n") == (None, None)
    assert parse(b"data: a\r\n\r\n") == (None, b"a")
    assert parse(b"data:  a \n\n") == (None, b" a "), "one space is taken off, and no more"


# Passed as they are.


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_passes_byte_for_byte_but_for_the_name_wherever_it_is_cut(dialect: str) -> None:
    wire = b"".join(_sound(dialect, words=("a", "é", "\U0001f30d")))
    expected = wire.replace(b'"model": "tiny"', b'"model": "default/m"')
    assert expected.count(b"default/m") >= 1
    for cuts in _cuts(wire):
        assert _through(Passing(dialect, NAME), wire, cuts) == expected


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_names_ids_comments_and_line_ends_stay(dialect: str, end: bytes) -> None:
    pieces = []
    for number, piece in enumerate(_sound(dialect)):
        own = b"" if piece.startswith(b"event:") else b"event: chunk\n"
        more = b": comment %d\nid: %d\nretry: 10\nx-unknown\n" % (number, number)
        pieces += [b":\n\n", more + own + piece]
    wire = b"".join(pieces).replace(b"\n", end)
    expected = wire.replace(b'"model": "tiny"', b'"model": "default/m"')
    dice = random.Random(5)
    for cuts in ([], list(range(1, len(wire))), sorted(dice.sample(range(1, len(wire)), 60))):
        assert _through(Passing(dialect, NAME), wire, cuts) == expected


def test_events_that_end_in_different_ways_are_told_apart() -> None:
    """A proxy on the way may write its own lines."""
    token = data({"model": "tiny", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]})
    wire = token.replace(b"\n", b"\r\n") + token
    assert Passing(CHAT, NAME).feed(wire) == wire.replace(b'"tiny"', b'"default/m"')


@pytest.mark.parametrize("dialect", PATHS)
def test_an_engine_that_knows_our_name_is_passed_untouched(dialect: str) -> None:
    wire = b"".join(_sound(dialect, model=NAME))
    assert _through(Passing(dialect, NAME), wire, [10, 300]) == wire


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=6), st.sampled_from(['"model":"tiny"', '"model": "tiny"', '{"error":1}']))))
def test_what_the_model_says_is_never_changed(words: list[str]) -> None:
    for dialect in PATHS:
        wire = b"".join(_sound(dialect, words=["x", *words]))
        said = [parse(block)[1] for block in blocks(_through(Passing(dialect, NAME), wire, [50]))]
        meant = [parse(block)[1] for block in blocks(wire)]
        for got, sent in zip(said, meant, strict=True):
            if got == sent:
                continue
            assert got and sent
            assert json.loads(got) == _renamed(json.loads(sent))


def _renamed(said: dict[str, Any]) -> dict[str, Any]:
    for key in (None, "message", "response"):
        holder = said if key is None else said.get(key)
        if isinstance(holder, dict) and isinstance(holder.get("model"), str):
            holder["model"] = NAME
            return said
    return said


def test_events_that_begin_differently_are_renamed_all_the_same() -> None:
    """The beginning of one event is a help for the next, and no more than that."""
    events = [
        data({"id": str(number), "model": name, "choices": [{"delta": {"content": "x"}}]})
        for number, name in enumerate(["tiny", "tiny", "other", "tiny-2025", NAME, "tiny"])
    ]
    out = _through(Passing(CHAT, NAME), b"".join([*events, DONE]), [])
    named = [json.loads(parse(block)[1] or b"") for block in blocks(out)[:-1]]
    assert {said["model"] for said in named[:5]} == {NAME}
    assert [said["id"] for said in named] == list("012345")


def test_a_name_that_is_a_longer_one_than_the_last_is_not_taken_for_it() -> None:
    events = [data({"model": name, "choices": [{"delta": {"content": "x"}}]}) for name in ("tiny", "tiny2", "tiny")]
    out = _through(Passing(CHAT, NAME), b"".join([*events, DONE]), [])
    assert [json.loads(parse(block)[1] or b"")["model"] for block in blocks(out)[:-1]] == [NAME] * 3


# Where they begin and end.


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_has_started_with_its_first_token(dialect: str) -> None:
    stream, started = Passing(dialect, NAME), []
    for piece in [b": ping\n\n", *_sound(dialect, words=("a", "b"))]:
        stream.feed(piece)
        started.append((stream.started, b'"a"' in piece))
    assert [one for one, _ in started] == sorted(one for one, _ in started), "it stays so"
    assert next(one for one in started if one[0]) == (True, True)


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("more", [DONE, b"data: {}\n\n", b": late\n\n", b"event: ping\ndata: {}\n\n"])
def test_what_comes_behind_the_end_is_not_the_clients(dialect: str, more: bytes) -> None:
    sound = _sound(dialect)
    expected = _through(Passing(dialect, NAME), b"".join(sound), [])
    wire = b"".join(sound) + more
    for cuts in ([], [len(wire) - len(more)], [len(wire) - len(more) - 3, len(wire) - 2]):
        stream = Passing(dialect, NAME)
        assert _through(stream, wire, cuts) == expected
        assert stream.ended


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_that_lacks_its_end_is_not_whole(dialect: str) -> None:
    sound = _sound(dialect)
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
    for piece in _sound(dialect)[:-1]:
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
    _through(stream, b"".join(_sound(dialect, usage=True)), [])
    if dialect == TEXT:
        assert stream.usage is None, "the engine of the tests tells none here"
    else:
        assert stream.usage is not None
        assert (stream.usage.input, stream.usage.output) == (PROMPT_TOKENS, len(WORDS))


def test_usage_that_the_client_has_not_asked_for_is_hidden_and_nothing_else() -> None:
    wire = b"".join(_sound(CHAT, usage=True))
    expected = b"".join(_sound(CHAT)).replace(b'"model": "tiny"', b'"model": "default/m"')
    for cuts in ([], list(range(1, len(wire))), [len(wire) - 20]):
        stream = Passing(CHAT, NAME, hide_usage=True)
        assert _through(stream, wire, cuts) == expected
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
    sound = _sound(dialect)[:-3]
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
    wire = b"".join(_sound(upstream, usage=True, words=("a", "é", "\U0001f30d")))
    made = {
        _steady(_through(Translating(upstream, client, NAME, {"model": "m"}, include_usage=True), wire, cuts))
        for cuts in _cuts(wire)
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
    sound = _sound(upstream)
    stream = Translating(upstream, client, NAME, {"model": "m"}, include_usage=False)
    out = _through(stream, b"".join(sound) + DONE, [])
    assert stream.ended
    last = {MESSAGES: b"message_stop", RESPONSES: b"response.completed", CHAT: b"[DONE]"}[client]
    assert last in blocks(out)[-1]
    assert out.count(b"[DONE]") == (client == CHAT)
