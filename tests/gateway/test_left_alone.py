"""Who is left alone for a while, who says for how long, and what there is to say when nobody can be asked."""

import asyncio
import time

import pytest

from steelyard.errors import (
    NoProvider,
    NotServed,
    Overloaded,
    SecretMissing,
    UpstreamFailure,
)
from steelyard.gateway.attempts import AttemptFailed, retry_after
from steelyard.gateway.places import BreakerRules, Place
from tests.gateway import faults
from tests.gateway.asked import candidate, target
from tests.gateway.tries import QUICK, RULES, at, house, requests_of
from tests.gateway.upstreams import Upstream

# Who is left alone.


async def test_who_fails_often_is_left_alone_and_tried_again_in_its_time(engines: list[Upstream]) -> None:
    engines[0].always = faults.failing(500)
    model = candidate(at(engines[0], "a"), at(engines[1], "b"), share=1.0)
    async with house() as home:
        for _ in range(10):
            await home.ask(model)
        assert requests_of(engines)[:2] == [RULES.failures, 10]
        await asyncio.sleep(RULES.seconds * 1.3)
        engines[0].always = faults.late(0.05)
        await asyncio.gather(*(home.ask(model) for _ in range(10)))
        assert requests_of(engines)[0] == RULES.failures + 1, "one tries it out, the others go where it is sure"
        for _ in range(3):
            await home.ask(model)
        assert requests_of(engines)[0] == RULES.failures + 4


async def test_where_nobody_else_serves_the_model_requests_wait_for_it_and_one_tries(engines: list[Upstream]) -> None:
    engines[0].always = faults.failing(500)
    model = candidate(at(engines[0], "a"), retries=0)
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
        model = candidate(at(engines[0], "a"), retries=0)
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
            model = candidate(at(engines[0], "a"), retries=1)
            begun = time.monotonic()
            await home.ask(model)
            assert 0.29 < time.monotonic() - begun < 1.5
            assert len(engines[0].requests) == 2
            assert model.targets[0].place.failures == 0


async def test_another_is_asked_at_once_meanwhile(engines: list[Upstream]) -> None:
    engines[0].next(faults.failing(429, ("retry-after", "2")))
    model = candidate(at(engines[0], "a"), at(engines[1], "b"))
    async with house() as home:
        begun = time.monotonic()
        for _ in range(3):
            await home.ask(model)
        assert time.monotonic() - begun < 1
    assert requests_of(engines)[:2] == [1, 3]


async def test_who_wants_to_be_left_alone_for_too_long_is_not_waited_for(engines: list[Upstream]) -> None:
    engines[0].next(faults.failing(429, ("retry-after", "30")))
    model = candidate(at(engines[0], "a"), retries=3)
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
    keyless = at(engines[0], "a", fault="the secret 's' is not in the workspace 'default'")
    async with house() as home:
        with pytest.raises(SecretMissing, match="the secret 's'") as refused:
            await home.ask(candidate(keyless))
        assert refused.value.status == 424
        await home.ask(candidate(keyless, at(engines[1], "b")))
    assert requests_of(engines)[:2] == [0, 1]


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
            await home.ask(candidate(target(url), at(engines[0])))


async def test_too_many_that_wait_are_a_503(engines: list[Upstream]) -> None:
    engines[0].always = faults.late(0.3)
    model = candidate(at(engines[0], "a", limits={"max_concurrency": 1, "max_queue": 2}), retries=3)
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
    full = at(engines[1], "b", limits={"max_concurrency": 1, "max_queue": 0})
    await full.place.enter()
    place = Place("a", BreakerRules(failures=1, seconds=60))
    model = candidate(target(engines[0].url, place, QUICK), full, retries=10)
    async with house() as home:
        begun = time.monotonic()
        with pytest.raises(AttemptFailed) as failed:
            await home.ask(model)
        assert time.monotonic() - begun < 3
        assert failed.value.status == 500
