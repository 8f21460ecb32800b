"""Exports: what a server has, line by line, as a file or on the standard output."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.client import Query
from steelyard.cli.errors import UsageError
from steelyard.cli.output import progress
from steelyard.cli.session import Session

NDJSON = "application/x-ndjson"
_CHUNK = 1 << 16

OutputFile = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to stdout.")
]


def export_lines(
    session: Session,
    path: str,
    output: str | None,
    noun: str,
    *,
    extra: int = 0,
    query: Query | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float,
) -> None:
    """Write the lines that the server answers to a file, or to the standard output without one.

    Of a file it says how many of what (`noun`) it holds; `extra` lines of it are none of them. The server may be silent
    for `seconds`. Raises `UsageError` for a file that cannot be written, and what `Client.stream` raises.
    """
    show, lines = progress(session.output.quiet, "lines exported"), 0
    with (
        session.client.stream(path, query=query, headers=headers, seconds=seconds) as answer,
        _target(output) as write,
    ):
        for chunk in answer.iter_bytes(_CHUNK):
            write(chunk)
            lines += chunk.count(b"\n")
            if output:
                show(lines, None)
    show(0, None)
    if output:
        session.output.note(f"{max(lines - extra, 0):,} {noun} written to {output}")


@contextmanager
def _target(path: str | None) -> Iterator[Callable[[bytes], object]]:
    """Where an export goes: a file appears under its name when it is whole, and not before."""
    if path is None or path == "-":
        yield lambda chunk: typer.echo(chunk, nl=False)
        return
    part = Path(f"{path}.part")
    try:
        with part.open("wb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise UsageError(f"--output: cannot write {path}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
