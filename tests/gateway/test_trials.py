"""Who is asked, in which order, how often, and when nobody is: the gateway's tries, against real engines."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

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
from steelyard.gateway.attempts import AttemptFailed, Attempts, Opened, retry_after
from steelyard.gateway.calls import Call
from steelyard.gateway.headers import HeaderLists
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.places import BreakerRules, Place
from steelyard.gateway.pool import PoolRules
from steelyard.gateway.table import Candidate, Target
from steelyard.gateway.timing import Patience
from steelyard.gateway.trials import Trials, moves_on
from tests.gateway import faults
from tests.gateway.asked import CHAT, call, candidate, target
from tests.gateway.peers import pooled
from tests.gateway.replies import data
from tests.gateway.upstreams import Behaviour, Upstream, until, upstream

RULES = BreakerRules(failures=3, seconds=0.4, most_seconds=2.0)
_OUT_OF_MEMORY = faults.mid_stream(data({"error": {"message": "out of memory"}}), after=1, more=False)
QUICK = Patience(connect=2.0, first_byte=0.4, between_chunks=0.4, total=20.0)


class House:
    """A gateway's tries, and what providers were noted for."""

    def __init__(self, trials: Trials, attempts: Attempts) -> None:
        self.trials, self.attempts = trials, attempts

    async def open(self, model: Candidate, *, stream: bool = False) -> Opened:
        """One request that has begun to be answered."""
        return await self.trials.open(_now({**CHAT, "stream": stream}), model)

    async def ask(self, model: Candidate) -> Call:
        """One that is over."""
        asked = _now(CHAT)
        self.attempts.closed(await self.trials.open(asked, model))
        return asked

    async def fails(self, model: Candidate) -> AttemptFailed:
        """One that does not work."""
        with pytest.raises(AttemptFailed) as failed:
            await self.ask(model)
        return failed.value


def _now(body: dict[str, Any]) -> Call:
    return call(body, started=asyncio.get_running_loop().time())


@asynccontextmanager
async def house(patience: float = 5.0, noted: list[tuple[str, bool]] | None = None) -> AsyncIterator[House]:
    notes = [] if noted is None else noted
    async with pooled(PoolRules()) as pool:
        attempts = Attempts(
            pool, HeaderLists(), GatewayMetrics(), 1 << 20, lambda provider, well: notes.append((provider, well))
        )
        yield House(Trials(attempts, patience), attempts)


@pytest.fixture(scope="module")
def _engines() -> Iterator[list[Upstream]]:
    with upstream() as one, upstream() as two, upstream() as three:
        yield [one, two, three]


@pytest.fixture
def engines(_engines: list[Upstream]) -> list[Upstream]:
    for engine in _engines:
        engine.settle()
        engine.close_idle()
    return _engines


def _at(engine: Upstream, name: str = "default/p", **fields: Any) -> Target:
    return target(engine.url, Place(name, RULES), QUICK, key=name, provider=name, **fields)


def _asked(engines: list[Upstream]) -> list[int]:
    return [len(engine.requests) for engine in engines]


# The order.


async def test_the_order_of_the_record_is_the_order_of_the_tries(engines: list[Upstream]) -> None:
    model = candidate(*map(_at, engines))
    async with house() as home:
        for _ in range(3):
            await home.ask(model)
        assert _asked(engines) == [3, 0, 0]
        engines[0].always = faults.failing(500)
        engines[1].always = faults.failing(503)
        asked = await home.ask(model)
        assert (_asked(engines), asked.attempts) == ([4, 1, 1], 3)


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
    model = candidate(*map(_at, engines, "abc"), routing={"choice": "least_outstanding"})
    for engine in engines:
        engine.always = faults.late(0.2)
    async with house() as home:
        await asyncio.gather(*(home.ask(model) for _ in range(12)))
        assert _asked(engines) == [4, 4, 4]
    assert [one.place.in_flight for one in model.targets] == [0, 0, 0]


