"""Parameters that many operations share. (Coroutine functions: the framework runs plain ones in a thread each.)"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Query

from steelyard.errors import InvalidParameters


async def nowhere() -> str:
    """The workspace of records that are in none."""
    return ""


async def not_verbose() -> bool:
    """For kinds without parts that are shown on demand."""
    return False


async def not_narrowed() -> None:
    """For lists whose only filter is that of the caller."""


async def _home(workspace: Annotated[str, Path(description="The workspace's name.")]) -> str:
    return workspace


Home = Annotated[str, Depends(_home)]
Verbose = Annotated[bool, Query(description="Show the linear layers of specs too.")]
PastRevision = Annotated[int | None, Query(ge=1, le=2**53, description="As it was after the change of that number.")]
AtTime = Annotated[str | None, Query(max_length=64, description="As it was at that time (RFC 3339).")]
UpdateMask = Annotated[
    str | None,
    Query(
        max_length=8192,
        description="The paths to change, as `description,spec.context_size`; `*` for every field.",
    ),
]


def past_time(text: str | None, name: str = "at") -> str | None:
    """The time in the parameter `name`, as records write times; without a zone it is UTC. Raises InvalidParameters for
    what is no RFC 3339 time.
    """
    if text is None:
        return None
    try:
        # A plus sign that was not percent-encoded has become a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        message = "must be a time as 2026-01-31T12:00:00Z (RFC 3339)"
        raise InvalidParameters.of(("query", name), "datetime_parsing", message) from None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
