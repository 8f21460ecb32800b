"""The registry benchmark: Steelyard, its peer and its limits in one run. README.md says how it is made."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

from bench import contestants, footprint, peer, plan
from bench.fleet import Fleet, needed
from bench.footprint import Footprint
from bench.load import LoadError
from bench.plan import Side, Step
from bench.report import Report
from bench.required import figures
from bench.rounds import Rounds
from bench.server import ServerError
from bench.wrk import WrkError, find_wrk

_FAULTS = (ServerError, LoadError, WrkError, subprocess.SubprocessError, OSError)
# The load average of a machine that does nothing else.
_QUIET = 0.7
_PARTS = (*plan.OPERATIONS, "start", "install")


class Benchmark:
    """One run, and the names of what could not be measured in it.

    The words of a fault go to the terminal and never into the report: they may name a path of this machine.
    """

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self.missing: list[str] = []
        self._home = home
        self._steelyard = contestants.steelyard(contestants.copy_source(home), options.set)
        self._quick: bool = options.quick
        self._peer: bool = not options.skip_peer
        self._rounds: int = options.rounds or (2 if options.quick else 5)
        self._only: list[str] = options.only
        self._server_core, self._client_core = _cores()
        self._load = 0.0

    def run(self) -> Report:
        """Everything that was asked for."""
        begun, self._load = time.monotonic(), os.getloadavg()[0]
        if self._load > _QUIET:
            say(f"The machine is at work already (load {self._load:.1f}): expect figures of little worth.")
        if self._peer and not self._attempt("the peer", peer.install):
            self._peer = False
        ours, theirs = Footprint(), Footprint()
        self._weigh(ours, theirs)
        steps = self._steps()
        fleet = Fleet(self._steelyard, self._home, self._server_core, 25 if self._quick else 90)
        try:
            for side, size in needed(steps):
                if not self._attempt(f"{side.value} with {size:,} models", partial(fleet.start, side, size)):
                    fleet.servers.pop((side, size)).stop()
            rounds = Rounds(fleet.servers, self._home, self._client_core, self._attempt)
            results = rounds.run(steps, self._rounds)
        finally:
            fleet.stop()
        required = figures(results, ours, with_peer=self._peer, only=self._only)
        self.missing += [figure.title for figure in required if figure.value is None]
        return Report(results, ours, theirs, required, self._notes(fleet, time.monotonic() - begun))

    def _steps(self) -> list[Step]:
        steps = plan.quick(self._rounds) if self._quick else plan.full(self._rounds)
        sides = set(Side) if self._peer else set(Side) - {Side.PEER}
        return [step for step in steps if step.cell.operation in self._only and step.side in sides]

    def _weigh(self, ours: Footprint, theirs: Footprint) -> None:
        """Fill in what was asked for of the two footprints."""
        if "start" in self._only:
            say("cold starts and idle memory")
            start = partial(footprint.start_and_idle, core=self._server_core)
            home, times = self._home, 3 if self._quick else 5
            self._attempt("cold start", partial(start, self._steelyard, home / "ours", times, ours))
            if self._peer:
                times = 1 if self._quick else 3
                self._attempt("the peer's start", partial(start, peer.recipe(), home / "peer", times, theirs))
        if "install" in self._only:
            say("sizes of the installations")
            self._attempt("install", partial(footprint.our_install, self._home / "install", ours))
            if self._peer:
                self._attempt("the peer's size", partial(footprint.peer_install, theirs))

    def _attempt(self, what: str, action: Callable[[], object]) -> bool:
        """Whether `action` went well; a fault is reported, and the rest of the run goes on."""
        try:
            action()
        except _FAULTS as fault:
            say(f"NOT MEASURED: {what}: {fault}")
            if what not in self.missing:
                self.missing.append(what)
            return False
        return True

    def _notes(self, fleet: Fleet, seconds: float) -> list[str]:
        kind = "the quick run" if self._quick else "the full run"
        notes = [f"Rounds: {self._rounds}; minutes: {seconds / 60:.0f}; {kind}."]
        notes.append(f"The machine's load before the run: {self._load:.1f}.")
        if self._peer:
            notes.append(f"The peer: {peer.REQUIREMENT}, its core services, without controllers, auth off.")
        for (side, size), server in fleet.servers.items():
            if side is Side.PEER and server.models < size:
                notes.append(
                    f"The peer held {server.models:,} models where the table says {size:,}: "
                    "more could not be created in the time that it has."
                )
        return notes + [f"Not measured: {what}." for what in self.missing]


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when everything could be measured, whatever the figures are."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        find_wrk()
    except WrkError as fault:
        say(str(fault))
        return 2
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-", ignore_cleanup_errors=True) as home:
        benchmark = Benchmark(options, Path(home))
        report = benchmark.run()
    print(report.text())
    if options.output:
        options.output.write_text(report.markdown())
    return 1 if benchmark.missing else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.registry", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the required figures only, in under 3 minutes")
    parser.add_argument("--skip-peer", action="store_true", help="without NeMo Platform")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (5; quick: 2)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report there as Markdown")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of Steelyard's; may be repeated"
    )
    parser.add_argument(
        "--only", type=_parts, default=list(_PARTS), metavar="NAME[,NAME]", help=f"of {', '.join(_PARTS)}"
    )
    return parser.parse_args(arguments)


def _parts(text: str) -> list[str]:
    wanted = text.split(",")
    unknown = [name for name in wanted if name not in _PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}; there are {', '.join(_PARTS)}")
    return wanted


def _cores() -> tuple[int, int]:
    """The core for the servers and the one for wrk: the same when there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def _end(_number: int, _frame: FrameType | None) -> None:
    # an ordinary exit, so that every server is stopped on the way out
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