async def test_who_is_full_is_passed_over_while_another_has_room(engines: list[Upstream]) -> None:
    model = candidate(_at(engines[0], "a", limits={"max_concurrency": 1}), _at(engines[1], "b"))
    engines[0].always = faults.late(0.2)
    async with house() as home:
        await asyncio.gather(*(home.ask(model) for _ in range(4)))
    assert _asked(engines)[:2] == [1, 3]


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
        model = candidate(_at(engines[0], "a"), _at(engines[1], "b"), retries=1)
        assert (await home.ask(model)).attempts == 2
        model = candidate(_at(engines[0], "a"), _at(engines[1], "b"), retries=0)
        await home.fails(model)
    assert [one.place.in_flight for one in model.targets] == [0, 0]


@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_stream_that_breaks_off_before_its_first_token_is_begun_elsewhere(
    engines: list[Upstream], pieces: int
) -> None:
    for fault in (faults.cut_after(pieces), faults.stalling(pieces), _OUT_OF_MEMORY):
        engines[0].always = fault
        async with house() as home:
            model = candidate(_at(engines[0], "a"), _at(engines[1], "b"))
            opened = await home.open(model, stream=True)
            assert opened.target.provider == "b"
            assert "Grüße".encode() in opened.body or "Gr\\u00fc" in opened.body.decode()
            home.attempts.closed(opened)


async def test_a_request_that_is_at_fault_itself_is_not_tried_again(engines: list[Upstream]) -> None:
    async with house() as home:
        for status in (400, 405, 413, 418, 422):
            engines[0].always = faults.failing(status)
            failed = await home.fails(candidate(_at(engines[0], "a"), _at(engines[1], "b")))
            assert (failed.final, failed.status, failed.upstream_status) == (True, status, status)
    assert _asked(engines)[1] == 0


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_an_upstream_says_of_our_key_is_not_the_callers(engines: list[Upstream], status: int) -> None:
    engines[0].always = faults.failing(status)
    async with house() as home:
        failed = await home.fails(candidate(_at(engines[0]), retries=0))
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
        model = candidate(target(engines[0].url, place, QUICK), _at(engines[1], "b"), retries=1, share=0.0)
        for _ in range(30):
            await home.ask(model)
    assert _asked(engines)[1] == 30


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
        await home.fails(candidate(_at(engines[0]), retries=2))
    first, second, third = (one.at for one in engines[0].requests)
    assert 0.19 < second - first < 0.39
    assert 0.39 < third - second < 0.9


async def test_a_connection_that_was_closed_meanwhile_is_no_failure(engines: list[Upstream]) -> None:
    notes: list[tuple[str, bool]] = []
    async with house(noted=notes) as home:
        model = candidate(_at(engines[0], "a"), retries=0)
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


# Who is left alone.


async def test_who_fails_often_is_left_alone_and_tried_again_in_its_time(engines: list[Upstream]) -> None:
    engines[0].always = faults.failing(500)
    model = candidate(_at(engines[0], "a"), _at(engines[1], "b"), share=1.0)
    async with house() as home:
        for _ in range(10):
            await home.ask(model)
        assert _asked(engines)[:2] == [RULES.failures, 10]
        await asyncio.sleep(RULES.seconds * 1.3)
        engines[0].always = faults.late(0.05)
        await asyncio.gather(*(home.ask(model) for _ in range(10)))
        assert _asked(engines)[0] == RULES.failures + 1, "one tries it out, the others go where it is sure"
        for _ in range(3):
            await home.ask(model)
        assert _asked(engines)[0] == RULES.failures + 4


async def test_where_nobody_else_serves_the_model_requests_wait_for_it_and_one_tries(engines: list[Upstream]) -> None:
    engines[0].always = faults.failing(500)
    model = candidate(_at(engines[0], "a"), retries=0)
    async with house(patience=3.0) as home:
        for _ in range(RULES.failures):
            await home.fails(model)
        engines[0].settle()
        engines[0].always = faults.late(0.3)
        asking = [asyncio.create_task(home.ask(model)) for _ in range(8)]
        await asyncio.sleep(RULES.seconds * 1.2 + 0.15)
        assert len(engines[0].requests) <= 1, "all have waited, one is let out"
        engines[0].always = faults.late(0.0)
        await asyncio.gather(*asking)
        assert len(engines[0].requests) == 8


