"""Answers that are kept: for which requests, for how long, and in how much space."""

from typing import Any

import pytest

from steelyard.gateway.cache import CachedAnswer, ResponseCache, key_of
from steelyard.gateway.meter import Usage
from tests.gateway.clocks import Clock

ASKED: dict[str, Any] = {
    "workspace": "w",
    "key": "k",
    "route": "w/m",
    "tag": "model-1.4",
    "dialect": "openai.chat",
    "body": {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0},
}


def answer(body: bytes = b"{}") -> CachedAnswer:
    return CachedAnswer(body, ((b"content-type", b"application/json"),), Usage(3, 4), "w/m", "w/p")


def opened(most_bytes: int = 1_000_000) -> tuple[ResponseCache, Clock]:
    clock = Clock()
    return ResponseCache(most_bytes, clock.now), clock


def test_the_same_request_has_the_same_key_whatever_the_order_of_its_fields() -> None:
    body = ASKED["body"]
    turned = {name: body[name] for name in reversed(body)}
    turned["messages"] = [{"content": "hello", "role": "user"}]
    assert key_of(**ASKED) == key_of(**{**ASKED, "body": turned})


@pytest.mark.parametrize(
    "other",
    [
        {"workspace": "w2"},
        {"key": None},
        {"key": "other"},
        {"route": "w/other"},
        {"tag": "model-1.5"},
        {"dialect": "anthropic.messages"},
        {"body": {**ASKED["body"], "temperature": 1}},
        {"body": {**ASKED["body"], "temperature": 0.0}},
        {"body": {**ASKED["body"], "messages": [{"role": "user", "content": "hello "}]}},
        {"body": {**ASKED["body"], "user": "somebody"}},
        {"workspace": "w\x00", "key": "k"},
    ],
)
def test_whatever_could_make_another_answer_makes_another_key(other: dict[str, Any]) -> None:
    assert key_of(**ASKED) != key_of(**{**ASKED, **other})


def test_an_answer_is_kept_for_its_time_and_no_longer() -> None:
    cache, clock = opened()
    cache.put(b"a", answer(b"one"), 10)
    clock.pass_(9.999)
    assert cache.get(b"a") == answer(b"one")
    clock.pass_(0.001)
    assert cache.get(b"a") is None
    assert (len(cache), cache.bytes, cache.hits, cache.misses) == (0, 0, 1, 1)


def test_a_newer_answer_takes_the_place_of_the_older_one() -> None:
    cache, clock = opened()
    cache.put(b"a", answer(b"one"), 10)
    size = cache.bytes
    clock.pass_(9)
    cache.put(b"a", answer(b"two"), 10)
    clock.pass_(9)
    assert cache.get(b"a") == answer(b"two")
    assert (len(cache), cache.bytes) == (1, size)


def test_those_that_were_asked_for_least_lately_go_when_space_is_short() -> None:
    cache, _ = opened(most_bytes=50_000)
    for key in (b"a", b"b", b"c"):
        cache.put(key, answer(bytes(14_000)), 10)
    assert cache.get(b"a") is not None
    cache.put(b"d", answer(bytes(14_000)), 10)
    assert [cache.get(key) is not None for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert cache.evicted == 1


def test_all_space_is_never_more_than_what_was_said() -> None:
    cache, _ = opened(most_bytes=30_000)
    for number in range(500):
        cache.put(b"%d" % number, answer(bytes(number * 37 % 9000)), 10)
        assert cache.bytes <= 30_000
    for number in range(500):
        cache.get(b"%d" % number)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_an_answer_that_is_larger_than_all_of_the_space_is_not_kept_and_pushes_nothing_out() -> None:
    cache, _ = opened(most_bytes=10_000)
    cache.put(b"a", answer(), 10)
    cache.put(b"b", answer(bytes(10_000)), 10)
    assert cache.get(b"a") is not None
    assert cache.get(b"b") is None


@pytest.mark.parametrize("seconds", [0, -1])
def test_without_time_nothing_is_kept(seconds: float) -> None:
    cache, _ = opened()
    cache.put(b"a", answer(), seconds)
    assert len(cache) == 0


def test_without_space_nothing_is_kept() -> None:
    cache, _ = opened(most_bytes=0)
    cache.put(b"a", answer(b""), 10)
    assert cache.get(b"a") is None
