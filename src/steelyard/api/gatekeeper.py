"""Stands before everything else: finds out who is calling, and lets nobody guess.

On a server without authentication it only turns away requests that a web page somewhere else has made a browser send.
"""

from collections.abc import Awaitable, Mapping
from ipaddress import ip_address, ip_network
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from steelyard.actions.identities import Identities
from steelyard.actions.refusals import Refusals
from steelyard.api.errors import error_response
from steelyard.auth.abuse import Attempts
from steelyard.auth.directory import Identity
from steelyard.auth.keys import KEY_BEGINS
from steelyard.auth.proxies import Proxies
from steelyard.errors import Forbidden, SteelyardError, Unauthorized
from steelyard.scope import HEADERS, IDENTITY, REQUEST_ID

_BEARER = b"bearer "
_BEARER_KEY, _BEARER_ENDS = b"Bearer " + KEY_BEGINS.encode(), len(_BEARER)
_BY_TICKET = ("/apis/files/v2/hf/lfs", "/apis/files/v2/hf/xet/")
"""Where a ticket of the server's own is the permission, and no credential is looked at."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_HOSTS = 64
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Door(Protocol):
    """What a request goes through before anything else."""

    def __call__(self, scope: Scope, receive: Receive, send: Send, app: ASGIApp) -> Awaitable[None]:
        """Answers a request, or hands it on."""

    def refused(self, scope: Scope, status: int) -> None:
        """The request was answered with 401 or 403."""


class Gatekeeper:
    """Says who is calling, by key or token; and writes down who was refused."""

    def __init__(
        self, identities: Identities, attempts: Attempts, refusals: Refusals, proxies: Proxies | None = None
    ) -> None:
        self._identities = identities
        self._proxies = proxies
        self._attempts = attempts
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send, app: ASGIApp) -> None:
        """Answers a request, or hands it on with who sends it."""
        identity: Identity | None = None
        try:
            if not scope["path"].startswith(_BY_TICKET):
                headers, client = scope[HEADERS], scope.get("client")
                given = headers.get(b"authorization")
                if given is None:
                    key = headers.get(b"x-api-key")
                else:
                    key = given[_BEARER_ENDS:] if given.startswith(_BEARER_KEY) else None
                # What is not a known key, written as nearly all write it, is read with more care.
                if key is not None:
                    identity = self._identities.known(key, client[0] if client else None)
                if identity is None:
                    identity = await self._identified(scope, credential_of(headers), client[0] if client else None)
        except SteelyardError as error:
            await error_response(error, scope["path"], scope["method"])(scope, receive, send)
            return
        scope[IDENTITY] = identity
        await app(scope, receive, send)

    def refused(self, scope: Scope, status: int) -> None:
        """Writes it down."""
        identity = scope.get(IDENTITY)
        self._refusals.add(identity, _address_of(scope), scope[REQUEST_ID], scope["method"], scope["path"], status)

    async def again(self, scope: Scope) -> Identity | None:
        """Who sends a request, by what is so now: for answers that go on for long. Raises Unauthorized."""
        return await self._identified(scope, credential_of(scope[HEADERS]), _address_of(scope))

    async def _identified(self, scope: Scope, credential: str | None, address: str | None) -> Identity | None:
        if credential is None:
            return await self._by_proxy(scope[HEADERS], scope["method"], address)
        # A key that is right is let in whatever others at that address have tried: no number of guesses that a wire can
        # carry finds one. A token costs work before it is known to be wrong.
        is_key = credential.startswith(KEY_BEGINS)
        if not is_key:
            self._attempts.check(address, credential)
        try:
            return await self._identities.identify(credential, address)
        except Unauthorized:
            if is_key:
                self._attempts.check(address, credential)
            self._attempts.failed(address, credential)
            raise

    async def _by_proxy(self, headers: Mapping[bytes, bytes], method: str, address: str | None) -> Identity | None:
        """Who a trusted proxy says is calling. A credential of the caller's own goes before that: it may narrow."""
        principal = self._proxies.principal(headers, address) if self._proxies is not None else None
        if principal is None:
            return None
        # Browsers come here with what the proxy knows them by, a cookie: then a page of somebody else's can send them.
        if method not in _SAFE and from_elsewhere(headers):
            raise Forbidden("a page of another site may not write here")
        return Identity(principal, (await self._identities.directory()).access(principal))


def _address_of(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def credential_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The key or token that a request brings: as OpenAI's clients send it, or as Anthropic's. Raises Unauthorized."""
    given = headers.get(b"authorization")
    if given is None:
        given = headers.get(b"x-api-key")
        if given is None:
            return None
    elif given[:7].lower() == _BEARER:
        given = given[7:]
    else:
        raise Unauthorized(
            "send Authorization: Bearer with an API key or a token", headers={"WWW-Authenticate": "Bearer"}
        )
    text = given.strip().decode("latin-1")
    if not text.isascii() or not text.isprintable() or not 0 < len(text) <= 16_384:
        raise Unauthorized("this is no API key and no token", headers={"WWW-Authenticate": "Bearer"})
    return text


class OpenDoor:
    """For a server without authentication: nobody is asked, but a web page of somebody else's gets nothing."""

    def __init__(self, allowed_hosts: frozenset[str]) -> None:
        self._hosts = allowed_hosts
        self._right: set[bytes] = set()
        """Values of `Host` that have been found to be right, as they were sent."""

    def __call__(self, scope: Scope, receive: Receive, send: Send, app: ASGIApp) -> Awaitable[None]:
        """Answers a request, or hands it on."""
        error = self._refusal(scope[HEADERS], scope["method"])
        if error is None:
            return app(scope, receive, send)
        return error_response(error, scope["path"], scope["method"])(scope, receive, send)

    def refused(self, scope: Scope, status: int) -> None:
        """There is no audit of requests of nobody."""

    def _refusal(self, headers: Mapping[bytes, bytes], method: str) -> Forbidden | None:
        # A name of somebody's that leads to this machine makes a page of theirs one of ours (DNS rebinding).
        sent = headers.get(b"host", b"localhost")
        if sent not in self._right:
            host = sent.decode("latin-1").lower()
            before, colon, port = host.rpartition(":")
            name = before if colon and port.isdigit() else host
            if not self._known(name):
                return Forbidden(f"this server does not answer to the host {name[:200]!r} (setting auth.allowed_hosts)")
            if len(self._right) < _MOST_HOSTS:
                self._right.add(sent)
        if method not in _SAFE and from_elsewhere(headers):
            return Forbidden("a page of another site may not write here")
        return None

    def _known(self, name: str) -> bool:
        if name in _LOOPBACK_NAMES or name in self._hosts or "*" in self._hosts:
            return True
        try:
            return ip_address(name.strip("[]")) in ip_network("127.0.0.0/8")
        except ValueError:
            return False


def from_elsewhere(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page of another site has made a browser send this."""
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site == b"cross-site":
        return True
    return origin is not None and origin.lower().partition(b"://")[2] != headers.get(b"host", b"").lower()
