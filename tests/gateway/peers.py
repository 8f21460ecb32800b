"""The other end of the gateway's connections, in the hands of a test, on each of the two event loops."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvloop

from steelyard.gateway.connection import Answer
from steelyard.gateway.pool import Pool, PoolRules
from steelyard.outbound.policy import OutboundPolicy, Target, check_url
from tests.gateway.asked import LOOPBACK

PATIENCE = 10.0
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"content-length: 0\r\n\r\n"


def on_each_loop(test: Callable[[], Awaitable[None]]) -> Callable[..., None]:
    """Runs a test on asyncio's own event loop, and on that of the server; at its end nothing must be left running."""

    async def alone() -> None:
        async with asyncio.timeout(PATIENCE):
            await test()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left

    @pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(alone())

    run.__doc__ = test.__doc__
    return run


@dataclass(eq=False)
class Peer:
    """One connection, seen from the other end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The head of the next request."""
        return await self.reader.readuntil(b"\r\n\r\n")

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, data: bytes = EMPTY) -> bytes:
        """Waits for a request, and answers it."""
        request = await self.request()
        self.say(data)
        return request

    def end(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()

    async def ended(self) -> bool:
        """Waits until the gateway has ended the connection; whether it had nothing more to say."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


@dataclass
class Peers:
    """A listener; those that have connected stand in `came`, in their order."""

    port: int = 0
    came: list[Peer] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def peer(self, number: int = 1) -> Peer:
        """The connection of that number, once it is there."""
        while len(self.came) < number:
            self._news.clear()
            await self._news.wait()
        return self.came[number - 1]

    def target(self, host: str = "127.0.0.1", scheme: str = "http", policy: OutboundPolicy = LOOPBACK) -> Target:
        return check_url(policy, f"{scheme}://{host}:{self.port}")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.append(Peer(reader, writer))
        self._news.set()


@asynccontextmanager
async def peers(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Peers]:
    """A listener for the length of a `with`."""
    found = Peers()
    server = await asyncio.start_server(found._take, host, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for peer in found.came:
            peer.writer.transport.abort()
        await asyncio.sleep(0.01)  # the ends of connections are told in the next turns


@asynccontextmanager
async def pooled(
    rules: PoolRules = PoolRules(),  # noqa: B008 - immutable
    policy: OutboundPolicy = LOOPBACK,
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    lookup: Callable[[str, int], Awaitable[Sequence[str]]] | None = None,
) -> AsyncIterator[Pool]:
    """A pool for the length of a `with`."""
    pool = Pool(policy, tls, rules, lookup) if lookup else Pool(policy, tls, rules)
    try:
        yield pool
    finally:
        pool.close()
        await asyncio.sleep(0.01)
        assert pool.open_connections == 0


@asynccontextmanager
async def asked() -> AsyncIterator[tuple[Answer, Peer, Pool]]:
    """A request that has been sent, and the peer that has read it."""
    async with peers() as found, pooled() as pool:
        answer = await pool.send(found.target(), GET, b"", PATIENCE)
        peer = await found.peer()
        await peer.request()
        yield answer, peer, pool


async def turn(times: int = 10) -> None:
    """Everybody who can go on has gone on."""
    for _ in range(times):
        await asyncio.sleep(0)
