"""One measurement of one gateway: requests by wrk, streams by our own client, and what its processes used meanwhile."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from bench.gateway.sides import Route
from bench.gateway.streams import Found, Order
from bench.load import LoadError
from bench.server import Server
from bench.wrk import Sample, run_wrk

STREAMS, CHUNKS, PACE_MS = 64, 200, 20
HELD_STREAMS = 1_000
_HOLD_S = 4
_STREAM_LIMIT_S = 90.0
_ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Paced:
    """64 paced streams: milliseconds to the first byte, microseconds of CPU for each event, and how long all took."""

    first_p50_ms: float
    first_p99_ms: float
    cpu_us: float
    seconds: float


def requests(
    server: Server, route: Route, scratch: Path, *, clients: int, seconds: int, core: int
) -> tuple[Sample, float]:
    """Whole answers, by wrk, and microseconds of CPU for each. Raises LoadError when they are none."""
    listing = scratch / "requests.txt"
    listing.write_text("\n".join([route.path, *route.bodies()]) + "\n")
    before = server.cpu_seconds()
    sample = run_wrk(server.url, "post", [str(listing)], clients=clients, seconds=seconds, core=core)
    used = server.cpu_seconds() - before
    if sample.failure_share > 0.001:
        raise LoadError(f"{sample.failures} of {sample.answers} requests failed")
    # those under way at the end have used some too
    return sample, used / (sample.answers + clients / 2) * 1e6


def paced(server: Server, route: Route, core: int) -> Paced:
    """Streams that start together. Raises LoadError when one of them is not whole."""
    order = Order(
        port=server.port,
        path=route.path,
        body=route.stream(CHUNKS, PACE_MS),
        warm=route.stream(1, 0),
        streams=STREAMS,
        held=False,
        limit=_STREAM_LIMIT_S,
    )
    with _client(order, core) as client:
        _await(client, "READY")
        server.settle()
        before = server.cpu_seconds()
        _tell(client)
        found = _found(client)
        used = server.cpu_seconds() - before
    # the first event of a stream has another text
    if found.events != STREAMS * (CHUNKS - 1):
        raise LoadError(f"{found.events} events came instead of {STREAMS * (CHUNKS - 1)}")
    firsts = sorted(found.first_bytes)
    return Paced(
        first_p50_ms=statistics.median(firsts) * 1e3,
        first_p99_ms=firsts[int(len(firsts) * 0.99) - 1] * 1e3,
        cpu_us=used / (STREAMS * CHUNKS) * 1e6,
        seconds=found.seconds,
    )


def held(server: Server, route: Route, core: int) -> float:
    """Bytes of RSS that 1,000 open streams, with an event a second each, cost a server that has done nothing yet."""
    order = Order(
        port=server.port,
        path=route.path,
        body=route.stream(60, 1000),
        warm=None,
        streams=HELD_STREAMS,
        held=True,
        limit=_STREAM_LIMIT_S,
    )
    idle = server.resident_bytes()[0]
    most = idle
    with _client(order, core) as client:
        _await(client, "READY")
        _tell(client)
        _await(client, "OPEN")
        until = time.monotonic() + _HOLD_S
        while time.monotonic() < until:
            most = max(most, server.resident_bytes()[0])
            time.sleep(0.2)
        _tell(client)
        found = _found(client)
    if len(found.first_bytes) < HELD_STREAMS:
        raise LoadError(f"{len(found.first_bytes)} of {HELD_STREAMS} streams began")
    return float(most - idle)


@contextmanager
def _client(order: Order, core: int) -> Iterator[subprocess.Popen[str]]:
    command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.gateway.streams"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    client = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        _pipe(client.stdin).write(json.dumps(asdict(order)) + "\n")
        _pipe(client.stdin).flush()
        yield client
    finally:
        client.kill()
        client.communicate()


def _tell(client: subprocess.Popen[str]) -> None:
    _pipe(client.stdin).write("\n")
    _pipe(client.stdin).flush()


def _await(client: subprocess.Popen[str], word: str) -> None:
    line = _pipe(client.stdout).readline().strip()
    if line != word:
        raise LoadError(f"the streams did not start: {line[:300]}")


def _found(client: subprocess.Popen[str]) -> Found:
    line = _pipe(client.stdout).readline()
    if not line:
        raise LoadError(f"the streams did not end in {_STREAM_LIMIT_S:.0f} seconds")
    found = Found(**json.loads(line))
    if found.failures:
        raise LoadError(f"streams failed: {'; '.join(found.failures)}")
    return found


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise LoadError("the client of the streams has no pipe")
    return pipe
