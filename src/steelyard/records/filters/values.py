"""Reads one value for a field, by the field's type."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from steelyard.errors import BadFilter
from steelyard.records.filters.ast import Scalar
from steelyard.records.filters.fields import FieldType, FilterField, bad, quoted, shown, suggestion

WORDS = {"true": True, "false": False}
"""What bools are called in brackets."""

_ONLY_ASKED = {FieldType.PRESENCE, FieldType.RELATION}
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?(?:[.]([0-9]{1,9}))?"
    r"(Z|z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def read_value(field: FilterField, value: Any, loose: bool) -> tuple[Scalar, ...]:
    """The value or, for a string from brackets on a field of any type, the values that it may mean."""
    if value is None:
        if field.type in _ONLY_ASKED:
            raise _wrong(field, "true or false", value)
        return (None,)
    match field.type:
        case FieldType.ANY:
            return _any(field, value, loose)
        case FieldType.TIME:
            return (_time(field, value),)
        case FieldType.ENUM:
            return (_enum(field, value),)
        case FieldType.FLAG | FieldType.PRESENCE | FieldType.RELATION:
            flag = WORDS.get(value) if loose and isinstance(value, str) else value
            if not isinstance(flag, bool):
                raise _wrong(field, "true or false", value)
            return (flag,)
        case _:
            return (read_string(field, value),)


def _any(field: FilterField, value: Any, loose: bool) -> tuple[Scalar, ...]:
    if isinstance(value, str):
        text = read_string(field, value)
        return (text, *_also_means(field, text)) if loose else (text,)
    if isinstance(value, bool):
        return (value,)
    if isinstance(value, int | float):
        return (_number(field, value),)
    raise _wrong(field, "a string, a number, true, false or null", value)


def _also_means(field: FilterField, text: str) -> tuple[Scalar, ...]:
    """The number, bool or null that a string from brackets reads as, too."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if value is None or isinstance(value, bool):
        return (value,)
    if isinstance(value, int | float):
        try:
            return (_number(field, value),)
        except BadFilter:
            return ()
    return ()


def _number(field: FilterField, value: int | float) -> int | float:
    """A number that every store can hold: what is past 64 bits becomes the nearest double."""
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise bad(f"Filter field {quoted(field.name)}: the number is too large for a double")
    return number


def read_string(field: FilterField, value: Any) -> str:
    """The string to compare with. Raises BadFilter for anything else, and for text that no record can hold."""
    if not isinstance(value, str):
        hint = "; put it in double quotes" if isinstance(value, int | float) else ""
        hint = "; for one of several, use $in" if isinstance(value, list) else hint
        raise _wrong(field, "a string", value, hint)
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise bad(f"The value of filter field {quoted(field.name)} holds a character that no record can hold")
    return value


def _enum(field: FilterField, value: Any) -> str:
    text = read_string(field, value)
    if text not in field.values:
        near = suggestion(text, field.values)
        raise bad(
            f"{shown(text)} is not a value of filter field {quoted(field.name)}{near} "
            f"Valid values: {', '.join(field.values)}, or true and false for any and none"
        )
    return text


def _time(field: FilterField, value: Any) -> str:
    """A date or a time in the stored form, `YYYY-MM-DDTHH:MM:SS.ffffffZ`; without a zone it is UTC."""
    found = _TIME.fullmatch(read_string(field, value))
    stored = _in_utc(*found.groups()) if found else None
    if stored is None:
        hint = " (a + in a URL is written %2B)" if re.search(r" [0-9]{2}:?[0-9]{2}$", value) else ""
        raise _wrong(field, "a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z", value, hint)
    return stored


def _in_utc(date: str, clock: str | None, seconds: str | None, fraction: str | None, zone: str | None) -> str | None:
    offset = "+00:00" if zone in {None, "Z", "z"} else zone
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{date}T{clock or '00:00'}{seconds or ':00'}.{micros}{offset}")
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    except (ValueError, OverflowError):  # no such day, or a zone that leads out of the calendar
        return None


def _wrong(field: FilterField, takes: str, value: Any, hint: str = "") -> BadFilter:
    return bad(f"Filter field {quoted(field.name)} takes {takes}, not {shown(value)}{hint}")
