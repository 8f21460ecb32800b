"""Runs the plan: round by round, side by side, one server awake at a time."""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from bench.load import LoadError, fetch
from bench.plan import Cell, Side, Step, place_of
from bench.records import create_bodies, paths
from bench.results import Results, rate_of
from bench.server import Server
from bench.wrk import run_wrk

_SCRIPTS = {"patch": "patch", "hot": "hot", "create": "create"}


class Rounds:
    """The servers of one run, asleep but for the one that is measured.

    `servers` finds them by side and size; a bare ASGI server has size 0. `scratch` is a folder for the files
    that tell wrk what to request; `core` is where wrk runs. `attempt` gets the name of what is done and does
    it: a fault in one measurement is its business, and the others go on.
    """

    def __init__(
        self,
        servers: Mapping[tuple[Side, int], Server],
        scratch: Path,
        core: int,
        attempt: Callable[[str, Callable[[], object]], bool],
    ) -> None:
        self._servers = servers
        self._scratch = scratch
        self._core = core
        self._begun = time.monotonic()
        self._attempt = attempt
        self._tags = count(1)
        self._checked: set[tuple[Cell, Side]] = set()

    def run(self, steps: list[Step], rounds: int) -> Results:
        """Measure every step in its rounds.

        Each round begins with Steelyard as it was loaded: what the round before has written is taken back.
        """
        results = Results()
        for each in self._servers.values():
            each.freeze()
        for turn in range(rounds):
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
            if turn > 0:
                self._restore()
            for step in steps:
                server = self._servers.get(place_of(step))
                if turn < step.rounds and server is not None:
                    measure = partial(self._measure, step, server, turn, results)
                    self._attempt(f"{step.cell.key}, {step.side.value}", measure)
        return results

    def _measure(self, step: Step, server: Server, turn: int, results: Results) -> None:
        cell = step.cell
        requests = self._scratch / "requests.txt"
        lines = paths(cell.operation, server.models or cell.size)
        if cell.operation == "create":
            lines += create_bodies()
        requests.write_text("\n".join(lines) + "\n")
        server.thaw()
        try:
            self._check(step, server, lines[0])
            script = _SCRIPTS.get(cell.operation, "get")
            arguments = [str(requests), f"{next(self._tags)}"]
            wrk = partial(run_wrk, clients=cell.clients, seconds=step.seconds, core=self._core)
            sample = wrk(server.url, script, arguments)
            server.settle()
        finally:
            server.freeze()
        results.add(cell, step.side, turn, sample)
        since, rate = time.monotonic() - self._begun, rate_of(step.side)(sample)
        print(f"{since:6.0f} s  {cell.key} {step.side.value}: {rate:,.1f}/s", file=sys.stderr, flush=True)
        if cell.operation == "create" and step.side is Side.OURS:
            server.restore_snapshot()
            server.freeze()

    def _check(self, step: Step, server: Server, path: str) -> None:
        """Ask once in a while: wrk counts a redirect or an empty list as a success, and they are none."""
        place = (step.cell, step.side)
        if place in self._checked or step.side in (Side.ASGI, Side.SQLITE) or step.cell.operation in _SCRIPTS:
            return
        self._checked.add(place)
        body = fetch(server.url, path)
        if step.cell.operation == "get":
            if "name" not in body:
                raise LoadError(f"{step.side.value} answered no model: {str(body)[:200]}")
            return
        data = body.get("data")
        expected = {"list": 100, "like": 10}.get(step.cell.operation, 1)
        if not isinstance(data, list) or len(data) < expected:
            raise LoadError(f"{step.side.value} answered too few models for {path}")

    def _restore(self) -> None:
        for (side, size), server in self._servers.items():
            if side is Side.OURS:
                self._attempt(f"{side.value} with {size:,} models, again", server.restore_snapshot)
                server.freeze()
