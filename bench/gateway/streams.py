"""Opens many streams at once and says when the first byte of each came: a client on raw sockets of uvloop.

    python -m bench.gateway.streams < one line of JSON (Order); more lines follow as it asks for them

It prints READY once its connections are open and warm, and starts when a line comes. Paced streams: it prints one line
of JSON when all of them have ended. Held streams: it prints OPEN when each has sent its first byte, and closes them all
when another line comes. It ends by itself after `limit` seconds, whatever happens.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast

import httptools
import uvloop

# Streams that are held are opened in steps, so that no backlog of a listening socket decides.
_STEP = 100
# The text of every event of the mock's but the first.
_TEXT = b'" registry-'


@dataclass(frozen=True)
class Order:
    """What to open: `streams` POSTs of `body` to `path`; `warm` is a body that is sent once on each before."""

    port: int
    path: str
    body: str
    warm: str | None
    streams: int
    held: bool
    limit: float


@dataclass(frozen=True)
class Found:
    """What came: seconds from the start to the first byte of each body, how many events, and whether all was well."""

    first_bytes: list[float]
    events: int
    failures: list[str]
    seconds: float


class _Stream(asyncio.Protocol):
    """One connection, on which one answer is awaited at a time."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._begun = 0.0
        self._parts: list[bytes] = []
        self.first: float | None = None
        self.fault: str | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def ask(self, request: bytes) -> None:
        self._begun = time.perf_counter()
        self._transport.write(request)

    def again(self) -> None:
        """Forget what came; the next answer counts anew."""
        self._parser = httptools.HttpResponseParser(self)
        self._parts, self.first = [], None
        self.opened, self.ended = self._loop.create_future(), self._loop.create_future()

    def close(self) -> None:
        self._transport.close()

    def events(self) -> int:
        """The events with text in them, less the first."""
        return b"".join(self._parts).count(_TEXT)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as fault:
            self._end(f"bad HTTP: {fault}")

    def connection_lost(self, _fault: Exception | None) -> None:
        self._end("the connection was closed")

    def on_body(self, body: bytes) -> None:
        if self.first is None:
            self.first = time.perf_counter() - self._begun
            self.opened.set_result(None)
        self._parts.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        wrong = None if status == 200 else f"status {status}: {b''.join(self._parts)[:200]!r}"
        self._end(wrong)

    def _end(self, fault: str | None) -> None:
        if not self.ended.done():
            self.fault = fault
            self.ended.set_result(None)
            if not self.opened.done():
                self.opened.set_result(None)


async def _run(order: Order, wait: Callable[[], asyncio.Future[str]]) -> None:
    loop = asyncio.get_running_loop()
    streams: list[_Stream] = []
    for _ in range(order.streams):
        _, stream = await loop.create_connection(_Stream, "127.0.0.1", order.port)
        streams.append(stream)
    if order.warm is not None:
        for stream in streams:
            stream.ask(_request(order, order.warm))
        await asyncio.wait([stream.ended for stream in streams])
        faults = [stream.fault for stream in streams if stream.fault]
        if faults:
            _say(Found([], 0, faults[:3], 0.0))
            return
        for stream in streams:
            stream.again()
    print("READY", flush=True)
    await wait()
    begun = time.perf_counter()
    request = _request(order, order.body)
    step = _STEP if order.held else order.streams
    for start in range(0, order.streams, step):
        some = streams[start : start + step]
        for stream in some:
            stream.ask(request)
        await asyncio.wait([stream.opened for stream in some])
    if order.held:
        print("OPEN", flush=True)
        await wait()
    else:
        await asyncio.wait([stream.ended for stream in streams])
    seconds = time.perf_counter() - begun
    firsts = [stream.first for stream in streams if stream.first is not None]
    faults = [stream.fault for stream in streams if stream.fault]
    _say(Found(firsts, sum(stream.events() for stream in streams), faults[:3], seconds))
    for stream in streams:
        stream.close()


def _request(order: Order, body: str) -> bytes:
    sent = body.encode()
    head = [
        f"POST {order.path} HTTP/1.1",
        f"Host: 127.0.0.1:{order.port}",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        f"Content-Length: {len(sent)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + sent


def _say(found: Found) -> None:
    print(json.dumps(asdict(found)), flush=True)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    order = Order(**json.loads(sys.stdin.readline()))

    def wait() -> asyncio.Future[str]:
        # a thread of its own, so that the streams go on
        return loop.run_in_executor(None, sys.stdin.readline)

    async with asyncio.timeout(order.limit):
        await _run(order, wait)


if __name__ == "__main__":
    uvloop.run(_main())
