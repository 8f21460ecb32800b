"""A second request beside a slow one: the first that works is taken, and the other ends."""

import asyncio
import time
from typing import Any

from steelyard.gateway.attempts import Opened
from steelyard.gateway.places import Place
from steelyard.gateway.table import Candidate
from tests.gateway import faults
from tests.gateway.asked import candidate, target
from tests.gateway.tries import RULES, House, house, requests_of
from tests.gateway.upstreams import Behaviour, Upstream, until


async def _hedged(home: House, model: Candidate) -> tuple[Opened, float]:
    begun = time.monotonic()
    opened = await home.open(model)
    return opened, time.monotonic() - begun


def _pair(engines: list[Upstream], seconds: float = 0.15, **fields: Any) -> Candidate:
    one, two = (
        target(engine.url, Place(name, RULES), key=name, provider=name)
        for engine, name in zip(engines[:2], "ab", strict=True)
    )
    return candidate(one, two, **{"routing": {"hedge_seconds": seconds}, **fields})


async def test_the_first_that_answers_is_taken_and_the_others_work_ended(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(5)
    model = _pair(engines)
    async with house() as home:
        opened, seconds = await _hedged(home, model)
        assert (opened.target.provider, 0.14 < seconds < 2) == ("b", True)
        home.attempts.closed(opened)
        await asyncio.to_thread(until, lambda: engines[0].requests[0].left_at is not None)
        assert [one.place.in_flight for one in model.targets] == [0, 0]
        assert model.targets[0].place.failures == 0, "to be slow is no failure"


async def test_a_slow_one_that_is_first_all_the_same_is_taken(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(0.4)
    engines[1].always = faults.late(5)
    async with house() as home:
        opened, seconds = await _hedged(home, _pair(engines))
        assert (opened.target.provider, 0.3 < seconds < 2) == ("a", True)
        home.attempts.closed(opened)
        await asyncio.to_thread(until, lambda: engines[1].requests[0].left_at is not None)


async def test_one_that_answers_in_time_has_no_second(engines: list[Upstream]) -> None:
    async with house() as home:
        for _ in range(5):
            opened, _ = await _hedged(home, _pair(engines))
            home.attempts.closed(opened)
        await asyncio.sleep(0.3)
    assert requests_of(engines)[:2] == [5, 0]


async def test_where_one_fails_the_other_is_waited_for(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(0.5)
    engines[1].always = faults.failing(500)
    async with house() as home:
        opened, _ = await _hedged(home, _pair(engines, routing={"hedge_seconds": 0.1, "retries": 0}))
        assert opened.target.provider == "a"
        home.attempts.closed(opened)


async def test_where_both_fail_the_first_failure_is_told(engines: list[Upstream]) -> None:
    async def later(exchange: Any) -> None:
        await exchange.wait(0.3)
        await faults.failing(503).run(exchange)

    engines[0].always = Behaviour("late failure", later)
    engines[1].always = faults.failing(500)
    model = _pair(engines, routing={"hedge_seconds": 0.1, "retries": 0})
    async with house() as home:
        failed = await home.fails(model)
        assert failed.status == 500
        assert [one.place.in_flight for one in model.targets] == [0, 0]


async def test_a_request_that_is_at_fault_itself_is_not_waited_for(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(5)
    engines[1].always = faults.failing(400)
    async with house() as home:
        begun = time.monotonic()
        failed = await home.fails(_pair(engines))
        assert (failed.status, time.monotonic() - begun < 2) == (400, True)
        await asyncio.to_thread(until, lambda: engines[0].requests[0].left_at is not None)


async def test_a_second_request_is_a_retry_of_the_budget(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(0.3)
    model = _pair(engines, 0.05, share=0.0)
    while model.budget.take():
        pass
    async with house() as home:
        opened, _ = await _hedged(home, model)
        assert opened.target.provider == "a"
        home.attempts.closed(opened)
    assert requests_of(engines)[1] == 0


async def test_who_leaves_ends_both(engines: list[Upstream]) -> None:
    engines[0].always = engines[1].always = faults.late(5)
    model = _pair(engines, 0.05)
    async with house() as home:
        asking = asyncio.create_task(home.ask(model))
        await asyncio.to_thread(until, lambda: requests_of(engines)[:2] == [1, 1])
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.to_thread(until, lambda: all(engine.open == 0 for engine in engines[:2]))
        assert [one.place.in_flight for one in model.targets] == [0, 0]
