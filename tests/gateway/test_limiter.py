"""Limits of requests and tokens: what is admitted, what is refused and for how long, and what is counted afterwards."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from steelyard.errors import BudgetExceeded, RateLimited
from steelyard.gateway.limiter import Limiter, Reservation
from steelyard.gateway.limits import LimitRule, rules_of
from steelyard.records.kinds import Row
from tests.gateway.clocks import Clock

# A place gets free when all of the tenth of a second that it was taken in is more than a minute old.
A_MINUTE = 60.1


class Gate:
    """A limiter on a clock, asked with what most tests do not care about filled in."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.limiter = Limiter(self.clock.now, self.clock.wall)

    def ask(
        self, *rules: LimitRule, tokens: int = 10, key: str | None = None, model: str = "w/m", **more: Any
    ) -> Reservation:
        return self.limiter.reserve(
            rules, workspace="w", model=model, key=key, tokens=tokens, cost=more.pop("cost", 0.0), **more
        )

    def refusal(self, *rules: LimitRule, **asked: Any) -> RateLimited:
        with pytest.raises(RateLimited) as refused:
            self.ask(*rules, **asked)
        return refused.value

    def admits(self, *rules: LimitRule, **asked: Any) -> bool:
        try:
            self.ask(*rules, **asked)
        except RateLimited:
            return False
        return True


@pytest.fixture
def gate() -> Gate:
    return Gate()


def limit(name: str = "few", **bounds: Any) -> LimitRule:
    return LimitRule(f"limit-{name}", name, "w", **bounds)


def test_as_many_requests_pass_as_the_limit_says_and_no_more(gate: Gate) -> None:
    rule = limit(requests_per_minute=3)
    assert [gate.admits(rule) for _ in range(5)] == [True, True, True, False, False]


def test_a_place_gets_free_a_minute_after_it_was_taken_and_at_most_a_tenth_of_a_second_later(gate: Gate) -> None:
    rule = limit(requests_per_minute=2)
    gate.ask(rule)
    gate.clock.pass_(30)
    gate.ask(rule)
    gate.clock.pass_(29.999)
    assert not gate.admits(rule)
    gate.clock.pass_(A_MINUTE - 59.999)
    assert [gate.admits(rule), gate.admits(rule)] == [True, False]  # that of the second is taken still


def test_a_refusal_says_which_bound_of_which_limit_it_was_and_for_how_long(gate: Gate) -> None:
    rule = limit(requests_per_minute=1)
    gate.ask(rule)
    gate.clock.pass_(20)
    error = gate.refusal(rule)
    assert (error.status, error.code) == (429, "rate_limited")
    assert error.headers["retry-after"] == "41"
    assert error.details == {"limit": "w/few", "bound": "requests_per_minute"}
    assert error.message == "the limit w/few allows 1 requests a minute; try again in 41 s"


def test_after_the_time_that_a_refusal_says_the_request_passes(gate: Gate) -> None:
    requests, tokens = limit(requests_per_minute=2), limit("tokens", tokens_per_minute=100)
    for seconds in (0.0, 17.3, 4.04):
        gate.clock.pass_(seconds)
        gate.admits(requests, tokens, tokens=45)
    error = gate.refusal(requests, tokens, tokens=80)
    gate.clock.pass_(int(error.headers["retry-after"]))
    assert gate.admits(requests, tokens, tokens=80)


def test_retry_after_is_never_less_than_a_second(gate: Gate) -> None:
    rule = limit(requests_per_minute=1)
    gate.ask(rule)
    gate.clock.pass_(60.05)
    assert gate.refusal(rule).headers["retry-after"] == "1"


def test_a_request_takes_from_all_limits_or_from_none(gate: Gate) -> None:
    wide, narrow = limit("wide", requests_per_minute=5), limit("narrow", requests_per_minute=2)
    assert [gate.admits(wide, narrow) for _ in range(9)].count(True) == 2
    # The seven that the narrow one refused took nothing from the wide one.
    assert [gate.admits(wide) for _ in range(9)].count(True) == 3


def test_of_several_limits_that_refuse_the_one_with_the_longest_wait_is_named(gate: Gate) -> None:
    early, late = limit("early", requests_per_minute=1), limit("late", requests_per_minute=1)
    gate.ask(early)
    gate.clock.pass_(40)
    gate.ask(late)
    for rules in ((early, late), (late, early)):
        error = gate.refusal(*rules)
        assert (error.details["limit"], error.headers["retry-after"]) == ("w/late", "61")


def test_a_limit_of_a_model_or_a_key_is_about_no_other(gate: Gate) -> None:
    rules = (limit("model", model="w/m", requests_per_minute=1), limit("key", key="a", requests_per_minute=1))
    gate.ask(*rules, key="b", model="w/m")
    assert not gate.admits(*rules, key="b", model="w/m")
    gate.ask(*rules, key="a", model="w/other")
    assert not gate.admits(*rules, key="a", model="w/another")
    assert gate.admits(*rules, key="b", model="w/other")
    assert gate.admits(*rules, key=None, model="w/other")


