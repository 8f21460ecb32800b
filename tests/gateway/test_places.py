"""Who is asked, who is left alone, who waits: the live state of those who serve models."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from steelyard.errors import Overloaded
from steelyard.gateway.places import BreakerRules, Place, Places, RetryBudget

RULES = BreakerRules(failures=3, seconds=10.0, most_seconds=60.0)


def _place(most: int | None = None, waiting: int = 100, patience: float = 30.0) -> Place:
    place = Place("w/p", RULES)
    place.bound(most, waiting, patience)
    return place


async def _turn() -> None:
    """Everybody who can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


# The breaker. (A test tells the time, in seconds.)


def _until_open(place: Place, now: float = 100.0) -> None:
    for _ in range(RULES.failures):
        place.failed(now)


def test_a_place_can_be_asked_until_it_has_failed_so_often_in_a_row() -> None:
    place = _place()
    for _ in range(2):
        place.failed(100.0)
        assert place.wait_for(100.0) == 0
    place.succeeded()
    for _ in range(2):
        place.failed(100.0)
    assert place.wait_for(100.0) == 0
    place.failed(100.0)
    assert place.wait_for(100.0) > 0


def test_it_is_left_alone_for_about_as_long_as_the_rules_say() -> None:
    found = set()
    for _ in range(200):
        place = _place()
        _until_open(place)
        found.add(round(place.wait_for(100.0), 3))
        assert place.wait_for(107.9) > 0
        assert place.wait_for(112.1) == 0
    assert 8 <= min(found) < 9
    assert 11 < max(found) <= 12


async def test_then_one_request_at_a_time_tries_it_out() -> None:
    place = _place()
    _until_open(place)
    assert place.wait_for(120.0) == 0
    await place.enter()
    assert place.wait_for(120.0) > 0, "somebody tries already"
    place.leave()  # that one has left without a word
    assert place.wait_for(120.0) == 0
    await place.enter()
    place.succeeded()
    assert place.wait_for(120.0) == 0, "all may come, though the one that has tried is still under way"
    place.leave()
    assert (place.in_flight, place.failures, place.opened) == (0, 0, 0)


async def test_each_try_that_fails_doubles_the_time_up_to_a_bound() -> None:
    place, now, waits = _place(), 100.0, []
    _until_open(place, now)
    for _ in range(8):
        wait = place.wait_for(now)
        waits.append(wait)
        now += wait + 0.001
        await place.enter()
        place.failed(now)
        place.leave()
    for number, wait in enumerate(waits):
        expected = min(10.0 * 2**number, 60.0)
        assert 0.8 * expected <= wait <= 1.2 * expected + 0.001, number
    place.succeeded()
    _until_open(place, now)
    assert 7.9 <= place.wait_for(now) <= 12


async def test_a_breaker_that_opens_anew_during_a_try_can_be_tried_again_in_its_time() -> None:
    """A stream that has been begun long ago says nothing about who tries now."""
    place = _place()
    _until_open(place)
    await place.enter()
    place.succeeded()  # a stream has begun, and goes on for long
    _until_open(place, 200.0)
    assert place.wait_for(220.0) == 0
    place.leave()


def test_who_says_for_how_long_is_left_alone_for_so_long() -> None:
    place = _place()
    place.hold(105.0)
    place.hold(103.0)
    assert place.wait_for(100.0) == 5.0
    assert place.wait_for(105.0) == 0
    assert place.opened == 0
    place.hold(105.0)
    _until_open(place)
    assert place.wait_for(100.0) > 5


# Requests at once, and those that wait.


async def test_without_a_bound_everybody_comes_in() -> None:
    place = _place()
    for _ in range(1000):
        await place.enter()
    assert (place.in_flight, place.full) == (1000, False)


async def _waiting(place: Place, names: str, came: list[str]) -> list[asyncio.Task[None]]:
    async def one(name: str) -> None:
        await place.enter()
        came.append(name)

    tasks = [asyncio.create_task(one(name)) for name in names]
    await _turn()
    return tasks


async def test_who_does_not_fit_waits_in_the_order_of_coming() -> None:
    place, came = _place(2), list[str]()
    tasks = await _waiting(place, "abcde", came)
    assert (came, place.in_flight, place.waiting, place.full) == (["a", "b"], 2, 3, True)
    place.leave()
    await _turn()
    assert (came, place.in_flight, place.waiting) == (["a", "b", "c"], 2, 2)
    place.leave()
    place.leave()
    await _turn()
    assert (came, place.in_flight, place.waiting) == (["a", "b", "c", "d", "e"], 2, 0)
    place.leave()
    place.leave()
    assert (place.in_flight, place.full) == (0, False)
    await asyncio.gather(*tasks)


async def test_nobody_overtakes_those_that_wait() -> None:
    place, came = _place(1), list[str]()
    tasks = await _waiting(place, "ab", came)
    place.leave()  # the place is b's, though b does not know it yet
    tasks += await _waiting(place, "c", came)
    assert (came, place.in_flight, place.waiting) == (["a", "b"], 1, 1)
    place.leave()
    await asyncio.gather(*tasks)
    assert came == ["a", "b", "c"]


async def test_only_so_many_wait() -> None:
    place, came = _place(1, waiting=2), list[str]()
    tasks = await _waiting(place, "abc", came)
    with pytest.raises(Overloaded) as refused:
        await place.enter()
    assert refused.value.headers == {"Retry-After": "1"}
    assert "w/p" in refused.value.message
    assert (place.in_flight, place.waiting) == (1, 2)
    for _ in "abc":
        place.leave()
        await _turn()
    await asyncio.gather(*tasks)
    assert place.in_flight == 0


