"""What `audit` and `usage` share: both are journals, whose entries have a time and are picked by filters."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from steelyard.cli.errors import UsageError

# A journal may be long, and the server goes through all of it before it answers a sum or a check.
SECONDS = 300.0
_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TIMES: Mapping[str, tuple[str, str]] = {
    "since": ("--since", "From this time on: 2026-01-31T12:00:00Z, or so long ago: 30m, 24h, 7d."),
    "until": ("--until", "Before this time."),
}


def filter_options(own: Mapping[str, tuple[str, str]]) -> dict[str, tuple[Any, Any]]:
    """The options that pick entries: by time, by what the journal has of its `own` (flags and helps), by request."""
    flags = {**_TIMES, **own, "request_id": ("--request-id", "Only the request of that X-Request-ID.")}
    return {name: (Annotated[str | None, _option(flag, help)], None) for name, (flag, help) in flags.items()}


def query_of(filters: Mapping[str, str | None]) -> dict[str, str | int | list[str]]:
    """The query for the filters that are given. Raises `UsageError` for a time so long ago that there is no date."""
    return {name: _moment(value) if name in _TIMES else value for name, value in filters.items() if value is not None}


def _option(flag: str, help: str) -> Any:
    return typer.Option(flag, metavar=flag[2:].upper().replace("-", "_"), help=help)


def _moment(text: str) -> str:
    """A time as the server takes it; the server says what is wrong with one that is neither this nor that."""
    found = _AGO.fullmatch(text)
    if found is None:
        return text
    try:
        moment = datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise UsageError(f"{text} ago is before the first year") from None
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
