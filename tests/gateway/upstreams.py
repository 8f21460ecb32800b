"""An engine for tests that can break every rule of HTTP: a server on bare connections, in a thread of its own.

Each request is kept in `requests`. How the next ones are answered stands in a queue (`next`), and how all others are in
`always`; `faults.py` has what can be put there.
"""

import asyncio
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

from tests.gateway.replies import WORDS, Reply, reply_to

PATIENCE = 20.0


class Gone(Exception):
    """The client has left."""


@dataclass
class Seen:
    """A request as it came, and what became of it. Times are those of `time.monotonic`."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    """As they were written, in their order."""
    connection: int
    at: float
    body: bytes = b""
    done_at: float | None = None
    """When all that was to be sent had been sent."""
    left_at: float | None = None
    """When the client left before that."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The value of a header; all of them, with commas, where there are several."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None


@dataclass
class Exchange:
    """A request and the means to answer it."""

    seen: Seen
    reply: Reply
    """What a sound engine would answer."""
    upstream: "Upstream"
    connection: "_Connection"
    keep: bool = made(default=True)
    """Whether the connection is used for another request."""

    async def send(self, data: bytes) -> None:
        """Sends bytes as they are, when the client takes them. Raises Gone."""
        await self.connection.send(data)

    async def wait(self, seconds: float) -> None:
        """Lets time pass. Raises Gone as soon as the client leaves."""
        try:
            await asyncio.wait_for(self.connection.lost.wait(), seconds)
        except TimeoutError:
            return
        raise Gone

    def end(self) -> None:
        """Ends the connection in an orderly way, after what was sent."""
        self.keep = False
        self.connection.transport.close()

    def reset(self) -> None:
        """Breaks the connection: the client sees it reset."""
        self.keep = False
        _reset(self.connection.transport)

    def says(self, words: Sequence[str]) -> Reply:
        """What a sound engine would answer that says these words."""
        return reply_to(self.seen.path, self.seen.body, words, self.upstream.models)


@dataclass(frozen=True)
class Behaviour:
    """A way to answer. `early` does not wait for the body of the request."""

    name: str
    run: Callable[[Exchange], Awaitable[None]]
    early: bool = False

    def __str__(self) -> str:
        return self.name


async def _well(exchange: Exchange) -> None:
    reply = exchange.reply
    await exchange.send(reply.head)
    for piece in reply.pieces:
        await exchange.send(reply.framed(piece))
        await asyncio.sleep(0)
    await exchange.send(reply.tail)
    if reply.framing == "close":
        exchange.end()


WELL = Behaviour("well", _well)
"""Answers as a sound engine does."""


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: "Upstream") -> None:
        self.number = 0
        self.lost = asyncio.Event()
        self.transport: asyncio.Transport
        self.current: Seen | None = None
        self._upstream = upstream
        self._come = bytearray()
        self._more = asyncio.Event()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._upstream.accepted += 1
        self.number = self._upstream.accepted
        self._upstream.connections.add(self)
        if self._upstream.resets_all:
            _reset(transport)
        else:
            self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._come += data
        self._more.set()

    def pause_writing(self) -> None:
        self._may_send.clear()

    def resume_writing(self) -> None:
        self._may_send.set()

    def connection_lost(self, error: Exception | None) -> None:
        if self.current is not None and self.current.done_at is None:
            self.current.left_at = time.monotonic()
        self._upstream.connections.discard(self)
        self.lost.set()
        self._more.set()
        self._may_send.set()

    async def send(self, data: bytes) -> None:
        await self._may_send.wait()
        if self.lost.is_set():
            raise Gone
        self.transport.write(data)

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._come:
            await self._receive()
        end = self._come.index(mark) + len(mark)
        return self._take(end)

    async def _exactly(self, length: int) -> bytes:
        while len(self._come) < length:
            await self._receive()
        return self._take(length)

    def _take(self, length: int) -> bytes:
        taken = bytes(self._come[:length])
        del self._come[:length]
        return taken

    async def _receive(self) -> None:
        self._more.clear()
        if self.lost.is_set():
            raise Gone
        await self._more.wait()

    async def _serve(self) -> None:
        try:
            while await self._answer_one():
                pass
        except Gone:
            pass
        finally:
            self.transport.close()

    async def _answer_one(self) -> bool:
        line, *rest = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ")
        pairs = (text.partition(":") for text in rest if text)
        seen = Seen(method, path, [(name, value.strip()) for name, _, value in pairs], self.number, time.monotonic())
        self.current = seen
        behaviour = self._upstream.take()
        self._upstream.requests.append(seen)
        if not behaviour.early:
            seen.body = await self._body(seen)
        reply = reply_to(path, seen.body, self._upstream.words, self._upstream.models)
        exchange = Exchange(seen, reply, self._upstream, self)
        await behaviour.run(exchange)
        seen.done_at = time.monotonic()
        if behaviour.early and exchange.keep:
            seen.body = await self._body(seen)
        return exchange.keep

    async def _body(self, seen: Seen) -> bytes:
        if "chunked" in (seen.header("transfer-encoding") or "").lower():
            body = b""
            while size := int(await self._until(b"\r\n"), 16):
                body += (await self._exactly(size + 2))[:-2]
            await self._until(b"\r\n")
            return body
        return await self._exactly(int(seen.header("content-length") or 0))


