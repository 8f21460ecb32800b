"""How a long transfer is shown: a bar for a person at a terminal, a few plain lines for anybody else."""

import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steelyard.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def size_text(nbytes: int | float) -> str:
    """A number of bytes for a person: 512 bytes, 1.5 KiB, 3.0 GiB."""
    if abs(nbytes) < 1024:
        return f"{int(nbytes)} bytes"
    power = min(int(math.log(abs(nbytes), 1024)), len(_UNITS))
    return f"{nbytes / 1024**power:,.1f} {_UNITS[power - 1]}"


class Bar:
    """How far a transfer is; threads may tell it."""

    def __init__(self, progress: "Progress | None", task: Any, files: int) -> None:
        self._progress = progress
        self._task = task
        self._files = files
        self._done = 0
        self._lock = threading.Lock()

    def advance(self, nbytes: int) -> None:
        """So many bytes more are done; a negative number takes some back."""
        if self._progress is not None:
            self._progress.advance(self._task, nbytes)

    def file_done(self) -> None:
        """One file more is done."""
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress.update(self._task, files=f"{self._done}/{self._files}")


@contextmanager
def bar(output: Output, verb: str, files: int, nbytes: int) -> Iterator[Bar]:
    """A bar over `files` files of `nbytes` bytes together; without a terminal, one line that says what begins."""
    if output.quiet or output.json or not sys.stderr.isatty():
        if files:
            output.note(f"{verb} {files:,} {'file' if files == 1 else 'files'}, {size_text(nbytes)}")
        yield Bar(None, None, files)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        TextColumn("{task.fields[files]}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(verb, total=nbytes, files=f"0/{files}")
        yield Bar(progress, task, files)
