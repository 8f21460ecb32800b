"""Streams on their way: cut into whole events, and passed as they are but for the model's name."""

import json
import random
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.sse import blocks, complete, parse
from steelyard.gateway.streams import Events, Passing
from tests.gateway.replies import DONE, data
from tests.gateway.wires import CHAT, NAME, PATHS, engine_stream, through, ways_to_cut

# Whole events.


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_leave_whole_wherever_they_were_cut(end: bytes) -> None:
    one = [b"data: 1" + end + end, b": c" + end + end, b"event: x" + end + b"data: 2" + end + b"data: 3" + end + end]
    wire = b"".join(one)
    assert blocks(wire) == one
    for cuts in ways_to_cut(wire):
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
    wire = b"".join(engine_stream(dialect, words=("a", "é", "\U0001f30d")))
    expected = wire.replace(b'"model": "tiny"', b'"model": "default/m"')
    assert expected.count(b"default/m") >= 1
    for cuts in ways_to_cut(wire):
        assert through(Passing(dialect, NAME), wire, cuts) == expected


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_names_ids_comments_and_line_ends_stay(dialect: str, end: bytes) -> None:
    pieces = []
    for number, piece in enumerate(engine_stream(dialect)):
        own = b"" if piece.startswith(b"event:") else b"event: chunk\n"
        more = b": comment %d\nid: %d\nretry: 10\nx-unknown\n" % (number, number)
        pieces += [b":\n\n", more + own + piece]
    wire = b"".join(pieces).replace(b"\n", end)
    expected = wire.replace(b'"model": "tiny"', b'"model": "default/m"')
    dice = random.Random(5)
    for cuts in ([], list(range(1, len(wire))), sorted(dice.sample(range(1, len(wire)), 60))):
        assert through(Passing(dialect, NAME), wire, cuts) == expected


def test_events_that_end_in_different_ways_are_told_apart() -> None:
    """A proxy on the way may write its own lines."""
    token = data({"model": "tiny", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]})
    wire = token.replace(b"\n", b"\r\n") + token
    assert Passing(CHAT, NAME).feed(wire) == wire.replace(b'"tiny"', b'"default/m"')


@pytest.mark.parametrize("dialect", PATHS)
def test_an_engine_that_knows_our_name_is_passed_untouched(dialect: str) -> None:
    wire = b"".join(engine_stream(dialect, model=NAME))
    assert through(Passing(dialect, NAME), wire, [10, 300]) == wire


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=6), st.sampled_from(['"model":"tiny"', '"model": "tiny"', '{"error":1}']))))
def test_what_the_model_says_is_never_changed(words: list[str]) -> None:
    for dialect in PATHS:
        wire = b"".join(engine_stream(dialect, words=["x", *words]))
        said = [parse(block)[1] for block in blocks(through(Passing(dialect, NAME), wire, [50]))]
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
    out = through(Passing(CHAT, NAME), b"".join([*events, DONE]), [])
    named = [json.loads(parse(block)[1] or b"") for block in blocks(out)[:-1]]
    assert {said["model"] for said in named[:5]} == {NAME}
    assert [said["id"] for said in named] == list("012345")


def test_a_name_that_is_a_longer_one_than_the_last_is_not_taken_for_it() -> None:
    events = [data({"model": name, "choices": [{"delta": {"content": "x"}}]}) for name in ("tiny", "tiny2", "tiny")]
    out = through(Passing(CHAT, NAME), b"".join([*events, DONE]), [])
    assert [json.loads(parse(block)[1] or b"")["model"] for block in blocks(out)[:-1]] == [NAME] * 3
