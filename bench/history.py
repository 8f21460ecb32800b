"""What the history of changes costs, and what batches save: ratios within one run.

Two servers with 1,000 models each, with history and without (`history.enabled=false`), on one core; the client on the
other; one server awake at a time. In each round: PATCH by 16 clients on both; how many bytes of the database 1,000
changes take on both; 1,000 updates one by one over one keep-alive connection, and as one batch; one model of 1,000
revisions read as it is and as it was, in turn. A ratio is made of each round; their median decides.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from bench import contestants
from bench.connection import Connection
from bench.load import LoadError, create_models
from bench.records import MODELS_PATH, name_of, paths
from bench.required import Figure
from bench.results import Spread, spread
from bench.running import Run, command_line, machine, perform, say
from bench.server import Recipe, Server
from bench.tables import Table, json_block, number, required
from bench.wrk import run_wrk

_MODELS = 1000
_OPERATIONS = 1000
_REVISIONS = 1000
_BATCH_PATH = "/apis/steelyard/v1/workspaces/default:batch"


def _without_history(recipe: Recipe) -> Recipe:
    def command(port: int, data: Path) -> list[str]:
        return [*recipe.command(port, data), "--set", "history.enabled=false"]

    return Recipe("steelyard-without-history", command, recipe.environment)


class Benchmark(Run):
    """The servers and the samples of one run: by what was measured, one value a round."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        super().__init__(options, home)
        self._seconds = 2 if self._quick else 5
        self._numbers = count(1)
        self.samples: dict[str, list[float]] = {}
        recipe = contestants.steelyard(contestants.copy_source(home))
        self._with = Server(recipe, home / "with", self._server_core)
        self._without = Server(_without_history(recipe), home / "without", self._server_core)

    def run(self) -> None:
        """Fills `samples`; a server that fails ends it."""
        try:
            for server in (self._with, self._without):
                say(f"{server.name}: {_MODELS} models")
                server.start()
                create_models(server.url, 0, _MODELS, workers=4, seconds=120)
            self._make_long_history()
            for turn in range(self._rounds):
                say(f"round {turn + 1} of {self._rounds}")
                self._throughput()
                self._growth()
                self._batch()
                self._past()
        finally:
            for server in (self._with, self._without):
                server.stop()

    def _keep(self, what: str, value: float) -> None:
        self.samples.setdefault(what, []).append(value)

    def _alone(self, server: Server) -> None:
        """The one server awake, the other where it is."""
        other = self._without if server is self._with else self._with
        other.freeze()
        server.thaw()

    def _throughput(self) -> None:
        requests = self._home / "requests.txt"
        requests.write_text("\n".join(paths("patch", _MODELS)) + "\n")
        for what, server in (("patches/s, history on", self._with), ("patches/s, history off", self._without)):
            self._alone(server)
            arguments = [str(requests), f"{next(self._numbers)}"]
            measure = partial(run_wrk, server.url, "patch", arguments, clients=16)
            sample = measure(seconds=self._seconds, core=self._client_core)
            if sample.failures:
                raise LoadError(f"{what}: {sample.failures} requests failed")
            server.settle()
            self._keep(what, sample.rate)

    def _changes(self, method: str = "patch") -> list[dict[str, Any]]:
        """A change for each of a thousand models; none of them is as it was."""
        turn = next(self._numbers)
        return [
            {"op": "update", "kind": "model", "name": name_of(one), "body": {"description": f"{method} {turn} {one}"}}
            for one in range(_OPERATIONS)
        ]

    def _growth(self) -> None:
        for what, server in (("bytes/change, history on", self._with), ("bytes/change, history off", self._without)):
            self._alone(server)
            before = _database_bytes(server)
            _one_by_one(server, self._changes())
            self._keep(what, (_database_bytes(server) - before) / _OPERATIONS)

    def _batch(self) -> None:
        self._alone(self._with)
        self._keep("1,000 one by one, s", _one_by_one(self._with, self._changes()))
        connection = Connection(self._with)
        body = {"operations": self._changes("batch")}
        begun = time.perf_counter()
        answer = connection.ask("POST", _BATCH_PATH, body)
        self._keep("1,000 in one batch, s", time.perf_counter() - begun)
        connection.close()
        said = json.loads(answer)
        if said["applied"] != _OPERATIONS or not all(result["changed"] for result in said["results"]):
            raise LoadError("the batch did not change every model")

    def _make_long_history(self) -> None:
        self._alone(self._with)
        connection = Connection(self._with)
        connection.ask("POST", MODELS_PATH, {"name": "long", "custom_fields": {"number": 1}})
        for revision in range(2, _REVISIONS + 1):
            connection.ask("PATCH", f"{MODELS_PATH}/long", {"custom_fields": {"number": revision}})
        connection.close()

    def _past(self) -> None:
        """Now and then in turn, so that both meet the same machine; a request now goes the router's way as well."""
        self._alone(self._with)
        connection = Connection(self._with)
        now: list[float] = []
        then: list[float] = []
        for revision in range(1, _REVISIONS, 3):
            for path, times in ((f"{MODELS_PATH}/long", now), (f"{MODELS_PATH}/long?revision={revision}", then)):
                begun = time.perf_counter()
                connection.ask("GET", path)
                times.append(time.perf_counter() - begun)
        connection.close()
        self._keep("GET now, ms", statistics.median(now) * 1000)
        self._keep("GET at a revision, ms", statistics.median(then) * 1000)

    def ratio(self, over: str, under: str) -> Spread | None:
        """The spread of one over the other, round by round."""
        pairs = zip(self.samples.get(over, []), self.samples.get(under, []), strict=False)
        return spread([a / b for a, b in pairs if b > 0])

    def figures(self) -> list[Figure]:
        """What is required."""
        patch = self.ratio("patches/s, history off", "patches/s, history on")
        batch = self.ratio("1,000 one by one, s", "1,000 in one batch, s")
        past = self.ratio("GET at a revision, ms", "GET now, ms")
        return [
            Figure("history", "PATCH, 16 clients, history off to on", 1.5, False, "x", patch),
            Figure("history", "1,000 operations one by one to one batch", 5, True, "x", batch),
            Figure("history", "GET at a revision of 1,000 to GET now", 5, False, "x", past),
        ]

    def tables(self) -> list[tuple[str, Table]]:
        """Samples and figures, as text."""
        rows = [["measured", "median", "least", "greatest", "rounds"]]
        for what, values in self.samples.items():
            if found := spread(values):
                middle = [number(value) for value in (found.median, found.low, found.high)]
                rows.append([what, *middle, str(found.rounds)])
        return [("History: measured", rows), ("History: required figures", required(self.figures()))]

    def ending(self) -> list[str]:
        """The machine, and every sample."""
        raw = {what: [round(value, 4) for value in values] for what, values in self.samples.items()}
        return [f"{machine()}; the {'quick' if self._quick else 'full'} run.", json_block(raw)]


def _one_by_one(server: Server, operations: list[dict[str, Any]]) -> float:
    """Seconds that the updates take, each sent when the one before is answered, over one connection."""
    connection = Connection(server)
    begun = time.perf_counter()
    for operation in operations:
        connection.ask("PATCH", f"{MODELS_PATH}/{operation['name']}", operation["body"])
    seconds = time.perf_counter() - begun
    connection.close()
    return seconds


def _database_bytes(server: Server) -> int:
    """The pages of the database that are in use, those in the write-ahead log too."""
    with closing(sqlite3.connect(f"file:{server.data}/steelyard.db?mode=ro", uri=True)) as database:
        pages, free, size = (
            database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def main() -> int:
    """Run it; the exit code is that of `perform`."""
    return perform(Benchmark, command_line("history", __doc__, quick="two short rounds").parse_args())


if __name__ == "__main__":
    sys.exit(main())
