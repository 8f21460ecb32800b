"""How much was asked for in the last minute: exact, and never more than the limit in any 60 seconds.

Time is cut into tenths of a second. What falls into one is counted together, and let go when all of that tenth is more
than a minute old: a place gets free at most a tenth of a second late, never early, and a window holds at most 601
counts, however much is asked.
"""

TICKS = 10
"""Into how many parts a second is cut."""
_MINUTE = 60 * TICKS + 1


class Slot:
    """What was asked for in one tenth of a second."""

    __slots__ = ("kept", "requests", "tick", "tokens")

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.requests = self.tokens = 0
        self.kept = True


class Window:
    """The last minute of one limit; how many requests are under way, and the billionths they hold of its budget."""

    __slots__ = ("_slots", "held", "requests", "tokens", "under_way")

    def __init__(self) -> None:
        self.requests = self.tokens = self.held = self.under_way = 0
        self._slots: list[Slot] = []

    @property
    def idle(self) -> bool:
        """Whether it says no more than a new one would."""
        return not self._slots and not self.under_way

    def move_to(self, tick: int) -> None:
        """Lets go of what is older than a minute."""
        slots, old = self._slots, tick - _MINUTE
        if not slots or slots[0].tick > old:
            return
        gone = 0
        for slot in slots:
            if slot.tick > old:
                break
            gone += 1
            slot.kept = False
            self.requests -= slot.requests
            self.tokens -= slot.tokens
        del slots[:gone]

    def take(self, tick: int, requests: int, tokens: int) -> Slot:
        """Counts what is asked for now."""
        slots = self._slots
        if not slots or slots[-1].tick < tick:
            slots.append(Slot(tick))
        slot = slots[-1]
        slot.requests += requests
        slot.tokens += tokens
        self.requests += requests
        self.tokens += tokens
        return slot

    def correct(self, slot: Slot, tick: int, tokens: int) -> None:
        """Counts more or fewer tokens than were taken in `slot`: fewer there, if that minute is not over; more now,
        when they are known of.
        """
        if tokens > 0:
            self.move_to(tick)
            self.take(tick, 0, tokens)
        elif slot.kept:
            slot.tokens += tokens
            self.tokens += tokens

    def seconds_until(self, tick: float, requests: int | None, tokens: int | None) -> float:
        """How long until no more than so many requests and tokens are left of what is here; None for any number."""
        left_requests, left_tokens, until = self.requests, self.tokens, tick
        for slot in self._slots:
            if (requests is None or left_requests <= requests) and (tokens is None or left_tokens <= tokens):
                break
            left_requests -= slot.requests
            left_tokens -= slot.tokens
            until = slot.tick + _MINUTE
        return max(until - tick, 0) / TICKS

    def seconds_until_empty(self, tick: float) -> float:
        """How long until nothing is left of what is here."""
        return max(self._slots[-1].tick + _MINUTE - tick, 0) / TICKS if self._slots else 0.0
