"""What it costs to ask who is calling: ratios within one run.

Two servers with the same 1,000 models, 10,000 keys and 1,000 role bindings, one of which asks for a key
(`auth.enabled=true`); on one core, the client and the mock upstream on the other; one server awake at a time. In each
round: GET of one model by 16 and by 64 clients, chat completions by 64 through the gateway, for 100 of the models, and
PATCH by 16, on both right after one another. The one that asks gets every key in turn, the other none. A ratio is made
of each round; their median decides.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench import contestants
from bench.callers import BINDINGS, KEYS, add_callers
from bench.connection import Connection
from bench.gateway.contestants import mock
from bench.gateway.sides import Route
from bench.load import LoadError, create_models
from bench.records import name_of, paths
from bench.required import MIB, Figure
from bench.results import Spread, spread
from bench.running import Run, command_line, machine, perform, say
from bench.server import Server
from bench.tables import Table, bullets, folded, json_block, number, required
from bench.wrk import run_wrk

_MODELS, _SERVED = 1000, 100
_CHAT = "/v1/chat/completions"
_PROVIDERS = "/apis/models/v2/workspaces/default/providers"
_OFF, _ON = "off", "on"


@dataclass(frozen=True)
class Cell:
    """One thing that is measured; `most` is how many percent of its throughput may go, None for what is only told."""

    title: str
    operation: str
    clients: int
    most: float | None = None

    @property
    def rate(self) -> str:
        """Under which name its speed is kept."""
        return f"{self.title}, requests/s"

    @property
    def cpu(self) -> str:
        """Under which name its work is kept."""
        return f"{self.title}, CPU per request, µs"


_CELLS = (
    Cell("GET, 16 clients", "get", 16, 25),
    Cell("GET, 64 clients", "get", 64, 25),
    Cell("gateway, 64 clients", "chat", 64, 15),
    Cell("PATCH, 16 clients", "patch", 16),
)


class Benchmark(Run):
    """The servers and the samples of one run: by what was measured and on which server, one value a round."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        super().__init__(options, home)
        self._seconds = 2 if self._quick else 4
        self._tags = count(1)
        self._keys: list[str] = []
        self.samples: dict[tuple[str, str], list[float]] = {}
        self._mock = Server(mock(), home / "mock", self._client_core)
        source = contestants.copy_source(home)
        self._servers: dict[str, Server] = {}
        for side, enabled in ((_OFF, "false"), (_ON, "true")):
            settings = [f"auth.enabled={enabled}", "outbound.allow_private=true"]
            self._servers[side] = Server(contestants.steelyard(source, settings), home / side, self._server_core)

    def run(self) -> None:
        """Fills `samples`; a server that fails ends it."""
        self._warn_when_busy()
        try:
            self._mock.start()
            self._fill()
            for side, server in self._servers.items():
                server.start()
                # Every key once, before anything is measured: what follows from it is worked out then.
                self._ask(side, _CELLS[0], 6 if side is _ON else 2)
                server.freeze()
            for turn in range(self._rounds):
                say(f"round {turn + 1} of {self._rounds}")
                for cell in _CELLS:
                    # in the one order and the other, so that what the machine does besides meets both
                    for side in (_OFF, _ON) if turn % 2 == 0 else (_ON, _OFF):
                        self._measure(side, cell)
            for side, server in self._servers.items():
                self._keep("memory after all, RSS, MiB", side, server.resident_bytes()[0] / MIB)
        finally:
            for server in (self._mock, *self._servers.values()):
                server.stop()

    def _fill(self) -> None:
        say(f"{_MODELS:,} models, {KEYS:,} keys, {BINDINGS:,} role bindings")
        first, second = self._servers[_OFF], self._servers[_ON]
        first.start()
        create_models(first.url, 0, _MODELS, workers=4, seconds=120)
        served = [{"model_entity_id": name_of(number), "served_model_name": "mock"} for number in range(_SERVED)]
        where = f"http://127.0.0.1:{self._mock.port}/v1"
        provider = {"name": "mock", "host_url": where, "discover": False, "status": "READY", "served_models": served}
        connection = Connection(first)
        connection.ask("POST", _PROVIDERS, provider)
        connection.close()
        first.stop()
        self._keys = add_callers(first.data)
        shutil.copytree(first.data, second.data, dirs_exist_ok=True)

    def _measure(self, side: str, cell: Cell) -> None:
        server = self._servers[side]
        server.thaw()
        try:
            rate, cpu = self._ask(side, cell, self._seconds)
            server.settle()
        finally:
            server.freeze()
        self._keep(cell.rate, side, rate)
        self._keep(cell.cpu, side, cpu)
        say(f"  {cell.title}, {side}: {rate:,.0f}/s, {cpu:.0f} µs")

    def _ask(self, side: str, cell: Cell, seconds: int) -> tuple[float, float]:
        """Requests a second, and microseconds of CPU for each. Raises LoadError if any of them is refused."""
        listing = self._home / "requests.txt"
        listing.write_text("\n".join(self._requests(side, cell.operation)) + "\n")
        server = self._servers[side]
        before = server.cpu_seconds()
        arguments = [str(listing)]
        sample = run_wrk(server.url, "ready", arguments, clients=cell.clients, seconds=seconds, core=self._client_core)
        used = server.cpu_seconds() - before
        if sample.failures or not sample.answers:
            raise LoadError(f"{cell.title}, {side}: {sample.failures} of {sample.answers} requests failed")
        # those under way at the end have used some too
        return sample.rate, used / (sample.answers + cell.clients / 2) * 1e6

    def _requests(self, side: str, operation: str) -> Iterator[str]:
        """As many requests as there are keys, each with a key of its own where one is asked for."""
        make = {"get": _gets, "patch": self._patches, "chat": _chats}[operation]()
        for key in self._keys:
            method, path, body = next(make)
            yield f"{method}\t{path}\t{key if side is _ON else '-'}\t{body}"

    def _patches(self) -> Iterator[tuple[str, str, str]]:
        tag = next(self._tags)
        for turn, (_, path, _) in enumerate(_gets()):
            change = {
                "description": f"Checkpoint {turn} of sweep {tag}, kept after the nightly evaluation.",
                "custom_fields": {"team": "search", "stage": "candidate", "sweep": str(tag), "step": turn},
            }
            yield "PATCH", path, json.dumps(change)

    def _keep(self, what: str, side: str, value: float) -> None:
        self.samples.setdefault((what, side), []).append(value)

    def ratio(self, what: str, make: Callable[[float, float], float] = lambda on, off: on / off) -> Spread | None:
        """The spread of what is made of both servers' values, round by round."""
        pairs = zip(self.samples.get((what, _ON), []), self.samples.get((what, _OFF), []), strict=False)
        return spread([make(on, off) for on, off in pairs if off > 0])

    def figures(self) -> list[Figure]:
        """What is required."""

        def lost(on: float, off: float) -> float:
            return (1 - on / off) * 100

        return [
            Figure("access", f"{cell.title}: throughput lost", cell.most, False, "%", self.ratio(cell.rate, lost))
            for cell in _CELLS
            if cell.most is not None
        ]

    def tables(self) -> list[tuple[str, Table]]:
        """Samples and figures, as text."""
        rows = [["measured (median)", "auth off", "auth on", "on to off"]]
        for what in dict.fromkeys(what for what, _ in self.samples):
            off, on = (spread(self.samples.get((what, side), [])) for side in (_OFF, _ON))
            found = self.ratio(what)
            if off and on and found:
                ratio = f"{number(found.median)}x ({number(found.low)}..{number(found.high)})"
                rows.append([what, number(off.median), number(on.median), ratio])
        return [("Authentication: measured", rows), ("Authentication: required figures", required(self.figures()))]

    def ending(self) -> list[str]:
        """How it was run, and every sample."""
        raw = {f"{what}, {side}": [round(one, 2) for one in values] for (what, side), values in self.samples.items()}
        return [bullets([f"{machine()}.", self._course()]), folded(json_block(raw, ensure_ascii=False))]


def _gets() -> Iterator[tuple[str, str, str]]:
    listed = paths("get", _MODELS)
    while True:
        yield from (("GET", path, "") for path in listed)


def _chats() -> Iterator[tuple[str, str, str]]:
    bodies = Route(_CHAT, tuple(f"default/{name_of(number)}" for number in range(_SERVED))).bodies()
    while True:
        yield from (("POST", _CHAT, body) for body in bodies)


def main() -> int:
    """Run it; the exit code is that of `perform`."""
    return perform(Benchmark, command_line("access", __doc__, quick="two short rounds").parse_args())


if __name__ == "__main__":
    sys.exit(main())
