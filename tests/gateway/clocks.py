"""A clock for limits, which tells both the time since some start and that of the day, and stands until it is moved."""


class Clock:
    """Whole milliseconds, so that nothing is rounded; it starts at 2026-01-30T23:00:00Z."""

    def __init__(self) -> None:
        self.milliseconds = 0

    def now(self) -> float:
        return 1000 + self.milliseconds / 1000

    def wall(self) -> float:
        return 1_769_814_000 + self.milliseconds / 1000

    def pass_(self, seconds: float) -> None:
        self.milliseconds += round(seconds * 1000)
