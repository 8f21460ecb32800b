"""The contract of limits, for any order of requests, ends and times.

What the limiter admits is written down beside it, with exact times, and held against the contract from the outside.
"""

from copy import deepcopy
from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from steelyard.errors import RateLimited
from steelyard.gateway.limiter import Limiter, Reservation
from steelyard.gateway.limits import UNITS, Budget, LimitRule
from tests.gateway.clocks import Clock

MINUTE = 60_000
LATE = 100
"""How much later than a minute a place may get free, in milliseconds."""

waits = st.one_of(st.just(0), st.integers(0, 300), st.integers(0, 20_000), st.sampled_from([59_999, 60_000, 60_100]))


def _held(
    clock: Clock, rule: LimitRule, limiter: Limiter, tokens: int = 0, cost: float = 0.0
) -> Reservation | RateLimited:
    try:
        return limiter.reserve([rule], workspace="w", model="w/m", key=None, tokens=tokens, cost=cost)
    except RateLimited as error:
        return error


@given(most=st.integers(1, 5), steps=st.lists(waits, max_size=60))
@example(most=1, steps=[0, 60_000, 60])
@example(most=2, steps=[0, 99, 59_900, 101, 99])
def test_of_requests(most: int, steps: list[int]) -> None:
    """Never more than the limit in any 60 seconds; none is refused that has room for a tenth of a second; and one that
    is refused passes when it is told to come again, and not a second earlier.
    """
    clock = Clock()
    limiter, rule = Limiter(clock.now, clock.wall), LimitRule("l", "l", "w", requests_per_minute=most)
    passed: list[int] = []
    for wait in steps:
        clock.milliseconds += wait
        now = clock.milliseconds
        answer = _held(clock, rule, limiter)
        if isinstance(answer, Reservation):
            passed.append(now)
            assert sum(now - MINUTE < time <= now for time in passed) <= most
        else:
            assert sum(now - MINUTE - LATE < time for time in passed) >= most
            wait_for = int(answer.headers["retry-after"])
            assert [_passes_after(clock, limiter, rule, wait_for - less) for less in (1, 0)] == [False, True]


def _passes_after(clock: Clock, limiter: Limiter, rule: LimitRule, seconds: int) -> bool:
    """Whether a request would pass then, if none came before."""
    clock, limiter = deepcopy((clock, limiter))
    clock.pass_(seconds)
    return isinstance(_held(clock, rule, limiter), Reservation)


@dataclass
class Told:
    """What a request is known to use: at first what it asked for."""

    time: int
    tokens: int
    answer: Reservation
    surplus: list[tuple[int, int]] = field(default_factory=list)


steps_of_tokens = st.lists(
    st.tuples(waits, st.integers(0, 60), st.none() | st.tuples(st.integers(0, 9), st.none() | st.integers(0, 120))),
    max_size=50,
)


@given(most=st.integers(1, 100), steps=steps_of_tokens)
@example(most=10, steps=[(0, 10, None), (59_000, 0, (0, 60)), (1_100, 10, None)])
def test_of_tokens(most: int, steps: list[tuple[int, int, tuple[int, int | None] | None]]) -> None:
    """At each admission, the tokens of the last minute, as far as they are known, and its own are within the limit."""
    clock = Clock()
    limiter, rule = Limiter(clock.now, clock.wall), LimitRule("l", "l", "w", tokens_per_minute=most)
    told: list[Told] = []
    open_: list[Told] = []
    for wait, tokens, ends in steps:
        clock.milliseconds += wait
        now = clock.milliseconds
        if ends is not None and open_:
            number, used = ends
            one = open_.pop(number % len(open_))
            if used is None:
                one.answer.release()
                used = 0
            else:
                one.answer.settle(used, 0.0)
            if used > one.tokens:
                one.surplus.append((now, used - one.tokens))
            else:
                one.tokens = used

        def known(since: int, told: list[Told] = told) -> int:
            counted = [(one.time, one.tokens) for one in told] + [more for one in told for more in one.surplus]
            return sum(number for time, number in counted if time > since)

        answer = _held(clock, rule, limiter, tokens)
        if isinstance(answer, Reservation):
            assert known(now - MINUTE) + tokens <= most
            open_.append(Told(now, tokens, answer))
            told.append(open_[-1])
        else:
            assert known(now - MINUTE - LATE) + tokens > most


steps_of_money = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 40), st.none() | st.tuples(st.integers(0, 9), st.integers(0, 50))),
    max_size=60,
)


@given(amount=st.integers(1, 100), steps=steps_of_money)
def test_of_money(amount: int, steps: list[tuple[int, int, tuple[int, int] | None]]) -> None:
    """At each admission, what is spent, held and asked for is no more than the budget; and what fits is admitted."""
    # In cents, of which a sum of floats would soon lose a part.
    clock = Clock()
    limiter = Limiter(clock.now, clock.wall)
    rule = LimitRule("l", "l", "w", budget=Budget(amount * UNITS // 100, "USD", "total"))
    spent, held = 0, list[tuple[int, Reservation]]()
    for wait, cents, ends in steps:
        clock.milliseconds += wait
        if ends is not None and held:
            number, cost = ends
            _, reservation = held.pop(number % len(held))
            reservation.settle(1, cost / 100)
            spent += cost
        answer = _held(clock, rule, limiter, cost=cents / 100)
        fits = spent + sum(each for each, _ in held) + cents <= amount
        assert isinstance(answer, Reservation) == fits
        if isinstance(answer, Reservation):
            held.append((cents, answer))
    for _, reservation in held:
        reservation.release()
    # Nothing is held any more, to the last billionth: the rest of the budget can be had whole.
    if spent < amount:
        assert isinstance(_held(clock, rule, limiter, cost=(amount - spent) / 100), Reservation)