async def test_who_is_left_alone_for_longer_than_requests_wait_is_a_503_that_says_for_how_long(
    engines: list[Upstream],
) -> None:
    engines[0].always = faults.failing(500)
    place = Place("a", BreakerRules(failures=1, seconds=60.0))
    model = candidate(target(engines[0].url, place, QUICK, provider="default/a"), retries=0)
    async with house(patience=1.0) as home:
        await home.fails(model)
        begun = time.monotonic()
        with pytest.raises(NoProvider) as refused:
            await home.ask(model)
        assert time.monotonic() - begun < 0.5
        assert 48 <= int(refused.value.headers["Retry-After"]) <= 72
        assert "default/a" in refused.value.message
        assert len(engines[0].requests) == 1


async def test_bad_requests_and_full_ones_speak_against_nobody(engines: list[Upstream]) -> None:
    notes: list[tuple[str, bool]] = []
    async with house(noted=notes) as home:
        model = candidate(_at(engines[0], "a"), retries=0)
        for status in (400, 422, 429, 413):
            engines[0].always = faults.failing(status)
            for _ in range(RULES.failures + 1):
                await home.fails(model)
        assert model.targets[0].place.failures == 0
        assert notes == []
        engines[0].always = faults.failing(401)
        await home.fails(model)
        assert notes == [("a", False)]


# Retry-After.


async def test_an_upstream_that_says_when_is_asked_then(engines: list[Upstream]) -> None:
    async with house() as home:
        for status in (429, 503, 529):
            engines[0].settle()
            engines[0].next(faults.failing(status, ("retry-after-ms", "300")))
            model = candidate(_at(engines[0], "a"), retries=1)
            begun = time.monotonic()
            await home.ask(model)
            assert 0.29 < time.monotonic() - begun < 1.5
            assert len(engines[0].requests) == 2
            assert model.targets[0].place.failures == 0


async def test_another_is_asked_at_once_meanwhile(engines: list[Upstream]) -> None:
    engines[0].next(faults.failing(429, ("retry-after", "2")))
    model = candidate(_at(engines[0], "a"), _at(engines[1], "b"))
    async with house() as home:
        begun = time.monotonic()
        for _ in range(3):
            await home.ask(model)
        assert time.monotonic() - begun < 1
    assert _asked(engines)[:2] == [1, 3]


async def test_who_wants_to_be_left_alone_for_too_long_is_not_waited_for(engines: list[Upstream]) -> None:
    engines[0].next(faults.failing(429, ("retry-after", "30")))
    model = candidate(_at(engines[0], "a"), retries=3)
    async with house(patience=1.0) as home:
        begun = time.monotonic()
        failed = await home.fails(model)
        assert time.monotonic() - begun < 0.5
        assert (failed.status, failed.retry_after) == (429, 30.0)
        assert (b"retry-after", b"30") in failed.headers
        with pytest.raises(NoProvider) as refused:
            await home.ask(model)
        assert refused.value.headers == {"Retry-After": "30"}
    assert len(engines[0].requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"3")], 3.0),
        ([(b"retry-after", b" 0 ")], 0.0),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after-ms", b"250"), (b"retry-after", b"9")], 0.25),
        ([(b"retry-after-ms", b"x"), (b"retry-after", b"9")], 9.0),
        ([(b"retry-after", b"Wed, 21 Oct 2015 07:28:00 GMT")], 0.0),
        *(([(b"retry-after", text)], None) for text in (b"", b"soon", b"-3", b"1e3", b"nan", b"inf", b"Wed, 99")),
        ([], None),
    ],
)
def test_how_an_upstream_says_when(headers: list[tuple[bytes, bytes]], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_to_come_is_so_many_seconds_away() -> None:
    then = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100)).encode()
    assert 97 < (retry_after([(b"retry-after", then)]) or 0) <= 100


