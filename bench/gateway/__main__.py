"""The gateway benchmark: Steelyard, its peer, LiteLLM and nginx before one mock upstream. ../README.md says how."""

import argparse
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import contestants as registry_contestants
from bench import peer
from bench.gateway import contestants, figures, measure
from bench.gateway.samples import Key, Samples
from bench.gateway.sides import Case, Route, Side
from bench.plain_files import find_nginx
from bench.required import Figure
from bench.running import Run, add_choices, command_line, machine, perform, say
from bench.server import Server
from bench.tables import Table, bullets, folded, json_block, required

_PARTS = ("latency", "speed", "streams", "held")
_ORDER = (Side.DIRECT, Side.NGINX, Side.OURS, Side.PEER, Side.LITELLM)
# Slow sides need longer for as many answers: seconds for the latency, and for the speed.
_SECONDS = {Side.PEER: (3, 8), Side.LITELLM: (3, 10)}


class Benchmark(Run):
    """One run: the servers, and what was found."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        super().__init__(options, home)
        self.samples = Samples()
        self._options = options
        self._mock = Server(contestants.mock(), home / "mock", self._client_core)
        self._servers: dict[Side, Server] = {Side.DIRECT: self._mock}

    @classmethod
    def lacks(cls) -> str | None:
        """Of wrk and nginx."""
        nginx = None if find_nginx() else "nginx is missing (Debian: apt-get install nginx-light)"
        return super().lacks() or nginx

    def run(self) -> None:
        """Fills `samples`. Raises one of FAULTS only when the mock does not start."""
        # a thousand streams are two thousand sockets in a gateway
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._warn_when_busy()
        try:
            self._mock.start()
            for side in _ORDER[1:]:
                if not self._skipped(side) and not self._attempt(side.value, partial(self._start, side)):
                    self._give_up(side)
            for turn in range(self._rounds):
                say(f"round {turn + 1} of {self._rounds}")
                self._round(turn)
        finally:
            for server in self._servers.values():
                server.stop()

    def figures(self) -> list[Figure]:
        """The required figures of what was asked for."""
        with_peer, with_litellm = (not self._skipped(side) for side in (Side.PEER, Side.LITELLM))
        return figures.required(self.samples, peer=with_peer, litellm=with_litellm, only=self._options.only)

    def tables(self) -> list[tuple[str, Table]]:
        """What was measured, and the figures."""
        return [*figures.tables(self.samples), ("Gateway: required figures", required(self.figures()))]

    def ending(self) -> list[str]:
        """How it was run, and every sample."""
        others = [(Side.PEER, peer.REQUIREMENT), (Side.LITELLM, contestants.LITELLM)]
        compared = [requirement for side, requirement in others if not self._skipped(side)]
        notes = [
            f"{'; '.join([machine(), *compared])}.",
            self._course(),
            *(f"Not measured: {what}." for what in self.missing),
        ]
        return [bullets(notes), folded(json_block(self.samples.raw()))]

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


def _pairs() -> list[tuple[Side, Case]]:
    """Every side, and after ours its other cases."""
    return [(side, case) for side in _ORDER for case in (Case if side is Side.OURS else (Case.PLAIN,))]


def main() -> int:
    """Run it; the exit code is that of `perform`."""
    parser = command_line("gateway", __doc__, quick="two rounds instead of five")
    add_choices(parser, _PARTS)
    parser.add_argument("--skip-litellm", action="store_true", help="without LiteLLM")
    return perform(Benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
