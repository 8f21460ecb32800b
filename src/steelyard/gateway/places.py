"""The live state of those who serve models: who is busy, who is left alone, and who has said how long to wait.

A place is known by its key, and outlives changes of its record: a provider whose key was changed is as busy as it was.
"""

import asyncio
from collections import deque
from random import random
from typing import NamedTuple

from steelyard.errors import Overloaded

_MOST = 50_000
"""How many places and budgets are remembered, before those that have nothing to remember are forgotten."""


class BreakerRules(NamedTuple):
    """After how many failures in a row a place is left alone, and for how many seconds, at first and at most."""

    failures: int = 5
    seconds: float = 10.0
    most_seconds: float = 120.0


class Place:
    """One provider or endpoint.

    The breaker is closed, open (the place is left alone until a time), or half open (one request tries it out).
    """

    __slots__ = (
        "_rules",
        "_trying",
        "_waiting",
        "failures",
        "held_until",
        "in_flight",
        "key",
        "most",
        "most_waiting",
        "open_until",
        "opened",
        "patience",
    )

    def __init__(self, key: str, rules: BreakerRules) -> None:
        self.key = key
        self._rules = rules
        self.in_flight = 0
        self.most: int | None = None
        self.most_waiting = 100
        self.patience = 30.0
        self.failures = 0
        self.opened = 0
        """How often the breaker has opened since the last success."""
        self.open_until = 0.0
        self.held_until = 0.0
        self._trying = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many requests wait for it."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether it has all the requests that it may have at once."""
        return self.most is not None and self.in_flight >= self.most

    @property
    def at_ease(self) -> bool:
        """Whether nothing speaks against asking it: its breaker is closed, and it has never said to wait."""
        return not self.opened and not self.held_until and not self.open_until

    def wait_for(self, now: float) -> float:
        """For how many seconds it is left alone: 0 if it can be asked."""
        until = max(self.open_until, self.held_until)
        if until > now:
            return until - now
        # The time is over: one request at a time tries it out.
        return 1.0 if self.opened and self._trying else 0.0

    def bound(self, most: int | None, most_waiting: int, patience: float) -> None:
        """How many requests it may have at once, how many may wait, and for how many seconds; who fits is let in."""
        self.most, self.most_waiting, self.patience = most, most_waiting, patience
        if self._waiting:
            self._admit()

    async def enter(self) -> None:
        """Takes a place among those that are asked at once, or waits for one. Raises Overloaded."""
        if self.full:
            await self._queue()
        else:
            self.in_flight += 1
        if self.opened:
            self._trying = True

    def leave(self) -> None:
        """The request is over; who waits is let in."""
        self._trying = False
        self.in_flight -= 1
        if self._waiting:
            self._admit()

    def succeeded(self) -> None:
        """It has answered as it should."""
        self.failures = self.opened = 0
        self.open_until = 0.0

    def failed(self, now: float) -> None:
        """It has not."""
        self.failures += 1
        self._trying = False
        if self.failures >= self._rules.failures or self.opened:
            seconds = min(self._rules.seconds * 2**self.opened, self._rules.most_seconds)
            # Apart from one another, so that many gateways do not all come back in the same moment.
            self.open_until = now + seconds * (0.8 + 0.4 * random())  # noqa: S311 - guards nothing
            self.opened = min(self.opened + 1, 16)

    def hold(self, until: float) -> None:
        """It has said that it is to be left alone until then."""
        self.held_until = max(self.held_until, until)

    def _admit(self) -> None:
        """Lets in who has waited longest, as many as fit; they are counted before they know it."""
        while self._waiting and not self.full:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)

    async def _queue(self) -> None:
        if len(self._waiting) >= self.most_waiting:
            raise Overloaded(
                f"{self.key} is busy, and {len(self._waiting)} requests wait for it; try again",
                headers={"Retry-After": "1"},
            )
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self.patience):
                await waiter
        except TimeoutError:
            if waiter.done() and not waiter.cancelled():
                return  # it was let in in this very moment
            self._waiting.remove(waiter)
            raise Overloaded(
                f"{self.key} was busy for {self.patience:g} s; try again", headers={"Retry-After": "1"}
            ) from None
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.leave()
            else:
                self._waiting.remove(waiter)
            raise


class RetryBudget:
    """How many retries a model may have: a share of its requests, and a few at any time."""

    __slots__ = ("_left", "_share")

    MOST = 10.0

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = self.MOST

    def asked(self) -> None:
        """A request has come."""
        self._left = min(self._left + self._share, self.MOST)

    def take(self) -> bool:
        """Whether one more retry is allowed; then it is counted."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Places:
    """All places and budgets, by their keys."""

    def __init__(self, rules: BreakerRules, retry_share: float) -> None:
        self._rules = rules
        self._share = retry_share
        self._places: dict[str, Place] = {}
        self._budgets: dict[str, RetryBudget] = {}

    def place(self, key: str) -> Place:
        """The place of that key."""
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _MOST:
                busy = {one: known for one, known in self._places.items() if known.in_flight or known.opened}
                self._places = busy
            place = self._places[key] = Place(key, self._rules)
        return place

    def budget(self, model: str) -> RetryBudget:
        """The budget of retries of a model."""
        budget = self._budgets.get(model)
        if budget is None:
            if len(self._budgets) >= _MOST:
                self._budgets = {}
            budget = self._budgets[model] = RetryBudget(self._share)
        return budget

    def in_flight(self) -> float:
        """How many requests are with upstreams."""
        return float(sum(place.in_flight for place in self._places.values()))

    def queued(self) -> float:
        """How many requests wait for a place."""
        return float(sum(place.waiting for place in self._places.values()))

    def breaker_states(self, now: float) -> dict[str, float]:
        """Of each place, 0 for a closed breaker, 1 for one that is tried out, 2 for an open one."""
        return {key: _state(place, now) for key, place in self._places.items()}


def _state(place: Place, now: float) -> float:
    if not place.opened:
        return 0.0
    return 2.0 if place.open_until > now else 1.0
