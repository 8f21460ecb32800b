"""Who is asked, in which order, how often, and when nobody is: the gateway's tries, against real engines."""

import asyncio
import time
from collections import Counter

import pytest

from steelyard.errors import (
    InvalidInput,
    NoProvider,
    NotServed,
    Overloaded,
    RateLimited,
    SecretMissing,
    UpstreamFailure,
    UpstreamTimeout,
)
from steelyard.gateway.attempts import AttemptFailed
from steelyard.gateway.places import BreakerRules, Place
from steelyard.gateway.table import Candidate
from steelyard.gateway.timing import Patience
from steelyard.gateway.trials import moves_on
from tests.gateway import faults
from tests.gateway.asked import candidate, target
from tests.gateway.tries import OUT_OF_MEMORY, QUICK, RULES, at, house, requests_of
from tests.gateway.upstreams import Behaviour, Upstream, until

# The order.


async def test_the_order_of_the_record_is_the_order_of_the_tries(engines: list[Upstream]) -> None:
    model = candidate(*map(at, engines))
    async with house() as home:
        for _ in range(3):
            await home.ask(model)
        assert requests_of(engines) == [3, 0, 0]
        engines[0].always = faults.failing(500)
        engines[1].always = faults.failing(503)
        asked = await home.ask(model)
        assert (requests_of(engines), asked.attempts) == ([4, 1, 1], 3)


def _firsts(model: Candidate, times: int = 4000) -> Counter[str]:
    return Counter(model.order()[0].provider for _ in range(times))


def test_weights_are_shares() -> None:
    model = candidate(
        *(target(provider=name, weight=weight) for name, weight in (("a", 6), ("b", 3), ("c", 1), ("d", 0))),
        routing={"choice": "weighted"},
    )
    firsts = _firsts(model)
    assert 2200 < firsts["a"] < 2600
    assert 1050 < firsts["b"] < 1350
    assert 300 < firsts["c"] < 500
    assert firsts["d"] == 0
    for _ in range(50):
        order = [one.provider for one in model.order()]
        assert sorted(order) == ["a", "b", "c", "d"], "each is tried once"
        assert order[-1] == "d", "who has no share is there for the worst case"


def test_who_has_least_to_do_for_its_weight_is_first() -> None:
    model = candidate(
        *(target(provider=name, place=Place(name, RULES), weight=weight) for name, weight in (("a", 1), ("b", 2))),
        routing={"choice": "least_outstanding"},
    )
    one, two = model.targets
    one.place.in_flight, two.place.in_flight = 2, 3
    assert [target.provider for target in model.order()] == ["b", "a"]
    two.place.in_flight = 5
    assert [target.provider for target in model.order()] == ["a", "b"]
    two.place.in_flight = 4
    assert 1600 < _firsts(model)["a"] < 2400, "where it is equal, chance decides"


@pytest.mark.parametrize("choice", [None, "ordered", "weighted", "least_outstanding"])
def test_who_is_not_well_comes_last(choice: str | None) -> None:
    states = {"a": "ERROR", "b": "READY", "c": "LOST", "d": "UNKNOWN"}
    model = candidate(
        *(target(provider=name, status=status) for name, status in states.items()), routing={"choice": choice}
    )
    for _ in range(20):
        order = [one.provider for one in model.order()]
        assert sorted(order[:2]) == ["b", "d"]
        assert sorted(order[2:]) == ["a", "c"]


async def test_requests_go_where_fewest_are_under_way(engines: list[Upstream]) -> None:
    model = candidate(*map(at, engines, "abc"), routing={"choice": "least_outstanding"})
    for engine in engines:
        engine.always = faults.late(0.2)
    async with house() as home:
        await asyncio.gather(*(home.ask(model) for _ in range(12)))
        assert requests_of(engines) == [4, 4, 4]
    assert [one.place.in_flight for one in model.targets] == [0, 0, 0]


