"""Ten thousand streams that fail: no connection, task or memory is left behind."""

import asyncio
import gc
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from steelyard.api.protocol import SteelyardProtocol
from steelyard.api.requests import Stopping
from steelyard.app.assembly import build_app
from steelyard.app.context import open_context
from steelyard.gateway.connection import Answer
from steelyard.settings import Settings
from steelyard.store.data_folder import DataFolder
from tests.gateway import faults
from tests.gateway.gates import CHAT, IMPATIENT, Gate, gate, question
from tests.gateway.upstreams import Behaviour, Exchange, Upstream, until, upstream

pytestmark = pytest.mark.alone

STREAMS = 10_000
AT_ONCE = 24
GROWTH = 12 << 20
"""How much more memory the server may have after all of them, in bytes.

What they used is written down, and SQLite keeps the pages with it in memory: some 250 bytes a stream, up to 32 MiB. The
rest is room that the heap does not give back.
"""

_LEAVES = faults.stalling(3)
"""The engine says something and hangs; then the client leaves."""

FAULTS: tuple[Behaviour, ...] = (
    faults.cut_after(3),
    _LEAVES,
    faults.cut(40),
    faults.cut(700),
    faults.BAD_CHUNK_LATER,
    faults.RESET,
    faults.failing(500),
    faults.HTML,
    faults.split_chunks(11),
    faults.changed("an error", lambda answer: faults.with_error(answer, 4)),
    faults.NO_LAST_CHUNK,
    faults.GZIP,
    faults.raw("a huge line", b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: " + b"x" * 300_000),
    faults.NOT_HTTP,
)


def mixed() -> Behaviour:
    """Each request meets another fault. The request says which, so that its client can leave where it is to."""

    async def run(exchange: Exchange) -> None:
        await FAULTS[exchange.seen.json["seed"] % len(FAULTS)].run(exchange)

    return Behaviour("mixed", run)


class Client:
    """One connection after another; streams are read to their end, or left."""

    def __init__(self, url: str, model: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._model = parts.hostname, parts.port, model
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, seed: int) -> None:
        """One stream."""
        self._streams = self._streams or await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        body = json.dumps({**question(CHAT, self._model, stream=True), "seed": seed}).encode()
        begin = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n"
        head = begin + f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if FAULTS[seed % len(FAULTS)] is _LEAVES:
            await reader.readuntil(b"\n\n")
            self.leave()
        elif length := re.search(rb"content-length: (\d+)", answer):
            await reader.readexactly(int(length[1]))
        else:
            await reader.readuntil(b"0\r\n\r\n")

    def leave(self) -> None:
        """Ends the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def run_streams(url: str, model: str, number: int) -> None:
    """So many streams, some at a time."""
    seeds = count()

    async def work() -> None:
        client = Client(url, model)
        while (seed := next(seeds)) < number:
            async with asyncio.timeout(20):
                await client.ask(seed)
        client.leave()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream() as engine:
        yield engine


def _gauge(metrics: str, name: str) -> float:
    found = re.search(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", metrics, re.MULTILINE)
    assert found is not None, metrics
    return float(found[1])


async def test_ten_thousand_failing_streams_leave_nothing_behind(tmp_path: Path, engine: Upstream) -> None:
    engine.always = mixed()
    with gate(tmp_path / "data", "--set", "gateway.breaker_failures=1000") as door:
        model = door.model(engine, timeouts={**IMPATIENT, "first_byte_seconds": 10, "between_chunks_seconds": 10})
        await run_streams(door.server.url, model, 2000)
        engine.requests.clear()
        memory, files = door.rss(), door.files()

        await run_streams(door.server.url, model, STREAMS)

        assert len(engine.requests) >= STREAMS
        await asyncio.to_thread(_check_quiet, door, engine, files)
        grown = door.rss() - memory
        assert grown < GROWTH, f"{grown / 2**20:.1f} MiB more"
        print(f"{grown / 2**20:.1f} MiB more after {STREAMS} streams; {memory / 2**20:.1f} MiB before")


def _check_quiet(door: Gate, engine: Upstream, files: int) -> None:
    """Nothing is under way, and what is open is idle."""
    until(lambda: engine.busy == 0, lambda: f"{engine.busy} requests are still with the engine", seconds=5)
    metrics = door.http.get("/metrics").text
    assert _gauge(metrics, "steelyard_gateway_in_flight") == 0
    assert _gauge(metrics, "steelyard_gateway_queued") == 0
    assert _gauge(metrics, "steelyard_gateway_upstream_connections") == engine.open
    assert engine.open <= AT_ONCE
    until(lambda: door.files() <= files + AT_ONCE, lambda: f"{door.files()} files are open, {files} were", seconds=5)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """A server in the test's own process, whose tasks can be counted."""
    settings = Settings(
        data_dir=folder,
        outbound={"allowed_networks": ["127.0.0.0/8"]},
        gateway={"breaker_failures": 1000, "answer_bytes": 1 << 17},
        log={"access": False},
    )
    claimed = DataFolder.claim(settings.data_dir)
    app = build_app(settings, open_context(settings, claimed), Stopping())
    config = uvicorn.Config(app, port=0, http=SteelyardProtocol, ws="none", lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
        claimed.release()


async def test_no_task_and_no_answer_is_left_behind(tmp_path: Path, engine: Upstream) -> None:
    engine.always = mixed()
    async with serving(tmp_path / "data") as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        base = "/apis/models/v2/workspaces/default"
        body = {"name": "m", "api_endpoint": {"url": engine.url, "model_id": "tiny"}, "routing": {"retries": 0}}
        assert (await http.post(f"{base}/models", json=body)).status_code == 201
        await run_streams(url, "default/m", len(FAULTS) * AT_ONCE)
        await _until(lambda: engine.busy == 0)
        await asyncio.sleep(0.2)
        before, answers = len(asyncio.all_tasks()), _alive()
        for _ in range(3):
            await run_streams(url, "default/m", len(FAULTS) * AT_ONCE)
        await _until(lambda: engine.busy == 0)
        await _until(lambda: len(asyncio.all_tasks()) <= before, lambda: str(asyncio.all_tasks()))
        # A timer or a closure that outlives its request would keep its answer.
        await _until(lambda: _alive() <= answers, lambda: f"{_alive()} answers are kept, {answers} were")


def _alive() -> int:
    """How many answers of upstreams are in memory."""
    gc.collect()
    return sum(isinstance(one, Answer) for one in gc.get_objects())


async def _until(true: Callable[[], bool], otherwise: Callable[[], str] = lambda: "it never came true") -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(otherwise())
