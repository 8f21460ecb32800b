"""The end of the transport that knows aiohttp: the session, the resolver that pins, and what its errors mean."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from steelyard.errors import OutboundFailed, OutboundRefused
from steelyard.outbound.networks import parse_address
from steelyard.outbound.policy import OutboundPolicy, Target, check_address
from steelyard.outbound.transport import Lookup, OutboundAnswer, OutboundRequest

_CONNECTIONS = 1000
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class PinningResolver(AbstractResolver):
    """Answers only the addresses that policy allows; the connector connects to one of these and asks nobody again."""

    def __init__(self, policy: OutboundPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of `host`. Raises OutboundRefused if it has none, OSError if it is not known."""
        refused: OutboundRefused | None = None
        allowed: dict[str, ResolveResult] = {}
        for text in await self._lookup(host, port):
            address = parse_address(text)
            try:
                check_address(self._policy, host.lower().removesuffix("."), address)
            except OutboundRefused as error:
                refused = error
                continue
            kind = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
            result = ResolveResult(hostname=host, host=str(address), port=port, family=kind, proto=0, flags=_NUMERIC)
            allowed[str(address)] = result
        if not allowed:
            raise refused or OSError(f"{host!r} has no address")
        return list(allowed.values())

    async def close(self) -> None:
        """Nothing is held."""


class _Answer:
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return [(name.lower(), value) for name, value in self._answer.headers.items()]

    async def chunks(self) -> AsyncIterator[bytes]:
        with _told():
            async for chunk in self._answer.content.iter_any():
                yield chunk


def make_session(policy: OutboundPolicy, lookup: Lookup, tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """A session whose connections go only to where policy allows."""
    connector = aiohttp.TCPConnector(
        resolver=PinningResolver(policy, lookup),
        # A name is looked up for each connection: an answer that was kept is one that nobody checks again.
        use_dns_cache=False,
        ssl=tls,
        limit=_CONNECTIONS,
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
    )


@asynccontextmanager
async def send(
    session: aiohttp.ClientSession, request: OutboundRequest, target: Target
) -> AsyncIterator[OutboundAnswer]:
    """Sends a request whose URL has been checked and leads to `target`. Raises OutboundRefused, OutboundFailed."""
    timeout = aiohttp.ClientTimeout(
        total=request.timeouts.total, sock_connect=request.timeouts.connect, sock_read=request.timeouts.read
    )
    url = _same_target(request.url, target)
    with _told():
        answer = await session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body,
            timeout=timeout,
            allow_redirects=False,
        )
    try:
        yield _Answer(answer)
    finally:
        # A connection whose answer has been read to its end is kept for the next request; any other is closed.
        answer.release()


def _same_target(text: str, target: Target) -> URL:
    """The URL as the client reads it. Raises OutboundRefused if that is another host than the one that was checked."""
    try:
        url = URL(text)
        host = (url.host or "").lower().removesuffix(".")
        same = (parse_address(host) == target.address) if target.address else (host == target.host)
    except ValueError:
        same = False
    if not same or (url.scheme, url.port) != (target.scheme, target.port):
        raise OutboundRefused("the URL can be read in two ways")
    return url


@contextmanager
def _told() -> Iterator[None]:
    """Says what went wrong in words of ours. Those of the library may hold the URL, and so what is secret in it."""
    try:
        yield
    except TimeoutError:
        raise OutboundFailed("no answer in time", reason="timeout") from None
    except aiohttp.ClientConnectorDNSError:
        raise OutboundFailed("the host's name is not known", reason="dns") from None
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
        raise OutboundFailed("the host's certificate does not verify, or TLS failed", reason="tls") from None
    except aiohttp.ClientConnectorError:
        raise OutboundFailed("no connection: refused, or no way to the host", reason="connect") from None
    except (aiohttp.ServerDisconnectedError, ConnectionError):
        raise OutboundFailed("the connection ended before the answer did", reason="disconnect") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise OutboundFailed("the answer is not HTTP that can be read", reason="protocol") from None