# Nobody to ask.


async def test_a_model_that_nobody_serves() -> None:
    async with house() as home:
        with pytest.raises(NotServed, match="default/m"):
            await home.ask(candidate())


async def test_a_missing_key_is_a_424_unless_another_serves_it(engines: list[Upstream]) -> None:
    keyless = _at(engines[0], "a", fault="the secret 's' is not in the workspace 'default'")
    async with house() as home:
        with pytest.raises(SecretMissing, match="the secret 's'") as refused:
            await home.ask(candidate(keyless))
        assert refused.value.status == 424
        await home.ask(candidate(keyless, _at(engines[1], "b")))
    assert _asked(engines)[:2] == [0, 1]


async def test_an_address_that_policy_refuses_is_a_502_that_names_no_address() -> None:
    async with house() as home:
        with pytest.raises(UpstreamFailure) as refused:
            await home.ask(candidate(target("http://10.1.2.3/v1")))
        assert refused.value.status == 502
        assert "outbound" in refused.value.message


async def test_a_url_that_no_request_can_go_to_is_a_502(engines: list[Upstream]) -> None:
    for url in ("http://ex\u00e4mple/v1", "http://a:99999999/", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/"):
        async with house() as home:
            with pytest.raises(UpstreamFailure) as refused:
                await home.ask(candidate(target(url)))
            assert refused.value.status == 502
            await home.ask(candidate(target(url), _at(engines[0])))


async def test_too_many_that_wait_are_a_503(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(0.3)
    model = candidate(_at(engines[0], "a", limits={"max_concurrency": 1, "max_queue": 2}), retries=3)
    async with house() as home:
        outcomes = await asyncio.gather(*(home.ask(model) for _ in range(6)), return_exceptions=True)
        refused = [one for one in outcomes if isinstance(one, Overloaded)]
        assert [one.headers for one in refused] == [{"Retry-After": "1"}] * 3
        assert len(engines[0].requests) == 3
        engines[0].settle()
        await home.ask(model)
    assert (model.targets[0].place.in_flight, model.targets[0].place.waiting) == (0, 0)


async def test_who_waits_too_long_for_its_turn_is_a_503(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(0.6)
    limits = {"max_concurrency": 1, "queue_seconds": 0.1}
    model = candidate(target(engines[0].url, Place("a", RULES), limits=limits))
    async with house() as home:
        first = asyncio.create_task(home.ask(model))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            await home.ask(model)
        await first


async def test_a_request_that_failed_and_then_finds_only_queues_ends(engines: list[Upstream]) -> None:
    """It must not go round for ever between one that is full and one that fails."""
    engines[0].always = faults.failing(500)
    full = _at(engines[1], "b", limits={"max_concurrency": 1, "max_queue": 0})
    await full.place.enter()
    place = Place("a", BreakerRules(failures=1, seconds=60))
    model = candidate(target(engines[0].url, place, QUICK), full, retries=10)
    async with house() as home:
        begun = time.monotonic()
        with pytest.raises(AttemptFailed) as failed:
            await home.ask(model)
        assert time.monotonic() - begun < 3
        assert failed.value.status == 500


# A second request beside a slow one.


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
    assert _asked(engines)[:2] == [5, 0]


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
    assert _asked(engines)[1] == 0


async def test_who_leaves_ends_both(engines: list[Upstream]) -> None:
    engines[0].always = engines[1].always = faults.late(5)
    model = _pair(engines, 0.05)
    async with house() as home:
        asking = asyncio.create_task(home.ask(model))
        await asyncio.to_thread(until, lambda: _asked(engines)[:2] == [1, 1])
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.to_thread(until, lambda: all(engine.open == 0 for engine in engines[:2]))
        assert [one.place.in_flight for one in model.targets] == [0, 0]


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