def test_per_key_each_caller_has_a_count_and_those_without_a_key_share_one(gate: Gate) -> None:
    rule = limit(per_key=True, requests_per_minute=1)
    assert [gate.admits(rule, key=key) for key in ("a", "b", None, "a", "b", None)] == [True] * 3 + [False] * 3


def test_without_limits_everything_passes_and_has_no_headers(gate: Gate) -> None:
    reservation = gate.ask(tokens=10**9)
    reservation.settle(10**9, None)
    assert reservation.headers == {}


class TestTokens:
    """Tokens are reserved as estimated, and set right when the request has ended."""

    def test_no_more_are_reserved_than_the_limit_says(self, gate: Gate) -> None:
        rule = limit(tokens_per_minute=100)
        assert [gate.admits(rule, tokens=40) for _ in range(3)] == [True, True, False]
        assert gate.admits(rule, tokens=20)
        assert not gate.admits(rule, tokens=1)

    def test_what_was_not_used_comes_back_at_once(self, gate: Gate) -> None:
        rule = limit(tokens_per_minute=100)
        gate.ask(rule, tokens=90).settle(5, 0.0)
        assert gate.admits(rule, tokens=95)
        assert not gate.admits(rule, tokens=1)

    def test_what_was_used_beyond_the_estimate_counts_from_when_it_is_known(self, gate: Gate) -> None:
        rule = limit(tokens_per_minute=100)
        reservation = gate.ask(rule, tokens=10)
        gate.clock.pass_(59)
        reservation.settle(100, 0.0)
        assert not gate.admits(rule, tokens=1)
        gate.clock.pass_(A_MINUTE - 59)
        # The ten that were estimated are a minute old; the ninety are not.
        assert gate.admits(rule, tokens=10)
        assert not gate.admits(rule, tokens=1)

    def test_a_request_that_lasts_longer_than_a_minute_gives_nothing_back_that_is_counted_no_more(
        self, gate: Gate
    ) -> None:
        rule = limit(tokens_per_minute=100)
        reservation = gate.ask(rule, tokens=90)
        gate.clock.pass_(A_MINUTE)
        gate.ask(rule, tokens=100)
        reservation.settle(0, 0.0)
        assert not gate.admits(rule, tokens=1)

    def test_a_released_request_gives_its_tokens_back_but_was_a_request(self, gate: Gate) -> None:
        rule = limit(requests_per_minute=2, tokens_per_minute=100)
        gate.ask(rule, tokens=100).release()
        gate.ask(rule, tokens=100)
        assert gate.refusal(rule, tokens=0).details["bound"] == "requests_per_minute"

    def test_only_the_first_settling_counts(self, gate: Gate) -> None:
        rule = limit(tokens_per_minute=100)
        reservation = gate.ask(rule, tokens=50)
        reservation.settle(20, 0.0)
        reservation.settle(0, 0.0)
        reservation.release()
        assert gate.admits(rule, tokens=80)
        assert not gate.admits(rule, tokens=1)

    def test_where_nobody_says_what_was_used_the_estimate_stays(self, gate: Gate) -> None:
        rule = limit(tokens_per_minute=100)
        gate.ask(rule, tokens=70).settle(None, None)
        assert not gate.admits(rule, tokens=31)
        assert gate.admits(rule, tokens=30)

    def test_a_request_that_no_minute_has_room_for_is_told_so_and_not_to_come_again(self, gate: Gate) -> None:
        error = gate.refusal(limit(tokens_per_minute=100), tokens=101)
        assert "retry-after" not in error.headers
        assert error.headers["x-should-retry"] == "false"
        assert error.message == (
            "the limit w/few allows 100 tokens a minute, and this request may use 101; ask for fewer with max_tokens"
        )


class TestChanges:
    """A record may change, or go, while its counters are in use."""

    def test_a_raised_bound_is_in_force_for_the_next_request(self, gate: Gate) -> None:
        rule = limit(requests_per_minute=1, revision=1)
        gate.ask(rule)
        assert not gate.admits(rule)
        raised = replace(rule, requests_per_minute=2, revision=2)
        assert [gate.admits(raised), gate.admits(raised)] == [True, False]

    def test_a_lowered_bound_counts_what_passed_before(self, gate: Gate) -> None:
        rule = limit(requests_per_minute=10)
        for _ in range(5):
            gate.ask(rule)
            gate.clock.pass_(1)
        lowered = replace(rule, requests_per_minute=2)
        # Four of the five must go, and the fourth is two seconds old.
        assert gate.refusal(lowered).headers["retry-after"] == "59"
        gate.clock.pass_(A_MINUTE - 2 - 0.001)
        assert not gate.admits(lowered)
        gate.clock.pass_(0.001)
        assert gate.admits(lowered)

    def test_a_bound_that_is_added_counts_what_passed_before(self, gate: Gate) -> None:
        rule = limit(requests_per_minute=10)
        gate.ask(rule, tokens=60)
        assert not gate.admits(replace(rule, tokens_per_minute=100), tokens=41)

    def test_the_counters_of_a_record_that_is_gone_go_with_it(self, gate: Gate) -> None:
        rule = limit(requests_per_minute=1)
        held = gate.ask(rule)
        gate.limiter.forget(rule.id)
        held.settle(10, 0.0)  # what was under way ends as if nothing had happened
        assert gate.admits(rule)

    def test_counters_of_keys_do_not_pile_up(self, gate: Gate) -> None:
        rule = limit(per_key=True, requests_per_minute=1)
        lasting = gate.ask(rule, key="lasting", tokens=5)
        for number in range(20_000):
            gate.ask(rule, key=f"key-{number}").settle(1, 0.0)
            gate.clock.pass_(0.1)
        kept = gate.limiter._windows[rule.id]
        assert len(kept) < 3000
        assert "lasting" in kept  # its request is under way
        lasting.release()


