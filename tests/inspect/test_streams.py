"""Reading forwards, with every byte counted."""

import bz2
import lzma
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.inspect.findings import LimitReached, Limits, Report
from steelyard.inspect.streams import ENDLESS, Inflated, Stream
from tests.inspect.hostile import reader

DATA = bytes(range(256)) * 1_000


def report(nbytes: int = 64 << 20) -> Report:
    return Report(Limits(nbytes=nbytes))


@given(st.lists(st.tuples(st.sampled_from(["take", "skip", "peek"]), st.integers(0, 100_000)), max_size=12))
def test_taking_skipping_and_peeking_keep_the_place(steps: list[tuple[str, int]]) -> None:
    stream, at = Stream(reader(DATA), len(DATA), report()), 0

    for step, length in steps:
        if step == "skip":
            at += length
            assert stream.skip(length) == (at <= len(DATA))
        else:
            expected = DATA[at : at + length]
            assert (stream.take(length) if step == "take" else stream.peek(length)) == expected
            at += len(expected) if step == "take" else 0
        assert stream.position == at


def test_lines_end_at_newlines_and_are_cut_where_they_are_long() -> None:
    stream = Stream(reader(b"one\n" + b"x" * 200_000 + b"\nlast"), 200_009, report())

    assert stream.line(10) == b"one"
    assert stream.line(10) == b"x" * 10
    assert stream.position == 200_005
    assert stream.line(10) is None


def test_a_line_without_end_is_given_up() -> None:
    with pytest.raises(LimitReached, match="a line of more than"):
        Stream(lambda offset, length: b"x" * length, ENDLESS, report()).line(10)


def test_skipping_reads_nothing() -> None:
    stream = Stream(lambda offset, length: b"x" * length, 1 << 40, report(1 << 20))

    assert stream.skip((1 << 40) - 5)
    assert stream.take(10) == b"xxxxx"


def test_bytes_that_are_read_are_counted() -> None:
    with pytest.raises(LimitReached, match="more than 1000 bytes"):
        Stream(reader(DATA), len(DATA), report(1_000)).take(2_000)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "deflate": lambda data: zlib.compress(data)[2:-4],
}


@pytest.mark.parametrize("form", PACKERS)
def test_what_is_inflated_can_be_read_from_anywhere(form: str) -> None:
    packed = PACKERS[form](DATA)
    inflated = Inflated(reader(packed), len(packed), form, report())

    assert inflated.read(100_000, 300) == DATA[100_000:100_300]
    assert inflated.read(0, 70_000) == DATA[:70_000]
    assert inflated.read(len(DATA) - 5, 100) == DATA[-5:]
    assert inflated.read(len(DATA) + 5, 100) == b""


@pytest.mark.parametrize("form", PACKERS)
def test_what_is_broken_ends_there(form: str) -> None:
    packed = PACKERS[form](DATA)
    inflated = Inflated(reader(packed[:-20]), len(packed) - 20, form, report())

    assert DATA.startswith(inflated.read(0, len(DATA) + 1))
    assert Inflated(reader(b"\xff" * 50), 50, form, report()).read(0, 10) == b""


@pytest.mark.parametrize("form", PACKERS)
def test_a_bomb_costs_what_it_may(form: str) -> None:
    packed = PACKERS[form](bytes(32 << 20))

    with pytest.raises(LimitReached):
        Inflated(reader(packed), len(packed), form, report(1 << 20)).read(16 << 20, 10)
