"""Connections to upstreams: opened only to addresses that policy allows, and kept for the next request.

A name is resolved for each new connection, each of its addresses is put before the policy, and the connection goes to
one that passed: there is no second look-up that could answer otherwise. TLS still knows the name, and verifies it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from steelyard.errors import OutboundRefused
from steelyard.gateway.connection import Answer, Connection
from steelyard.gateway.failures import UpstreamFailed
from steelyard.outbound.networks import Address, parse_address
from steelyard.outbound.policy import OutboundPolicy, Target, check_address
from steelyard.outbound.transport import Lookup, look_up


class PoolRules(NamedTuple):
    """How many connections may be open to one address, and for how many seconds an unused one is kept."""

    max_connections: int = 1024
    idle_seconds: float = 60.0


class Pool:
    """All connections of the gateway. Used from one event loop."""

    def __init__(
        self,
        policy: OutboundPolicy,
        tls: Callable[[], ssl.SSLContext],
        rules: PoolRules = PoolRules(),  # noqa: B008 - immutable
        lookup: Lookup = look_up,
    ) -> None:
        """`tls` makes the context that certificates are verified by, when it is needed for the first time."""
        self._policy = policy
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._rules = rules
        self._lookup = lookup
        self._hosts: dict[tuple[str, str, int], _Host] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open_connections(self) -> int:
        """How many connections there are, used and unused."""
        return sum(host.open for host in self._hosts.values())

    async def send(self, target: Target, head: bytes, body: bytes, seconds: float, *, fresh: bool = False) -> Answer:
        """Sends a request; `seconds` is how long connecting may take. Raises UpstreamFailed, also if policy refuses.

        `fresh` asks for a new connection: where an old one has turned out to be closed from the other side.
        """
        key = (target.scheme, target.host, target.port)
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(self)
        connection = None if fresh else host.take()
        if connection is None:
            connection = await self._connect(host, target, seconds)
        return connection.send(head, body)

    def close(self) -> None:
        """Ends all connections."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for host in self._hosts.values():
            for connection in list(host.all):
                connection.close()

    async def _connect(self, host: "_Host", target: Target, seconds: float) -> Connection:
        if (handed := await host.admit(self._rules.max_connections, seconds)) is not None:
            return handed
        connection: Connection | None = None
        try:
            async with asyncio.timeout(seconds):
                connection = await self._open(host, target)
        except TimeoutError:
            raise UpstreamFailed("timeout", "connecting took too long") from None
        except ssl.SSLError:
            raise UpstreamFailed("tls") from None
        except OutboundRefused:
            raise UpstreamFailed("refused") from None
        except OSError:
            raise UpstreamFailed("connect") from None
        finally:
            if connection is None or connection.closed:
                host.dismiss()
        if connection.closed:
            raise UpstreamFailed("connect")
        host.all.add(connection)
        return connection

    async def _open(self, host: "_Host", target: Target) -> Connection:
        """Raises OSError, ssl.SSLError, OutboundRefused, UpstreamFailed for a name that is not known."""
        loop = asyncio.get_running_loop()
        secure = target.scheme == "https"
        if secure and self._tls is None:
            self._tls = await asyncio.to_thread(self._make_tls)
        failure: OSError | None = None
        for address in await self._addresses(target):
            try:
                _, protocol = await loop.create_connection(
                    lambda: Connection(host.released, loop),
                    str(address),
                    target.port,
                    ssl=self._tls if secure else None,
                    server_hostname=target.host if secure else None,
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
                continue
            return protocol
        raise failure or OSError("no address")

    async def _addresses(self, target: Target) -> list[Address]:
        """The addresses that policy allows. Raises OutboundRefused if there are others only."""
        if target.address is not None:
            check_address(self._policy, target.host, target.address)
            return [target.address]
        try:
            found = await self._lookup(target.host, target.port)
        except OSError:
            raise UpstreamFailed("dns") from None
        refused: OutboundRefused | None = None
        allowed: dict[Address, None] = {}
        for text in found:
            address = parse_address(text)
            try:
                check_address(self._policy, target.host, address)
            except OutboundRefused as error:
                refused = error
                continue
            allowed[address] = None
        if not allowed and refused is not None:
            raise refused
        return list(allowed)

    def plan_sweep(self) -> None:
        """Has unused connections looked at in a while."""
        if self._sweeper is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(self._rules.idle_seconds / 2, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        before = asyncio.get_running_loop().time() - self._rules.idle_seconds
        for key, host in list(self._hosts.items()):
            host.close_idle(before)
            if not host.open and not host.waiting:
                del self._hosts[key]
        if any(host.idle for host in self._hosts.values()):
            self.plan_sweep()


class _Host:
    """The connections to one scheme, host and port."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.idle: list[Connection] = []
        self.all: set[Connection] = set()
        self.open = 0
        self.waiting: deque[asyncio.Future[Connection | None]] = deque()

    def take(self) -> Connection | None:
        """An unused connection, the one that was used last: it is the least likely to have been closed meanwhile."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.closed:
                return connection
        return None

    async def admit(self, most: int, seconds: float) -> Connection | None:
        """Returns when one more connection may be opened, or with one that has become free meanwhile.

        Raises UpstreamFailed if that takes too long.
        """
        # There are unused ones only where one was not good enough: they are as old as that.
        while self.open >= most and self.idle:
            self.idle.pop(0).close()
        if self.open < most:
            self.open += 1
            return None
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self.waiting.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except TimeoutError:
            if waiter.done() and not waiter.cancelled():
                return waiter.result()  # it was given in this very moment
            raise UpstreamFailed("timeout", "no connection was free") from None
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # what was given in this very moment is given back
                connection = waiter.result()
                if connection is None:
                    self.dismiss()
                else:
                    self.released(connection, reusable=True)
            raise

    def dismiss(self) -> None:
        """A connection is gone, or was never made."""
        self.open -= 1
        if waiter := self._next():
            self.open += 1
            waiter.set_result(None)

    def released(self, connection: Connection, reusable: bool) -> None:
        """A connection has done its exchange, or has ended."""
        if not reusable:
            if connection in self.all:
                self.all.discard(connection)
                self.dismiss()
        elif waiter := self._next():
            waiter.set_result(connection)
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            self.idle.append(connection)
            self._pool.plan_sweep()

    def close_idle(self, before: float) -> None:
        """Ends the connections that nobody has used since."""
        old = [connection for connection in self.idle if connection.closed or connection.idle_since < before]
        self.idle = [connection for connection in self.idle if connection not in old]
        for connection in old:
            connection.close()

    def _next(self) -> asyncio.Future[Connection | None] | None:
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                return waiter
        return None
