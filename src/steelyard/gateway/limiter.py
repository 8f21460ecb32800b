"""Holds requests to the limits: it takes from all that apply before a request goes out, or from none, and sets right
after it what was taken.

Everything is in memory and on one event loop, and nothing is awaited between the check and the taking: of requests that
come together no two get the last place. The contract, of each limit:

* never more than `requests_per_minute` are admitted in any 60 seconds. One that was admitted counts, whatever became of
  it; one that was refused by any limit counts nowhere.
* at each admission, the tokens of the last minute and those of the request itself (as estimated) are no more than
  `tokens_per_minute`. Fewer tokens than estimated come back at once; more are counted when they are known.
* at each admission, what was spent in the period, what requests under way hold and what the request itself may cost are
  no more than the budget. What costs nothing is refused by no budget.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil, inf
from typing import NamedTuple

from steelyard.errors import RateLimited
from steelyard.gateway.limits import UNITS, LimitRule
from steelyard.gateway.refusals import Refusal, over_budget, too_many_requests, too_many_tokens
from steelyard.gateway.spending import Spending
from steelyard.gateway.windows import TICKS, Slot, Window
from steelyard.records.usage import Spent

# How many counters of keys a limit has before those that say nothing are looked for, at first.
_SWEEP_AT = 1024


class _Asked(NamedTuple):
    """What a request asks of the limits."""

    model: str
    key: str | None
    tokens: int
    units: int
    currency: str


class Reservation:
    """What a request holds of the limits until it is settled or released; only the first of these calls counts."""

    __slots__ = ("_held", "_limiter", "_open", "_scope", "cost", "tokens")

    def __init__(
        self,
        limiter: "Limiter",
        held: "Sequence[tuple[LimitRule, Window, Slot, int]]",
        scope: tuple[str, str, str | None, str],
        tokens: int,
        cost: float,
    ) -> None:
        self._limiter = limiter
        self._held = held
        self._scope = scope
        self._open = True
        self.tokens = tokens
        self.cost = cost

    def settle(self, tokens: int | None, cost: float | None) -> None:
        """What was used, instead of what was reserved; None, where nobody knows it, for just that."""
        if not self._open:
            return
        self._open = False
        cost = self.cost if cost is None else cost
        if cost:
            self._limiter.spending.add(*self._scope, round(cost * UNITS))
        if self._held:
            self._give_back(0 if tokens is None else tokens - self.tokens)

    def release(self) -> None:
        """Nothing was used: tokens and money come back. The request was one, and counts."""
        if self._open:
            self._open = False
            if self._held:
                self._give_back(-self.tokens)

    def _give_back(self, tokens: int) -> None:
        tick = self._limiter.tick()
        for _, window, slot, units in self._held:
            window.under_way -= 1
            window.held -= units
            if tokens:
                window.correct(slot, tick, tokens)

    def counted_in(self) -> frozenset[int]:
        """The windows that have counted the request."""
        return frozenset(id(window) for _, window, _, _ in self._held)

    @property
    def headers(self) -> dict[str, str]:
        """The `x-ratelimit-` headers, as OpenAI writes them, of the limits that have least left at this moment."""
        return self._limiter.headers_of((rule, window) for rule, window, _, _ in self._held) if self._held else {}


class Limiter:
    """All counters. `now` gives the seconds of a clock that is never set, `wall` those since 1970; `spent` is what was
    spent before the start.
    """

    def __init__(self, now: Callable[[], float], wall: Callable[[], float], spent: Iterable[Spent] = ()) -> None:
        self._now = now
        self.spending = Spending(wall, spent)
        self.refused = 0
        """How many requests a limit has refused."""
        self._windows: dict[str, dict[str | None, Window]] = {}
        self._sweep_at: dict[str, int] = {}

    def reserve(
        self,
        limits: Sequence[LimitRule],
        *,
        workspace: str,
        model: str,
        key: str | None,
        tokens: int,
        cost: float,
        currency: str = "USD",
        after: Reservation | None = None,
    ) -> Reservation:
        """Takes a request, `tokens` and `cost` from all of `limits` that cover it, or from none.

        `after` is what the same request reserved before, for a model that could not serve it: it is released, and the
        limits that have counted the request do not count it again. Raises RateLimited, BudgetExceeded.
        """
        counted: frozenset[int] = frozenset()
        if after is not None:
            after.release()
            counted = after.counted_in()
        held: list[tuple[LimitRule, Window, Slot, int]] = []
        if limits:
            tick = int(self._now() * TICKS)
            units = ceil(cost * UNITS)
            if units:
                self.spending.turn()
            found = []
            for rule in limits:
                if rule.covers(model, key):
                    window = self._window(rule, key if rule.per_key else None)
                    window.move_to(tick)
                    requests = 0 if id(window) in counted else 1
                    held_units = units if rule.budget and rule.budget.currency == currency else 0
                    if not self._fits(rule, window, key, requests, tokens, held_units):
                        raise self._refusal(limits, _Asked(model, key, tokens, units, currency), counted)
                    found.append((rule, window, requests, held_units))
            for rule, window, requests, held_units in found:
                window.under_way += 1
                window.held += held_units
                held.append((rule, window, window.take(tick, requests, tokens), held_units))
        return Reservation(self, held, (workspace, model, key, currency), tokens, cost)

    def spent(self, *, workspace: str, model: str, key: str | None, cost: float, currency: str = "USD") -> None:
        """A request that reserved nothing has cost something: budgets that are made later count it."""
        if cost:
            self.spending.add(workspace, model, key, currency, round(cost * UNITS))

    def forget(self, id: str) -> None:
        """The record of a limit is gone, and its counters go with it."""
        self._windows.pop(id, None)
        self._sweep_at.pop(id, None)

    def tick(self) -> int:
        """The present tenth of a second."""
        return int(self._now() * TICKS)

    def headers_of(self, held: Iterable[tuple[LimitRule, Window]]) -> dict[str, str]:
        """See `Reservation.headers`."""
        tick = self._now() * TICKS
        left: dict[str, list[tuple[int, int, float]]] = {"requests": [], "tokens": []}
        for rule, window in held:
            window.move_to(int(tick))
            reset = window.seconds_until_empty(tick)
            if (most := rule.requests_per_minute) is not None:
                left["requests"].append((max(most - window.requests, 0), most, reset))
            if (most := rule.tokens_per_minute) is not None:
                left["tokens"].append((max(most - window.tokens, 0), most, reset))
        headers = {}
        for what, found in left.items():
            if found:
                remaining, most, reset = min(found)
                headers[f"x-ratelimit-limit-{what}"] = str(most)
                headers[f"x-ratelimit-remaining-{what}"] = str(remaining)
                headers[f"x-ratelimit-reset-{what}"] = f"{reset:.3f}".rstrip("0").rstrip(".") + "s"
        return headers

    def _window(self, rule: LimitRule, key: str | None) -> Window:
        windows = self._windows.get(rule.id)
        if windows is None:
            windows = self._windows[rule.id] = {}
        window = windows.get(key)
        if window is None:
            if len(windows) >= self._sweep_at.get(rule.id, _SWEEP_AT):
                self._sweep(rule.id, windows)
            window = windows[key] = Window()
        return window

    def _sweep(self, id: str, windows: dict[str | None, Window]) -> None:
        """Forgets the counters of keys that have not been seen for a minute; the next time when they are twice as many
        as are left, so that a sweep costs a new key next to nothing.
        """
        tick = self.tick()
        for key, window in list(windows.items()):
            window.move_to(tick)
            if window.idle:
                del windows[key]
        self._sweep_at[id] = max(2 * len(windows), _SWEEP_AT)

    def _fits(self, rule: LimitRule, window: Window, key: str | None, requests: int, tokens: int, units: int) -> bool:
        most_requests, most_tokens = rule.requests_per_minute, rule.tokens_per_minute
        if most_requests is not None and requests and window.requests >= most_requests:
            return False
        if most_tokens is not None and window.tokens + tokens > most_tokens:
            return False
        if not units or rule.budget is None:
            return True
        return self.spending.of(rule, key) + window.held + units <= rule.budget.units

    def _refusal(self, limits: Sequence[LimitRule], asked: "_Asked", counted: frozenset[int]) -> RateLimited:
        """The refusal of the limit that has to be waited for longest: until then no try can pass."""
        self.refused += 1
        tick = self._now() * TICKS
        covering = [
            (rule, self._window(rule, asked.key if rule.per_key else None))
            for rule in limits
            if rule.covers(asked.model, asked.key)
        ]
        found: list[Refusal] = []
        for rule, window in covering:
            requests = 0 if id(window) in counted else 1
            found += self._refusals(rule, window, asked, requests, tick)
        longest = max(found, key=lambda refusal: inf if refusal.wait is None else refusal.wait)
        return longest.error(self.headers_of(covering))

    def _refusals(
        self, rule: LimitRule, window: Window, asked: "_Asked", requests: int, tick: float
    ) -> "Iterator[Refusal]":
        most = rule.requests_per_minute
        if most is not None and requests and window.requests >= most:
            yield too_many_requests(rule, most, window.seconds_until(tick, most - 1, None))
        most = rule.tokens_per_minute
        if most is not None and window.tokens + asked.tokens > most:
            fits = asked.tokens <= most
            wait = window.seconds_until(tick, None, most - asked.tokens) if fits else None
            yield too_many_tokens(rule, most, asked.tokens, wait)
        budget = rule.budget
        if budget and asked.units and budget.currency == asked.currency:
            spent = self.spending.of(rule, asked.key)
            if spent + window.held + asked.units > budget.units:
                yield over_budget(rule, budget, spent, asked.units, self.spending)
