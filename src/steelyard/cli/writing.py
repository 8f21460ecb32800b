"""What every write takes and tells: why it is made, whether only for show, and what came of it."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from steelyard.cli.differences import show_preview
from steelyard.cli.session import Session

IfMatch = Annotated[
    str | None,
    typer.Option("--if-match", metavar="ETAG", help="Only if the record still has this ETag; else exit code 6."),
]
Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Why, for the history."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would change and what else it would touch; write nothing."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def write_query(*, dry_run: bool = False, reason: str | None = None) -> dict[str, str]:
    """The query of a write."""
    # As a parameter, because a header takes no more than Latin letters.
    return {**({"dry_run": "true"} if dry_run else {}), **({"reason": reason} if reason else {})}


def tell(
    session: Session, record: Mapping[str, Any], title: str, done: str, before: Mapping[str, Any] | None = None
) -> None:
    """What a write has done, or would do; `before` is the record as it was, where changes are to be told."""
    output = session.output
    if output.json:
        output.value(record)
    elif "dry_run" in record:
        show_preview(output, f"{title} would be {done}", record["dry_run"])
    elif before is None:
        output.line(f"{title} {done}")
    else:
        output.changes(title, done, before, record)


def read_before(session: Session, path: str, *, dry_run: bool) -> dict[str, Any] | None:
    """The record before a write, where it is only needed to say what changed: the write itself needs no reading."""
    if session.output.json or session.output.quiet or dry_run:
        return None
    return session.client.call("GET", path).record()
