"""Ids of records and the text of times. Randomness and the time of day come in from outside."""

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


def timestamp(seconds: int, microseconds: int) -> str:
    """A time since 1970 as RFC 3339 in UTC with microseconds; the order of such texts is the order of time."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{microseconds:06}Z"
