"""Slows down those who guess: failed sign-ins are counted by address, and by the id of the key that they name."""

from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from steelyard.auth.keys import read_key
from steelyard.errors import RateLimited

_WINDOW = 60.0
_MOST = 50_000


class Attempts:
    """Failed sign-ins of the last minute. `now` gives the seconds of a clock that is never set."""

    def __init__(self, per_minute: int, now: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._now = now
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str | None, credential: str) -> None:
        """Raises RateLimited if there have been too many."""
        if not self._failed:
            return
        now = self._now()
        for name in _names(address, credential):
            times = self._failed.get(name)
            if times is None:
                continue
            while times and times[0] <= now - _WINDOW:
                times.pop(0)
            if len(times) >= self._per_minute:
                wait = str(max(ceil(times[0] + _WINDOW - now), 1))
                raise RateLimited(
                    "too many failed sign-ins; wait", headers={"Retry-After": wait, "x-should-retry": "false"}
                )

    def failed(self, address: str | None, credential: str) -> None:
        """One has failed."""
        now = self._now()
        for name in _names(address, credential):
            times = self._failed.setdefault(name, [])
            self._failed.move_to_end(name)
            if len(times) < self._per_minute:
                times.append(now)
        while len(self._failed) > _MOST:
            self._failed.popitem(last=False)


def _names(address: str | None, credential: str) -> list[str]:
    found = read_key(credential)
    return [name for name in (f"address {address}" if address else None, f"key {found[0]}" if found else None) if name]
