"""The one way out: requests to addresses that policy allows, over connections to exactly those addresses.

A name is resolved here, each of its addresses is put before the policy, and the connection goes to one that passed:
there is no second look-up that could answer otherwise. `Host` and TLS still know the name. Redirects are not followed,
proxies and cookies of the environment are not used, certificates are always verified.

aiohttp is imported when the first request goes out: a server that sends none starts without it.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from steelyard.errors import StartupError
from steelyard.outbound.policy import OutboundPolicy, check_url

if TYPE_CHECKING:
    import aiohttp

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, for a port. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: to connect, between two parts of the answer, and for the whole (None: as long as it takes)."""

    connect: float = 10.0
    read: float | None = 30.0
    total: float | None = 30.0


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """A request to another server."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    timeouts: Timeouts = Timeouts()


class OutboundAnswer(Protocol):
    """What the other server answers; the body comes as it is sent, undecoded."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers, names in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The parts of the body. Raises OutboundFailed where the stream breaks."""


class Transport(Protocol):
    """A way to other servers: the real one below, or a fake one in a test."""

    def open(self, request: OutboundRequest) -> AbstractAsyncContextManager[OutboundAnswer]:
        """Sends a request; the answer is there until the context ends. Raises OutboundRefused, OutboundFailed."""

    async def close(self) -> None:
        """Ends all connections."""


async def look_up(host: str, port: int) -> Sequence[str]:
    """The addresses of `host`, as this machine resolves names.

    In a thread of its own: the loop's few would all wait for names whose servers do not answer (5 seconds and more
    each), and whoever asks for another name behind them; and a server that stops would wait for those threads.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Any]] = loop.create_future()

    def settle(how: Callable[[Any], None], value: object) -> None:
        # nobody may be there any more who waits for it, nor the loop
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if found.done() else how(value))

    def run() -> None:
        try:
            settle(found.set_result, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            settle(found.set_exception, error)
        except UnicodeError:  # a label of over 63 characters, or one that stands for no name
            settle(found.set_exception, OSError("not the name of a host"))

    threading.Thread(target=run, name="look-up", daemon=True).start()
    return [str(sockaddr[0]) for *_, sockaddr in await found]


def make_ssl_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """What certificates are verified by: the system's authorities, and those of `ca_bundle` (PEM).

    Raises StartupError.
    """
    context = ssl.create_default_context()
    if ca_bundle is not None:
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except OSError as error:
            raise StartupError(f"outbound.ca_bundle {ca_bundle} cannot be read: {error.strerror or error}") from None
    return context


class HttpTransport:
    """HTTP/1.1 over TCP and TLS, with connections that are kept for the next request."""

    def __init__(self, policy: OutboundPolicy, *, ca_bundle: Path | None = None, lookup: Lookup = look_up) -> None:
        """Raises StartupError for a CA bundle that cannot be read."""
        self._policy = policy
        self._lookup = lookup
        # The system's authorities take a while to read; a server that sends nothing does without.
        self._ssl = make_ssl_context(ca_bundle) if ca_bundle is not None else None
        self._session: aiohttp.ClientSession | None = None
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def open(self, request: OutboundRequest) -> AsyncIterator[OutboundAnswer]:
        """Sends a request; see `Transport`."""
        target = check_url(self._policy, request.url)
        session = self._session or await self._start()
        from steelyard.outbound.http import send  # noqa: PLC0415 - it imports aiohttp

        async with send(session, request, target) as answer:
            yield answer

    async def close(self) -> None:
        """Ends all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _start(self) -> "aiohttp.ClientSession":
        async with self._starting:
            if self._session is None:
                # In a thread: requests that are being answered do not wait for an import.
                http = await asyncio.to_thread(import_module, "steelyard.outbound.http")
                self._ssl = self._ssl or await asyncio.to_thread(make_ssl_context, None)
                self._session = http.make_session(self._policy, self._lookup, self._ssl)
            assert self._session is not None  # noqa: S101 - made a line before
            return self._session
