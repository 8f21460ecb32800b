"""The frame of every benchmark here: its command line, one run in a temporary folder, and what is told of it."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from bench.load import LoadError
from bench.required import Figure
from bench.server import ServerError
from bench.tables import Table, aligned, markdown
from bench.wrk import WrkError, find_wrk

FAULTS = (ServerError, LoadError, WrkError, subprocess.SubprocessError, OSError)
# The load average of a machine that does nothing else.
_QUIET = 0.7


class Run(ABC):
    """One run, and the names of what could not be measured in it.

    The words of a fault go to the terminal and never into the report: they may name a path of this machine.
    """

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self.missing: list[str] = []
        self._home = home
        self._quick: bool = options.quick
        self._rounds: int = options.rounds or (2 if options.quick else 5)
        self._load = os.getloadavg()[0]
        self._begun = time.monotonic()
        # the core for the servers and the one for the client: the same when there is only one
        cores = sorted(os.sched_getaffinity(0))
        self._server_core, self._client_core = cores[0], cores[-1]

    @classmethod
    def lacks(cls) -> str | None:
        """Which program this machine lacks for it, and how to install that; None when it has them all."""
        try:
            find_wrk()
        except WrkError as fault:
            return str(fault)
        return None

    @abstractmethod
    def run(self) -> None:
        """Measure. One of FAULTS ends it, and what was found before is told all the same."""

    @abstractmethod
    def figures(self) -> list[Figure]:
        """What is required, measured or not."""

    @abstractmethod
    def tables(self) -> list[tuple[str, Table]]:
        """What was found, with a title for each table."""

    @abstractmethod
    def ending(self) -> list[str]:
        """What stands below the tables on a page: how it was run, and the samples."""

    def text(self) -> str:
        """The report for a terminal."""
        return "\n\n".join(f"{title}\n\n{aligned(table)}" for title, table in self.tables())

    def markdown(self) -> str:
        """The report for a page."""
        parts = [f"## {title}\n\n{markdown(table)}" for title, table in self.tables()]
        return "\n\n".join([*parts, *self.ending()]) + "\n"

    @property
    def _minutes(self) -> float:
        return (time.monotonic() - self._begun) / 60

    def _course(self) -> str:
        """One note on how it was run."""
        return f"Rounds: {self._rounds}; minutes: {self._minutes:.0f}; load of the machine before: {self._load:.1f}."

    def _warn_when_busy(self) -> None:
        if self._load > _QUIET:
            say(f"The machine is at work already (load {self._load:.1f}): expect figures of little worth.")

    def _attempt(self, what: str, action: Callable[[], object]) -> bool:
        """Whether `action` went well; a fault is reported, and the rest of the run goes on."""
        try:
            action()
        except FAULTS as fault:
            say(f"NOT MEASURED: {what}: {fault}")
            if what not in self.missing:
                self.missing.append(what)
            return False
        return True


def command_line(name: str, about: str | None, *, quick: str) -> argparse.ArgumentParser:
    """The options that every benchmark has; `about` is the text of its module, `quick` what a quick run of it is."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=(about or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (5; quick: 2)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report there as Markdown")
    return parser


def add_choices(parser: argparse.ArgumentParser, parts: Sequence[str]) -> None:
    """The options of a benchmark that has a peer and can be run in `parts`."""

    def chosen(text: str) -> list[str]:
        wanted = text.split(",")
        unknown = [name for name in wanted if name not in parts]
        if unknown:
            raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")
        return wanted

    parser.add_argument("--skip-peer", action="store_true", help="without NeMo Platform")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of Steelyard's; may be repeated"
    )
    parser.add_argument(
        "--only", type=chosen, default=list(parts), metavar="NAME[,NAME]", help=f"of {', '.join(parts)}"
    )


def perform(kind: type[Run], options: argparse.Namespace) -> int:
    """Run it and tell; 0 when everything could be measured, whatever the figures are."""
    signal.signal(signal.SIGTERM, _end)
    if lacking := kind.lacks():
        say(lacking)
        return 2
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-", ignore_cleanup_errors=True) as home:
        benchmark = kind(options, Path(home))
        try:
            benchmark.run()
        except FAULTS as fault:
            say(f"NOT MEASURED: {fault}")
            benchmark.missing.append("the rest")
    print(benchmark.text())
    if options.output:
        options.output.write_text(benchmark.markdown())
    return 1 if benchmark.missing or any(figure.value is None for figure in benchmark.figures()) else 0


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """What every report says of this machine."""
    return f"{os.cpu_count()} cores; Python {platform.python_version()}"


def _end(_number: int, _frame: FrameType | None) -> None:
    # an ordinary exit, so that every server is stopped on the way out
    raise SystemExit(143)
