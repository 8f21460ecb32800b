"""Ids of records and the text of times. Randomness and the time of day come in from outside."""

from collections.abc import Callable
from datetime import UTC, datetime

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def record_id(prefix: str, random: bytes) -> str:
    """`prefix`, a hyphen, and `random` (16 bytes of a UUID) in base 58 (the Bitcoin alphabet)."""
    number = int.from_bytes(random, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    return f"{prefix}-{''.join(reversed(digits)) or _ALPHABET[0]}"


def rising_clock(seconds: Callable[[], float]) -> Callable[[], str]:
    """A clock of timestamps that never stands still or goes back, so that the order of changes can be told.

    `seconds` are those since 1970. A timestamp is RFC 3339 in UTC with microseconds; the order of such texts is the
    order of time.
    """
    last, second, text = 0, -1, ""

    def now() -> str:
        nonlocal last, second, text
        last = max(last + 1, int(seconds() * 1_000_000))
        whole, fraction = divmod(last, 1_000_000)
        if whole != second:
            second, text = whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text}.{fraction:06}Z"

    return now


def instant(moment: datetime) -> str:
    """A time of UTC in the form of records."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def time_ago(seconds: Callable[[], float]) -> Callable[[float], str]:
    """A function that tells the time so many seconds ago, in the form of records."""

    def ago(past: float) -> str:
        return instant(datetime.fromtimestamp(seconds() - past, UTC))

    return ago
