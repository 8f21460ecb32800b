"""Budgets: what is held, what is spent, when a period ends, and what a restart knows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steelyard.actions.usage import forget_usage, load_spending
from steelyard.errors import BudgetExceeded, RateLimited
from steelyard.gateway.ledger import Ledger
from steelyard.gateway.limiter import Limiter, Reservation
from steelyard.gateway.limits import UNITS, Budget, LimitRule, Period
from steelyard.records.usage import Spent
from tests.contexts import opened
from tests.gateway.clocks import Clock
from tests.usage_rows import usage

HOUR = 3600


class Purse:
    """A limiter on a clock that stands at 23:00 on the 30th of January, asked by what a request may cost."""

    def __init__(self, *spent: Spent) -> None:
        self.clock = Clock()
        self.limiter = Limiter(self.clock.now, self.clock.wall, spent)

    def ask(
        self, *rules: LimitRule, cost: float, key: str | None = None, model: str = "w/m", **more: Any
    ) -> Reservation:
        return self.limiter.reserve(rules, workspace="w", model=model, key=key, tokens=1, cost=cost, **more)

    def spend(self, cost: float, *rules: LimitRule, **asked: Any) -> None:
        self.ask(*rules, cost=cost, **asked).settle(1, cost)

    def refusal(self, *rules: LimitRule, cost: float, **asked: Any) -> RateLimited:
        with pytest.raises(BudgetExceeded) as refused:
            self.ask(*rules, cost=cost, **asked)
        return refused.value

    def left(self, rule: LimitRule, **asked: Any) -> float:
        """How much a request may still cost, of at most twenty, to a thousandth."""
        fits, fits_not = -1, 20_001
        while fits_not - fits > 1:
            tried = (fits + fits_not) // 2
            try:
                self.ask(rule, cost=tried / 1000, **asked).release()
                fits = tried
            except BudgetExceeded:
                fits_not = tried
        return fits / 1000


def budget(amount: float, period: Period = "day", name: str = "purse", currency: str = "USD", **more: Any) -> LimitRule:
    return LimitRule(f"limit-{name}", name, "w", budget=Budget(int(amount * UNITS), currency, period), **more)


def test_what_is_held_and_what_is_spent_is_never_more_than_the_budget() -> None:
    purse, rule = Purse(), budget(10)
    first, second = purse.ask(rule, cost=4), purse.ask(rule, cost=6)
    purse.refusal(rule, cost=0.000_000_001)
    first.settle(1, 1.5)
    assert purse.left(rule) == 2.5
    second.release()
    assert purse.left(rule) == 8.5


def test_ten_times_a_tenth_is_one() -> None:
    purse, rule = Purse(), budget(1)
    for _ in range(10):
        purse.spend(0.1, rule)
    purse.refusal(rule, cost=0.000_000_001)


def test_a_request_that_cost_more_than_it_might_is_paid_by_those_after_it() -> None:
    purse, rule = Purse(), budget(10)
    purse.ask(rule, cost=1).settle(1, 12)
    purse.refusal(rule, cost=0.001)


def test_where_nobody_says_what_it_cost_what_was_held_is_spent() -> None:
    purse, rule = Purse(), budget(10)
    purse.ask(rule, cost=3).settle(None, None)
    assert purse.left(rule) == 7


def test_what_costs_nothing_is_refused_by_no_budget() -> None:
    purse, rule = Purse(), budget(1)
    purse.spend(1, rule)
    purse.ask(rule, cost=0).settle(1000, 0.0)


def test_the_refusal_says_what_is_spent_and_when_the_period_ends() -> None:
    purse, rule = Purse(), budget(10)
    purse.spend(9.5, rule)
    error = purse.refusal(rule, cost=0.75)
    assert (error.status, error.code) == (429, "budget_exceeded")
    assert error.details == {"limit": "w/purse", "bound": "budget"}
    assert error.headers == {"retry-after": "3600", "x-should-retry": "false"}
    assert error.message == (
        "the limit w/purse allows 10.00 USD a day, 9.50 USD are spent, and this request may cost 0.75 USD; "
        "the day ends at 2026-01-31T00:00:00Z"
    )


def test_a_budget_that_only_requests_under_way_hold_is_worth_another_try_soon() -> None:
    purse, rule = Purse(), budget(10)
    purse.ask(rule, cost=9.5)
    error = purse.refusal(rule, cost=0.75)
    assert error.headers == {"retry-after": "1"}
    assert "requests under way may need what is left" in error.message


def test_a_request_that_costs_more_than_any_period_has_is_not_told_to_come_again() -> None:
    error = Purse().refusal(budget(10), cost=10.5)
    assert error.headers == {"x-should-retry": "false"}


def test_a_budget_for_ever_says_no_time_for_another_try() -> None:
    purse, rule = Purse(), budget(10, "total")
    purse.spend(10, rule)
    error = purse.refusal(rule, cost=1)
    assert error.headers == {"x-should-retry": "false"}
    assert "ends at" not in error.message


def test_a_day_and_a_month_begin_anew_and_all_of_time_does_not() -> None:
    purse = Purse()
    day, month, total = (budget(10, period, name=period) for period in ("day", "month", "total"))
    purse.spend(4, day, month, total)
    assert [purse.left(rule) for rule in (day, month, total)] == [6, 6, 6]
    purse.clock.pass_(HOUR)  # the 31st begins
    purse.spend(1, day, month, total)
    assert [purse.left(rule) for rule in (day, month, total)] == [9, 5, 5]
    purse.clock.pass_(24 * HOUR)  # February begins
    assert [purse.left(rule) for rule in (day, month, total)] == [10, 10, 5]


def test_what_is_under_way_when_a_period_ends_is_spent_in_the_next_one() -> None:
    purse, rule = Purse(), budget(10)
    reservation = purse.ask(rule, cost=4)
    purse.clock.pass_(HOUR)
    assert purse.left(rule) == 6
    reservation.settle(1, 3)
    assert purse.left(rule) == 7


def test_a_month_ends_with_its_last_day() -> None:
    purse, rule = Purse(), budget(1, "month")
    purse.spend(1, rule)
    error = purse.refusal(rule, cost=1)
    assert error.headers["retry-after"] == str(25 * HOUR)
    assert "the month ends at 2026-02-01T00:00:00Z" in error.message


def test_a_clock_that_is_set_back_gives_no_money_back() -> None:
    purse, rule = Purse(), budget(10)
    purse.spend(4, rule)
    purse.clock.pass_(-24 * HOUR)
    assert purse.left(rule) == 6


def test_a_budget_counts_what_its_model_its_key_and_its_currency_have_cost() -> None:
    purse = Purse()
    purse.spend(1, model="w/a", key="k")
    purse.spend(2, model="w/b", key="k")
    purse.spend(4, model="w/a", key=None)
    purse.spend(8, model="w/a", key="k", currency="EUR")
    left = {
        "all": purse.left(budget(20)),
        "model": purse.left(budget(20, model="w/a"), model="w/a"),
        "key": purse.left(budget(20, key="k"), key="k"),
        "both": purse.left(budget(20, model="w/a", key="k"), model="w/a", key="k"),
        "each": purse.left(budget(20, per_key=True), key="k"),
        "each without": purse.left(budget(20, per_key=True), key=None),
        "EUR": purse.left(budget(20, currency="EUR"), currency="EUR"),
    }
    assert left == {"all": 13, "model": 15, "key": 17, "both": 19, "each": 17, "each without": 16, "EUR": 12}


def test_another_currency_is_no_part_of_a_budget() -> None:
    purse, rule = Purse(), budget(1)
    purse.spend(100, rule, currency="EUR")
    assert purse.left(rule) == 1


def test_a_budget_that_is_made_later_counts_what_was_spent_before_it() -> None:
    purse = Purse()
    purse.spend(6)
    assert purse.left(budget(10)) == 4


def test_a_changed_budget_is_in_force_for_the_next_request() -> None:
    purse, rule = Purse(), budget(10)
    purse.spend(10, rule)
    purse.refusal(rule, cost=1)
    assert purse.left(replace(rule, budget=Budget(12 * UNITS, "USD", "day"), revision=2)) == 2
    assert purse.left(replace(rule, model="w/other", revision=3), model="w/other") == 10


def test_what_was_spent_before_a_restart_is_spent() -> None:
    spent = [
        Spent("w", "w/a", "k", "USD", day=1.0, month=3.0, total=7.0),
        Spent("w", "w/b", None, "USD", day=0.5, month=0.5, total=0.5),
        Spent("other", "w/a", "k", "USD", day=9.0, month=9.0, total=9.0),
    ]
    purse = Purse(*spent)
    day, month, total = (budget(10, period, name=period) for period in ("day", "month", "total"))
    assert [purse.left(rule) for rule in (day, month, total)] == [8.5, 6.5, 2.5]
    assert purse.left(budget(10, model="w/a"), model="w/a") == 9
    purse.clock.pass_(HOUR)
    assert [purse.left(rule) for rule in (day, month, total)] == [10, 6.5, 2.5]


def test_a_budget_and_a_rate_are_taken_together_or_not_at_all() -> None:
    purse, rule = Purse(), budget(10, requests_per_minute=1)
    purse.spend(1, rule)
    with pytest.raises(RateLimited):
        purse.ask(rule, cost=1)
    assert purse.left(replace(rule, requests_per_minute=None)) == 9


def test_a_fallback_gives_back_what_the_first_model_held() -> None:
    purse, rule = Purse(), budget(10)
    first = purse.ask(rule, cost=9, model="w/a")
    second = purse.ask(rule, cost=8, model="w/b", after=first)
    assert purse.left(rule) == 2
    second.settle(1, 2)
    assert purse.left(budget(10, model="w/b"), model="w/b") == 8
    assert purse.left(budget(10, model="w/a"), model="w/a") == 10


async def test_a_restarted_server_knows_of_each_budget_what_the_old_one_knew(tmp_path: Path) -> None:
    clock = Clock()
    rules = {
        **{period: budget(20, period) for period in ("day", "month", "total")},
        "model": budget(20, "month", model="w/a"),
        "key": budget(20, "month", key="k"),
        "EUR": budget(20, "month", currency="EUR"),
    }
    spent: list[tuple[int, str, str | None, str, float]] = [
        (0, "w/a", "k", "USD", 0.1),
        (38, "w/a", None, "USD", 0.2),
        (40, "w/b", "k", "USD", 0.4),
        (40, "w/b", "k", "EUR", 0.8),
        (40, "w/b", "k", "USD", 0.7),
    ]

    def known(limiter: Limiter) -> dict[str, float]:
        limiter.spending.turn()
        return {name: limiter.spending.of(rule, rule.key) / UNITS for name, rule in rules.items()}

    async with opened(tmp_path, clock.wall) as context:
        limiter, ledger = Limiter(clock.now, clock.wall), Ledger(context.store)
        for day, model, key, currency, cost in spent:
            clock.milliseconds = day * 24 * HOUR * 1000
            limiter.spent(workspace="w", model=model, key=key, currency=currency, cost=cost)
            used = {"model": model, "key": key, "currency": currency, "cost": cost}
            ledger.add(usage(at=context.now(), workspace="w", **used))
        before = known(limiter)
        await ledger.close()
        await forget_usage(context, 24 * HOUR)
    async with opened(tmp_path, clock.wall) as context:
        after = known(Limiter(clock.now, clock.wall, await load_spending(context)))
    assert before == after == {"day": 1.1, "month": 1.3, "total": 1.4, "model": 0.2, "key": 1.1, "EUR": 0.8}