class TestFallbacks:
    """A request that goes on to another model takes from the limits of that one."""

    def test_it_is_one_request_to_the_limits_that_cover_both(self, gate: Gate) -> None:
        both, first, second = (
            limit("both", requests_per_minute=2, tokens_per_minute=100),
            limit("first", model="w/a", requests_per_minute=1),
            limit("second", model="w/b", requests_per_minute=1),
        )
        reserved = gate.ask(both, first, second, model="w/a", tokens=100)
        moved = gate.ask(both, first, second, model="w/b", tokens=100, after=reserved)
        moved.settle(0, 0.0)
        assert gate.admits(both, model="w/c")
        assert not gate.admits(first, model="w/a")
        assert not gate.admits(second, model="w/b")

    def test_a_refusal_there_leaves_nothing_held(self, gate: Gate) -> None:
        both, second = limit("both", tokens_per_minute=100), limit("second", model="w/b", requests_per_minute=1)
        gate.ask(second, model="w/b")
        reserved = gate.ask(both, model="w/a", tokens=100)
        assert gate.refusal(both, second, model="w/b", tokens=100, after=reserved).details["limit"] == "w/second"
        assert gate.admits(both, model="w/a", tokens=100)


class TestHeaders:
    """The headers that OpenAI's clients know, of the limit with least left."""

    def test_those_of_a_request_that_passed(self, gate: Gate) -> None:
        wide, narrow = limit("wide", requests_per_minute=100, tokens_per_minute=50), limit("n", requests_per_minute=3)
        gate.ask(wide, narrow, tokens=20)
        gate.clock.pass_(10.5)
        assert gate.ask(wide, narrow, tokens=20).headers == {
            "x-ratelimit-limit-requests": "3",
            "x-ratelimit-remaining-requests": "1",
            "x-ratelimit-reset-requests": "60.1s",
            "x-ratelimit-limit-tokens": "50",
            "x-ratelimit-remaining-tokens": "10",
            "x-ratelimit-reset-tokens": "60.1s",
        }

    def test_those_of_a_refusal(self, gate: Gate) -> None:
        rule = limit(requests_per_minute=1)
        gate.ask(rule)
        gate.clock.pass_(12)
        assert gate.refusal(rule).headers == {
            "x-ratelimit-limit-requests": "1",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "48.1s",
            "retry-after": "49",
        }


async def test_of_a_thousand_concurrent_requests_exactly_a_hundred_pass() -> None:
    gate, rule = Gate(), limit(requests_per_minute=100, tokens_per_minute=10**6)
    under_way, most = 0, 0

    async def one(number: int) -> bool:
        nonlocal under_way, most
        await asyncio.sleep(0.001 * (number % 7))
        try:
            reservation = gate.ask(rule)
        except RateLimited:
            return False
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        reservation.settle(5, 0.0)
        return True

    passed = await asyncio.gather(*(one(number) for number in range(1000)))
    assert passed.count(True) == 100
    assert most > 50, "they did not run beside each other"
    assert gate.limiter.refused == 900


def test_rules_are_made_of_the_records_that_are_enabled() -> None:
    stored = {"model": "w/m", "key": None, "per_key": True, "requests_per_minute": 5, "tokens_per_minute": None}
    budget = {"amount": 0.3, "currency": "EUR", "period": "day"}
    rows = [_row("on", {**stored, "budget": budget, "enabled": True}), _row("off", {**stored, "enabled": False})]
    (rule,) = rules_of(rows)
    assert (rule.id, rule.name, rule.workspace, rule.revision) == ("limit-on", "on", "w", 4)
    assert (rule.model, rule.key, rule.per_key, rule.requests_per_minute) == ("w/m", None, True, 5)
    assert rule.budget == (300_000_000, "EUR", "day")


def _row(name: str, fields: dict[str, Any]) -> Row:
    time = "2026-01-01T00:00:00.000000Z"
    return Row("limit", f"limit-{name}", "w", name, 4, time, time, fields)


def test_errors_of_budgets_are_among_those_of_limits() -> None:
    assert issubclass(BudgetExceeded, RateLimited)