async def test_where_nobody_may_wait_who_does_not_fit_is_refused() -> None:
    place = _place(1, waiting=0)
    await place.enter()
    with pytest.raises(Overloaded):
        await place.enter()
    place.leave()
    await place.enter()


async def test_nobody_waits_longer_than_it_may() -> None:
    place = _place(1, patience=0.05)
    await place.enter()
    begun = time.monotonic()
    with pytest.raises(Overloaded) as refused:
        await place.enter()
    assert 0.04 < time.monotonic() - begun < 2
    assert "0.05 s" in refused.value.message
    assert (place.in_flight, place.waiting) == (1, 0)
    place.leave()
    assert place.in_flight == 0


async def test_who_leaves_the_queue_leaves_its_place_in_it() -> None:
    place, came = _place(1, waiting=2), list[str]()
    tasks = await _waiting(place, "abc", came)
    tasks[1].cancel()
    await _turn()
    assert place.waiting == 1
    tasks += await _waiting(place, "d", came)
    for _ in range(3):
        place.leave()
        await _turn()
    assert (came, place.in_flight) == (["a", "c", "d"], 0)


async def test_a_place_that_is_given_to_who_has_just_left_is_given_on() -> None:
    place, came = _place(1), list[str]()
    tasks = await _waiting(place, "abc", came)
    place.leave()  # b has its place now, but does not know it yet
    tasks[1].cancel()
    await _turn()
    assert (came, place.in_flight, place.waiting) == (["a", "c"], 1, 0)
    place.leave()
    assert place.in_flight == 0


async def _at_the_same_moment(seconds: float, act: Callable[[], Any]) -> None:
    """Calls `act` in that turn of the loop in which a timer of `seconds` fires that was set right before, and first."""
    loop = asyncio.get_running_loop()
    loop.call_later(seconds / 2, act)
    time.sleep(seconds * 1.5)  # noqa: ASYNC251 - both are due when the loop looks again
    await _turn()


async def test_a_place_that_is_given_as_the_time_is_over_is_not_lost() -> None:
    place = _place(1, patience=0.05)
    await place.enter()
    task = asyncio.create_task(place.enter())
    await _turn()
    await _at_the_same_moment(0.05, place.leave)
    await task
    assert (place.in_flight, place.waiting) == (1, 0)
    place.leave()
    await asyncio.wait_for(place.enter(), 1)


async def test_a_higher_bound_lets_in_who_waits() -> None:
    place, came = _place(1), list[str]()
    tasks = await _waiting(place, "abcde", came)
    place.bound(3, 100, 30.0)
    await _turn()
    assert (came, place.in_flight, place.waiting) == (["a", "b", "c"], 3, 2)
    place.bound(None, 100, 30.0)
    await asyncio.gather(*tasks)
    assert (place.in_flight, place.waiting) == (5, 0)


async def test_a_lower_bound_holds_as_soon_as_there_are_fewer() -> None:
    place, came = _place(3), list[str]()
    tasks = await _waiting(place, "abcd", came)
    place.bound(1, 100, 30.0)
    place.leave()
    place.leave()
    await _turn()
    assert (came, place.in_flight) == (["a", "b", "c"], 1)
    place.leave()
    await asyncio.gather(*tasks)
    assert place.in_flight == 1


async def test_however_they_come_and_go_there_are_never_too_many() -> None:
    place, most, inside, peak = _place(3, waiting=10_000), 3, 0, 0

    async def one(number: int) -> None:
        nonlocal inside, peak
        await place.enter()
        inside += 1
        peak = max(peak, inside)
        try:
            await asyncio.sleep(0.0005 * (number % 3))
        finally:
            inside -= 1
            place.leave()

    tasks = [asyncio.create_task(one(number)) for number in range(300)]
    await _turn()
    for task in tasks[::7]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert peak == most
    assert (place.in_flight, place.waiting) == (0, 0)


# Retries.


def test_a_budget_has_some_retries_and_a_share_of_the_requests() -> None:
    budget = RetryBudget(0.2)
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(4):
        budget.asked()
    assert not budget.take()
    budget.asked()
    assert (budget.take(), budget.take()) == (True, False)
    for _ in range(1000):
        budget.asked()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False], "what is saved up has a bound"


# All of them.


async def test_places_outlive_the_records_that_name_them() -> None:
    places = Places(RULES, 0.2)
    place = places.place("w/p")
    assert places.place("w/p") is place
    assert places.place("w/q") is not place
    assert places.budget("w/m") is places.budget("w/m")
    assert places.budget("w/m") is not places.budget("w/n")


async def test_what_is_told_of_them() -> None:
    places = Places(RULES, 0.2)
    closed, opened = places.place("w/closed"), places.place("w/open")
    closed.bound(1, 5, 30.0)
    await closed.enter()
    waiting = asyncio.create_task(closed.enter())
    await _turn()
    _until_open(opened, 100.0)
    assert (places.in_flight(), places.queued()) == (1.0, 1.0)
    assert places.breaker_states(101.0) == {"w/closed": 0.0, "w/open": 2.0}
    assert places.breaker_states(150.0) == {"w/closed": 0.0, "w/open": 1.0}
    closed.leave()
    await waiting