async def test_who_is_full_is_passed_over_while_another_has_room(engines: list[Upstream]) -> None:
    model = candidate(at(engines[0], "a", limits={"max_concurrency": 1}), at(engines[1], "b"))
    engines[0].always = faults.late(0.2)
    async with house() as home:
        await asyncio.gather(*(home.ask(model) for _ in range(4)))
    assert requests_of(engines)[:2] == [1, 3]


# Again, and elsewhere.


@pytest.mark.parametrize(
    "fault",
    [
        *(faults.RESET, faults.NO_ANSWER, faults.NOT_HTTP, faults.HTML, faults.BAD_JSON, faults.STALL),
        *map(faults.failing, (401, 403, 404, 408, 409, 429, 500, 502, 503, 504, 529)),
    ],
    ids=str,
)
async def test_what_fails_at_one_is_answered_by_the_next_and_nobody_notices(
    engines: list[Upstream], fault: Behaviour
) -> None:
    engines[0].always = fault
    async with house() as home:
        model = candidate(at(engines[0], "a"), at(engines[1], "b"), retries=1)
        assert (await home.ask(model)).attempts == 2
        model = candidate(at(engines[0], "a"), at(engines[1], "b"), retries=0)
        await home.fails(model)
    assert [one.place.in_flight for one in model.targets] == [0, 0]


@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_stream_that_breaks_off_before_its_first_token_is_begun_elsewhere(
    engines: list[Upstream], pieces: int
) -> None:
    for fault in (faults.cut_after(pieces), faults.stalling(pieces), OUT_OF_MEMORY):
        engines[0].always = fault
        async with house() as home:
            model = candidate(at(engines[0], "a"), at(engines[1], "b"))
            opened = await home.open(model, stream=True)
            assert opened.target.provider == "b"
            assert "Grüße".encode() in opened.body or "Gr\\u00fc" in opened.body.decode()
            home.attempts.closed(opened)


async def test_a_request_that_is_at_fault_itself_is_not_tried_again(engines: list[Upstream]) -> None:
    async with house() as home:
        for status in (400, 405, 413, 418, 422):
            engines[0].always = faults.failing(status)
            failed = await home.fails(candidate(at(engines[0], "a"), at(engines[1], "b")))
            assert (failed.final, failed.status, failed.upstream_status) == (True, status, status)
    assert requests_of(engines)[1] == 0


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_an_upstream_says_of_our_key_is_not_the_callers(engines: list[Upstream], status: int) -> None:
    engines[0].always = faults.failing(status)
    async with house() as home:
        failed = await home.fails(candidate(at(engines[0]), retries=0))
    assert (failed.status, failed.upstream_status, failed.final) == (502, status, False)
    assert str(status) in failed.error.message


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_a_request_is_tried_again_as_often_as_the_record_says(engines: list[Upstream], retries: int) -> None:
    engines[0].always = faults.failing(500)
    rules = BreakerRules(failures=100)
    place = Place("a", rules)
    async with house() as home:
        model = candidate(target(engines[0].url, place, QUICK), retries=9, routing={"retries": retries})
        await home.fails(model)
        assert len(engines[0].requests) == retries + 1
        engines[0].settle()
        engines[0].always = faults.failing(500)
        await home.fails(candidate(target(engines[0].url, place, QUICK), retries=retries))
        assert len(engines[0].requests) == retries + 1


async def test_retries_are_a_share_of_the_requests(engines: list[Upstream]) -> None:
    """In an outage, a gateway that tries all of them again makes it worse."""
    engines[0].always = faults.failing(500)
    async with house() as home:
        place = Place("a", BreakerRules(failures=10_000))
        model = candidate(target(engines[0].url, place, QUICK), retries=1, share=0.1)
        for _ in range(60):
            await home.fails(model)
    assert 70 <= len(engines[0].requests) <= 60 + 10 + 7


async def test_a_request_that_reached_nobody_takes_nothing_from_the_budget(engines: list[Upstream]) -> None:
    engines[0].refuse()
    async with house() as home:
        place = Place("a", BreakerRules(failures=10_000))
        model = candidate(target(engines[0].url, place, QUICK), at(engines[1], "b"), retries=1, share=0.0)
        for _ in range(30):
            await home.ask(model)
    assert requests_of(engines)[1] == 30


