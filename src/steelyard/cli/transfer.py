"""`steelyard export` and `steelyard import`: a whole workspace as a file, one JSON object a line."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from steelyard.cli.address import workspace_verb
from steelyard.cli.errors import UsageError
from steelyard.cli.exporting import NDJSON, OutputFile, export_lines
from steelyard.cli.output import progress
from steelyard.cli.session import Session
from steelyard.cli.writing import DryRun, Reason, write_query

_SILENCE_SECONDS = 120.0
_IMPORT_SECONDS = 3600.0
_CHUNK = 1 << 16
_CHOICES = ("refuse", "replace", "skip")


def export(session: Session, output: OutputFile = None) -> None:
    """Export a workspace as lines of JSON, without secrets; `import` and `apply` take them."""
    path = workspace_verb(session.workspace, "export")
    noun, headers = f"records of {session.workspace}", {"accept": NDJSON}
    # The first two lines say that it is an export, and what the workspace is.
    export_lines(session, path, output, noun, extra=2, headers=headers, seconds=_SILENCE_SECONDS)


def import_(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="An export; - for stdin.", show_default=False)],
    *,
    on_conflict: Annotated[
        str,
        typer.Option(
            "--on-conflict",
            metavar="|".join(_CHOICES),
            help="What becomes of a record that is there already.",
            autocompletion=lambda incomplete: [choice for choice in _CHOICES if choice.startswith(incomplete)],
        ),
    ] = "refuse",
    reason: Reason = None,
    dry_run: DryRun = False,
) -> None:
    """Import an export into a workspace: all of it, or nothing."""
    if on_conflict not in _CHOICES:
        raise UsageError(f"--on-conflict takes {', '.join(_CHOICES)}")
    path = workspace_verb(session.workspace, "import")
    with _source(file) as (source, size):
        counts = session.client.send(
            "POST",
            path,
            query={"on_conflict": on_conflict, **write_query(dry_run=dry_run, reason=reason)},
            content=_sent(source, size, progress(session.output.quiet, "bytes sent")),
            headers={"content-type": NDJSON},
            seconds=_IMPORT_SECONDS,
        ).record()
    if session.output.json:
        session.output.value(counts)
    told = ", ".join(
        f"{counts[key]:,} {key}" for key in ("created", "updated", "unchanged", "skipped") if key in counts
    )
    session.output.line(f"{session.workspace}: {told}" + ("; nothing was written" if dry_run else ""))


@contextmanager
def _source(path: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if path == "-":
        yield sys.stdin.buffer, None
        return
    try:
        with Path(path).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _sent(source: BinaryIO, size: int | None, show: Callable[[int, int | None], None]) -> Iterator[bytes]:
    done = 0
    while chunk := source.read(_CHUNK):
        done += len(chunk)
        show(done, size)
        yield chunk
    show(0, None)
