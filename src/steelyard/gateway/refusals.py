"""What a limit says when it refuses: which bound it was, for how long, and what may be done."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from time import gmtime, strftime

from steelyard.errors import BudgetExceeded, RateLimited
from steelyard.gateway.limits import UNITS, Budget, LimitRule
from steelyard.gateway.spending import Spending

_FOR = {"day": " a day", "month": " a month", "total": ""}
# The clients of OpenAI and Anthropic heed this: to try again within seconds is of no use.
_NO_RETRY = {"x-should-retry": "false"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request does not pass, and for how many seconds; None: it never will."""

    kind: type[RateLimited]
    rule: LimitRule
    bound: str
    message: str
    wait: float | None
    worth_retrying: bool = True

    def error(self, headers: Mapping[str, str]) -> RateLimited:
        """The error that says so, with the headers of the limits beside its own."""
        own = {} if self.wait is None else {"retry-after": str(max(ceil(self.wait), 1))}
        if not self.worth_retrying:
            own |= _NO_RETRY
        return self.kind(self.message, headers={**headers, **own}, limit=self.rule.title, bound=self.bound)


def too_many_requests(rule: LimitRule, most: int, wait: float) -> Refusal:
    """There were as many requests in the last minute as may be."""
    message = f"the limit {rule.title} allows {most} requests a minute; try again in {_seconds(wait)}"
    return Refusal(RateLimited, rule, "requests_per_minute", message, wait)


def too_many_tokens(rule: LimitRule, most: int, tokens: int, wait: float | None) -> Refusal:
    """The request may use more tokens than are left of the minute, or (`wait` is None) than a minute ever has."""
    message = f"the limit {rule.title} allows {most} tokens a minute, and this request may use {tokens}"
    message += "; ask for fewer with max_tokens" if wait is None else f"; try again in {_seconds(wait)}"
    return Refusal(RateLimited, rule, "tokens_per_minute", message, wait, worth_retrying=wait is not None)


def over_budget(rule: LimitRule, budget: Budget, spent: int, units: int, spending: Spending) -> Refusal:
    """The request may cost more than is left of the budget."""
    message = f"the limit {rule.title} allows {money(budget.units, budget.currency)}{_FOR[budget.period]}"
    if spent + units <= budget.units:
        message += ", and requests under way may need what is left; try again in 1 s"
        return Refusal(BudgetExceeded, rule, "budget", message, 1.0)
    message += f", {money(spent, budget.currency)} are spent, and this request may cost {money(units, budget.currency)}"
    end = spending.ends(budget.period)
    wait = None if end is None or units > budget.units else end - spending.wall()
    if end is not None:
        message += f"; the {budget.period} ends at {strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(end))}"
    return Refusal(BudgetExceeded, rule, "budget", message, wait, worth_retrying=False)


def money(units: int, currency: str) -> str:
    """An amount for a person, as `12.5 USD`."""
    whole, rest = divmod(units, UNITS)
    fraction = f"{rest:09}".rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction} {currency}"


def _seconds(wait: float) -> str:
    return f"{max(ceil(wait), 1)} s"