async def test_all_tries_together_have_the_time_of_one_request(engines: list[Upstream]) -> None:
    engines[0].always = faults.STALL
    patience = Patience(connect=1.0, first_byte=0.3, between_chunks=0.3, total=0.5)
    async with house() as home:
        model = candidate(target(engines[0].url, Place("a", BreakerRules(failures=100)), patience), retries=10)
        begun = time.monotonic()
        failed = await home.fails(model)
        assert time.monotonic() - begun < 1.2
        assert isinstance(failed.error, UpstreamTimeout)
        assert failed.status == 504


async def test_when_the_time_is_over_nobody_else_is_asked_and_blamed_for_it(engines: list[Upstream]) -> None:
    engines[0].always = faults.STALL
    patience = Patience(connect=1.0, first_byte=5.0, between_chunks=5.0, total=0.3)
    async with house() as home:
        other = target(engines[1].url, Place("b", RULES), patience)
        failed = await home.fails(candidate(target(engines[0].url, Place("a", RULES), patience), other))
        assert failed.status == 504
        assert (other.place.failures, engines[1].requests) == (0, [])


async def test_the_same_one_is_asked_again_after_a_while_that_doubles(
    engines: list[Upstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steelyard.gateway.trials.random", lambda: 1.0)
    engines[0].always = faults.failing(500)
    async with house() as home:
        await home.fails(candidate(at(engines[0]), retries=2))
    first, second, third = (one.at for one in engines[0].requests)
    assert 0.19 < second - first < 0.39
    assert 0.39 < third - second < 0.9


async def test_a_connection_that_was_closed_meanwhile_is_no_failure(engines: list[Upstream]) -> None:
    notes: list[tuple[str, bool]] = []
    async with house(noted=notes) as home:
        model = candidate(at(engines[0], "a"), retries=0)
        for _ in range(5):
            await home.ask(model)
            # The engine ends the connection with the next request on it, as one that has been idle for long does.
            engines[0].next(faults.NO_ANSWER)
            asked = await home.ask(model)
            assert asked.attempts == 1
    assert model.targets[0].place.failures == 0
    assert set(notes) == {("a", True)}


async def test_who_leaves_ends_the_upstreams_work(engines: list[Upstream]) -> None:
    async with house() as home:
        for fault, seconds in ((faults.late(5), 0.1), (faults.stalling(1), 0.1)):
            engines[0].settle()
            engines[0].always = fault
            model = candidate(target(engines[0].url, Place("a", RULES)))
            asking = asyncio.create_task(home.open(model, stream=True))
            await asyncio.sleep(seconds)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await asyncio.to_thread(until, lambda: engines[0].requests[0].left_at is not None)
            assert (model.targets[0].place.in_flight, model.targets[0].place.failures) == (0, 0)
            assert engines[0].open == 0


async def test_who_leaves_while_a_closed_connection_is_replaced_leaves_nothing_behind(engines: list[Upstream]) -> None:
    async with house() as home:
        model = candidate(target(engines[0].url, Place("a", RULES)))
        await home.ask(model)
        engines[0].next(faults.NO_ANSWER, faults.late(5))
        asking = asyncio.create_task(home.ask(model))
        await asyncio.to_thread(engines[0].wait_for, 3)
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.to_thread(until, lambda: engines[0].open == 0)
        assert model.targets[0].place.in_flight == 0


# Other models.


def test_another_model_may_be_tried_unless_the_request_is_at_fault() -> None:
    def failed(final: bool) -> AttemptFailed:
        return AttemptFailed(UpstreamFailure("x"), 502, "x", final=final)

    for failure in (
        failed(False),
        NotServed("x"),
        NoProvider("x"),
        Overloaded("x"),
        SecretMissing("x"),
        RateLimited("x"),
    ):
        assert moves_on(failure)
    assert not moves_on(failed(True))
    assert not moves_on(InvalidInput([]))
