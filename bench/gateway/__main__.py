"""The gateway benchmark: Steelyard, its peer, LiteLLM and nginx before one mock upstream. ../README.md says how."""

import argparse
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import contestants as registry_contestants
from bench import peer
from bench.gateway import contestants, figures, measure
from bench.gateway.samples import Key, Samples
from bench.gateway.sides import Case, Route, Side
from bench.plain_files import find_nginx
from bench.registry import _FAULTS, _QUIET, _cores, _end, say
from bench.required import Figure
from bench.server import Server
from bench.tables import Table, aligned, bullets, folded, json_block, markdown, required
from bench.wrk import WrkError, find_wrk

_PARTS = ("latency", "speed", "streams", "held")
_ORDER = (Side.DIRECT, Side.NGINX, Side.OURS, Side.PEER, Side.LITELLM)
# Slow sides need longer for as many answers: seconds for the latency, and for the speed.
_SECONDS = {Side.PEER: (3, 8), Side.LITELLM: (3, 10)}


class Benchmark:
    """One run: the servers, what was found, and the names of what could not be measured."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self.missing: list[str] = []
        self.samples = Samples()
        self.load = os.getloadavg()[0]
        self._home = home
        self._options = options
        self._quick: bool = options.quick
        self.rounds: int = options.rounds or (2 if options.quick else 5)
        self._server_core, self._client_core = _cores()
        self._mock = Server(contestants.mock(), home / "mock", self._client_core)
        self._servers: dict[Side, Server] = {Side.DIRECT: self._mock}

    def run(self) -> None:
        """Fills `samples`. Raises one of _FAULTS only when the mock does not start."""
        if self.load > _QUIET:
            say(f"The machine is at work already (load {self.load:.1f}): expect figures of little worth.")
        try:
            self._mock.start()
            for side in _ORDER[1:]:
                if not self._skipped(side) and not self._attempt(side.value, partial(self._start, side)):
                    self._give_up(side)
            for turn in range(self.rounds):
                say(f"round {turn + 1} of {self.rounds}")
                self._round(turn)
        finally:
            for server in self._servers.values():
                server.stop()

    def figures(self) -> list[Figure]:
        """The required figures of what was asked for."""
        with_peer, with_litellm = (not self._skipped(side) for side in (Side.PEER, Side.LITELLM))
        return figures.required(self.samples, peer=with_peer, litellm=with_litellm, only=self._options.only)

    def _skipped(self, side: Side) -> bool:
        return bool({Side.PEER: self._options.skip_peer, Side.LITELLM: self._options.skip_litellm}.get(side))

    def _give_up(self, side: Side) -> None:
        server = self._servers.pop(side, None)
        if server is not None:
            server.stop()

    def _start(self, side: Side) -> None:
        """Start one gateway, tell it where the mock is, see it answer, and put it to sleep."""
        say(f"{side.value}: starting")
        upstream = self._mock.port
        if side is Side.NGINX:
            recipe = contestants.nginx(upstream)
        elif side is Side.OURS:
            settings = ["outbound.allow_private=true", *self._options.set]
            recipe = registry_contestants.steelyard(registry_contestants.copy_source(self._home), settings)
        elif side is Side.PEER:
            peer.install()
            recipe = peer.recipe()
        else:
            contestants.install_litellm()
            recipe = contestants.litellm(upstream)
        server = self._servers[side] = Server(recipe, self._home / side.name.lower(), self._server_core)
        server.start()
        if side is Side.OURS:
            contestants.tell_ours(server, upstream)
        elif side is Side.PEER:
            contestants.tell_peer(server, upstream)
        contestants.wait_until_it_answers(server, contestants.route(side))
        server.settle()
        server.freeze()

    def _round(self, turn: int) -> None:
        """Part by part, the sides right after one another."""
        only = self._options.only
        for side in _ORDER if "latency" in only else ():
            self._measure(side, Case.PLAIN, turn, "latency", self._latency)
        for side, case in _pairs() if "speed" in only else ():
            self._measure(side, case, turn, "speed", self._speed)
        for side, case in _pairs() if "streams" in only else ():
            if case in (Case.PLAIN, Case.TRANSLATED):
                self._measure(side, case, turn, "streams", self._streams)
        for side in (Side.NGINX, Side.OURS) if "held" in only else ():
            self._measure(side, Case.PLAIN, turn, "held", self._held)

    def _measure(
        self, side: Side, case: Case, turn: int, part: str, action: Callable[[Server, Route, Side], dict[str, float]]
    ) -> None:
        """One side awake, one measurement; a fault in it is told, and the others go on."""
        server = self._servers.get(side)
        if server is None:
            return

        def take() -> None:
            server.thaw()
            try:
                found = action(server, contestants.route(side, case), side)
                server.settle()
            finally:
                if server is not self._mock:
                    server.freeze()
            for name, value in found.items():
                self.samples.add(Key(name, side, case), turn, value)
            told = ", ".join(f"{name} {value:,.3f}" for name, value in found.items())
            say(f"  {side.value}, {case.value}: {told}")

        self._attempt(f"{part}, {side.value}, {case.value}", take)

    def _latency(self, server: Server, route: Route, side: Side) -> dict[str, float]:
        seconds = _SECONDS.get(side, (2, 2))[0]
        sample, _ = measure.requests(server, route, self._home, clients=1, seconds=seconds, core=self._client_core)
        return {figures.P50_1: sample.p50_ms, figures.P99_1: sample.p99_ms}

    def _speed(self, server: Server, route: Route, side: Side) -> dict[str, float]:
        seconds = _SECONDS.get(side, (2, 3))[1]
        sample, used = measure.requests(server, route, self._home, clients=64, seconds=seconds, core=self._client_core)
        # what is under way at the end counts in part where only a few answers come in all that time
        rate = sample.generous_rate if side in _SECONDS else sample.rate
        found = {figures.RATE_64: rate, figures.P50_64: sample.p50_ms, figures.P99_64: sample.p99_ms}
        return found if side is Side.DIRECT else {**found, figures.CPU_REQUEST: used}

    def _streams(self, server: Server, route: Route, side: Side) -> dict[str, float]:
        found = measure.paced(server, route, self._client_core)
        first = {figures.FIRST: found.first_p50_ms, figures.FIRST_P99: found.first_p99_ms}
        return first if side is Side.DIRECT else {**first, figures.CPU: found.cpu_us}

    def _held(self, server: Server, route: Route, _side: Side) -> dict[str, float]:
        server.stop()
        server.start()
        server.settle()
        return {figures.HELD: measure.held(server, route, self._client_core) / figures.MIB}

    def _attempt(self, what: str, action: Callable[[], object]) -> bool:
        try:
            action()
        except _FAULTS as fault:
            say(f"NOT MEASURED: {what}: {fault}")
            if what not in self.missing:
                self.missing.append(what)
            return False
        return True


def _pairs() -> list[tuple[Side, Case]]:
    """Every side, and after ours its other cases."""
    return [(side, case) for side in _ORDER for case in (Case if side is Side.OURS else (Case.PLAIN,))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when everything could be measured, whatever the figures are."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        find_wrk()
    except WrkError as fault:
        say(str(fault))
        return 2
    if find_nginx() is None:
        say("nginx is missing (Debian: apt-get install nginx-light)")
        return 2
    # a thousand streams are two thousand sockets in a gateway
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-", ignore_cleanup_errors=True) as home:
        benchmark = Benchmark(options, Path(home))
        try:
            benchmark.run()
        except _FAULTS as fault:
            say(f"NOT MEASURED: {fault}")
    wanted = benchmark.figures()
    tables: list[tuple[str, Table]] = figures.tables(benchmark.samples)
    tables.append(("Gateway: required figures", required(wanted)))
    print("\n\n".join(f"{title}\n\n{aligned(table)}" for title, table in tables))
    if options.output:
        notes = _notes(benchmark, options, time.monotonic() - begun)
        options.output.write_text(_page(tables, notes, benchmark.samples))
    return 1 if benchmark.missing or any(figure.value is None for figure in wanted) else 0


def _page(tables: list[tuple[str, Table]], notes: list[str], samples: Samples) -> str:
    parts = [f"## {title}\n\n{markdown(table)}" for title, table in tables]
    parts.append(bullets(notes))
    parts.append(folded(json_block(samples.raw())))
    return "\n\n".join(parts) + "\n"


def _notes(benchmark: Benchmark, options: argparse.Namespace, seconds: float) -> list[str]:
    peers = [
        name
        for name, skipped in ((peer.REQUIREMENT, options.skip_peer), (contestants.LITELLM, options.skip_litellm))
        if not skipped
    ]
    return [
        f"{'; '.join([f'{os.cpu_count()} cores', f'Python {platform.python_version()}', *peers])}.",
        f"Rounds: {benchmark.rounds}; minutes: {seconds / 60:.0f}; load of the machine before: {benchmark.load:.1f}.",
        *(f"Not measured: {what}." for what in benchmark.missing),
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds instead of five")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds")
    parser.add_argument("--skip-peer", action="store_true", help="without NeMo Platform")
    parser.add_argument("--skip-litellm", action="store_true", help="without LiteLLM")
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


if __name__ == "__main__":
    sys.exit(main())
