"""What has been spent, by workspace, model and key, on this day, in this month and in all.

It is kept for everything that costs, not only for what a budget is about: a budget that is made or changed counts what
was spent before, at once and exactly.
"""

from calendar import timegm
from collections.abc import Callable, Iterable
from time import gmtime
from typing import TypeAlias

from steelyard.gateway.limits import UNITS, LimitRule, Period
from steelyard.records.usage import Spent

_DAY = 86_400
# Workspace, model and key (None: all together; a caller without a key is ""), currency.
Scope: TypeAlias = tuple[str, str | None, str | None, str]


class _Sums:
    """Money in billionths; the sums of a day and of a month are those of the last ones in which there was any."""

    __slots__ = ("day", "day_number", "month", "month_number", "total")

    def __init__(self) -> None:
        self.day = self.month = self.total = self.day_number = self.month_number = 0


class Spending:
    """The sums. `wall` gives the seconds since 1970."""

    def __init__(self, wall: Callable[[], float], spent: Iterable[Spent] = ()) -> None:
        self.wall = wall
        self._sums: dict[Scope, _Sums] = {}
        self._day = self._month = 0
        self.turn()
        for item in spent:
            day, month, total = (round(value * UNITS) for value in (item.day, item.month, item.total))
            self._add(item.workspace, item.model, item.key, item.currency, day, month, total)

    def add(self, workspace: str, model: str, key: str | None, currency: str, units: int) -> None:
        """Something has been spent now."""
        self.turn()
        self._add(workspace, model, key, currency, units, units, units)

    def of(self, rule: LimitRule, key: str | None) -> int:
        """What has been spent of the budget of a rule in the present period; by the key alone, if it is `per_key`.

        The period is that of the last `turn`.
        """
        budget = rule.budget
        if budget is None:
            return 0
        by = key or "" if rule.per_key else rule.key
        sums = self._sums.get((rule.workspace, rule.model, by, budget.currency))
        if sums is None:
            return 0
        if budget.period == "total":
            return sums.total
        if budget.period == "month":
            return sums.month if sums.month_number == self._month else 0
        return sums.day if sums.day_number == self._day else 0

    def ends(self, period: Period) -> float | None:
        """When the present period ends, in seconds since 1970; None for never."""
        now = self.wall()
        if period == "total":
            return None
        if period == "day":
            return (now // _DAY + 1) * _DAY
        moment = gmtime(now)
        return timegm((moment.tm_year, moment.tm_mon + 1, 1, 0, 0, 0))

    def turn(self) -> None:
        """Begins a new day, if it is one. A clock that is set back does not bring an old one back."""
        day = int(self.wall() // _DAY)
        if day > self._day:
            moment = gmtime(day * _DAY)
            self._day, self._month = day, moment.tm_year * 12 + moment.tm_mon

    def _add(
        self, workspace: str, model: str, key: str | None, currency: str, day: int, month: int, total: int
    ) -> None:
        for scope in (
            (workspace, None, None, currency),
            (workspace, model, None, currency),
            (workspace, None, key or "", currency),
            (workspace, model, key or "", currency),
        ):
            sums = self._sums.get(scope)
            if sums is None:
                sums = self._sums[scope] = _Sums()
            if sums.day_number != self._day:
                sums.day, sums.day_number = 0, self._day
                if sums.month_number != self._month:
                    sums.month, sums.month_number = 0, self._month
            sums.day += day
            sums.month += month
            sums.total += total
