"""The registry benchmark: Steelyard, its peer and its limits in one run. README.md says how it is made."""

import argparse
import sys
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

from bench import contestants, footprint, peer, plan, report
from bench.fleet import Fleet, needed
from bench.footprint import Footprint
from bench.plan import Side, Step
from bench.required import Figure, figures
from bench.results import Results
from bench.rounds import Rounds
from bench.running import Run, add_choices, command_line, machine, perform, say
from bench.tables import Table, bullets, folded, json_block, required

_PARTS = (*plan.OPERATIONS, "start", "install")


class Benchmark(Run):
    """One run, with everything that it found out."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        super().__init__(options, home)
        self._peer: bool = not options.skip_peer
        self._only: list[str] = options.only
        self._steelyard = contestants.steelyard(contestants.copy_source(home), options.set)
        self._fleet = Fleet(self._steelyard, home, self._server_core, 25 if self._quick else 90)
        self._results = Results()
        self._ours, self._theirs = Footprint(), Footprint()

    def run(self) -> None:
        """Everything that was asked for."""
        self._warn_when_busy()
        if self._peer and not self._attempt("the peer", peer.install):
            self._peer = False
        self._weigh()
        # with --only there may be no required figure that a fault here leaves empty: it is told by this name
        self._attempt("the rounds", self._measure)

    def _measure(self) -> None:
        steps = self._steps()
        fleet = self._fleet
        try:
            for side, size in needed(steps):
                if not self._attempt(f"{side.value} with {size:,} models", partial(fleet.start, side, size)):
                    fleet.servers.pop((side, size)).stop()
            rounds = Rounds(fleet.servers, self._home, self._client_core, self._attempt)
            self._results = rounds.run(steps, self._rounds)
        finally:
            fleet.stop()

    def _steps(self) -> list[Step]:
        steps = plan.quick(self._rounds) if self._quick else plan.full(self._rounds)
        sides = set(Side) if self._peer else set(Side) - {Side.PEER}
        return [step for step in steps if step.cell.operation in self._only and step.side in sides]

    def _weigh(self) -> None:
        """Fill in what was asked for of the two footprints."""
        ours, theirs = self._ours, self._theirs
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

    def figures(self) -> list[Figure]:
        """The required figures of what was asked for."""
        return figures(self._results, self._ours, with_peer=self._peer, only=self._only)

    def tables(self) -> list[tuple[str, Table]]:
        """Speeds, footprints and figures."""
        tables = [
            ("Speed", report.speed(self._results)),
            ("Footprint", report.footprint(self._ours, self._theirs)),
            ("Required figures", required(self.figures())),
        ]
        # --only leaves some of them without a figure
        return [(title, table) for title, table in tables if any(any(row[1:]) for row in table[1:])]

    def text(self) -> str:
        """The report for a terminal, with the notes."""
        return f"{super().text()}\n\n{bullets(self._notes())}\n"

    def ending(self) -> list[str]:
        """The notes, and every sample."""
        raw = {"samples": self._results.raw(), "steelyard": asdict(self._ours), "peer": asdict(self._theirs)}
        return [f"## How it was run\n\n{bullets(self._notes())}", folded(json_block(raw))]

    def _notes(self) -> list[str]:
        versions = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools"))
        kind = "the quick run" if self._quick else "the full run"
        notes = [
            f"{machine()}; {versions}.",
            "Every server on one core, wrk on another; one server awake at a time; all in one run.",
            "Speeds: median over the rounds; p50 and p99 in milliseconds. "
            "Ratios: median of the ratios per round (least..greatest).",
            "The peer is measured for longer, and with the requests under way at the end counted in part.",
            f"Rounds: {self._rounds}; minutes: {self._minutes:.0f}; {kind}.",
            f"The machine's load before the run: {self._load:.1f}.",
        ]
        if self._peer:
            notes.append(f"The peer: {peer.REQUIREMENT}, its core services, without controllers, auth off.")
        for (side, size), server in self._fleet.servers.items():
            if side is Side.PEER and server.models < size:
                notes.append(
                    f"The peer held {server.models:,} models where the table says {size:,}: "
                    "more could not be created in the time that it has."
                )
        unmeasured = [figure.title for figure in self.figures() if figure.value is None]
        return notes + [f"Not measured: {what}." for what in [*self.missing, *unmeasured]]


def main() -> int:
    """Run it; the exit code is that of `perform`."""
    parser = command_line("registry", __doc__, quick="the required figures only, in under 3 minutes")
    add_choices(parser, _PARTS)
    return perform(Benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
