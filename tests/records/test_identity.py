"""Ids and times."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.records.identity import record_id, rising_clock

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _number(text: str) -> int:
    number = 0
    for digit in text:
        number = number * 58 + ALPHABET.index(digit)
    return number


@given(st.binary(min_size=16, max_size=16))
def test_an_id_holds_all_of_its_randomness(random: bytes) -> None:
    prefix, _, digits = record_id("model-provider", random).rpartition("-")
    assert prefix == "model-provider"
    assert 1 <= len(digits) <= 22
    assert _number(digits) == int.from_bytes(random, "big")


@pytest.mark.parametrize(
    ("random", "digits"), [(bytes(16), "1"), (bytes(15) + b"\x3a", "21"), (b"\xff" * 16, "YcVfxkQb6JRzqk5kF2tNLv")]
)
def test_known_ids(random: bytes, digits: str) -> None:
    assert record_id("model", random) == f"model-{digits}"


def _moment(text: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    return datetime.fromisoformat(text)


def test_a_clock_says_the_time() -> None:
    at = datetime(2026, 2, 28, 23, 59, 59, 7, tzinfo=UTC)
    assert rising_clock(at.timestamp)() == "2026-02-28T23:59:59.000007Z"


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=30))
def test_a_clock_rises_whatever_the_hands_do(seconds: list[float]) -> None:
    hands = iter(seconds)
    now = rising_clock(lambda: next(hands))
    said = [now() for _ in seconds]
    assert said == sorted(set(said))  # as text
    moments = list(map(_moment, said))
    assert moments == sorted(set(moments))  # as time