class Upstream:
    """A running engine that says `words` and serves `models`."""

    def __init__(self, words: Sequence[str] = WORDS, models: Sequence[str] = ("tiny",)) -> None:
        self.words, self.models = words, models
        self.requests: list[Seen] = []
        self.connections: set[_Connection] = set()
        self.accepted = 0
        self.resets_all = False
        self.always = WELL
        self._queue: deque[Behaviour] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self) -> Behaviour:
        """How the request that has just come is answered."""
        return self._queue.popleft() if self._queue else self.always

    def next(self, *behaviours: Behaviour) -> None:
        """The next requests are answered in these ways."""
        self._queue.extend(behaviours)

    def settle(self) -> None:
        """Answers well again, and forgets what was asked."""
        self._queue.clear()
        self.always, self.resets_all = WELL, False
        self.requests.clear()
        if self._server is None:
            self.listen()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self.connections)

    @property
    def busy(self) -> int:
        """How many requests are being answered."""
        return sum(one.done_at is None and one.left_at is None for one in self.requests)

    def wait_for(self, number: int) -> list[Seen]:
        """The requests, once there are so many."""
        until(lambda: len(self.requests) >= number, lambda: f"{len(self.requests)} of {number} requests came")
        return self.requests

    def refuse(self) -> None:
        """Listens no more, and ends all connections: whoever comes is refused."""

        async def stop() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None
            for one in list(self.connections):
                one.transport.abort()

        self._run(stop())

    def listen(self) -> None:
        """Listens, on the port that it had before."""

        async def start() -> None:
            self._server = await self._loop.create_server(
                lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024
            )
            self.port = self._server.sockets[0].getsockname()[1]

        self._run(start())

    def close_idle(self) -> None:
        """Ends the connections that wait for another request."""

        async def close() -> None:
            for one in list(self.connections):
                if one.current is None or one.current.done_at is not None:
                    one.transport.close()

        self._run(close())

    def close(self) -> None:
        """Ends everything."""
        self.refuse()

        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


def _reset(transport: asyncio.Transport) -> None:
    taken = transport.get_extra_info("socket")
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


@contextmanager
def upstream(words: Sequence[str] = WORDS, models: Sequence[str] = ("tiny",)) -> Iterator[Upstream]:
    """An engine for the length of a `with`."""
    engine = Upstream(words, models)
    try:
        yield engine
    finally:
        engine.close()


def until(
    true: Callable[[], bool], otherwise: Callable[[], str] = lambda: "it never came true", seconds: float = PATIENCE
) -> None:
    """Returns when it is true; fails when it is not in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.005)
