"""What an issuer says of itself: its discovery document and its keys, kept, renewed, and done without for a while."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from steelyard.auth.key_sets import VerifyingKey, find, read_keys
from steelyard.errors import OutboundFailed, OutboundRefused, Unavailable

_log = logging.getLogger("steelyard")

Fetch = Callable[[str], Awaitable[bytes]]
"""The body of what stands at a URL. Raises OutboundFailed, OutboundRefused."""

_FRESH, _STALE, _LAST = 600.0, 3600.0, 86_400.0
"""In seconds: until here keys are as good as new; until here they are renewed beside the request; until here they are
believed although the issuer does not answer."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "userinfo_endpoint")


class Issuer:
    """An issuer of tokens (OpenID Connect Discovery 1.0). `now` are seconds since 1970."""

    def __init__(self, url: str, fetch: Fetch, now: Callable[[], float], refetch_seconds: float) -> None:
        self.url = url
        self.version = 0
        self._fetch = fetch
        self._now = now
        self._refetch = refetch_seconds
        self._document: Mapping[str, Any] = {}
        self._keys: tuple[VerifyingKey, ...] | None = None
        self._read_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """The key for a token. One that is not known may be new: then the issuer is asked, but not at every request.

        Raises Unavailable if the issuer's keys are not known, or have not been for a day.
        """
        keys = await self._current()
        found = find(keys, kid, algorithm)
        if found is None and await self._renew():
            found = find(self._keys or (), kid, algorithm)
        return found

    async def endpoints(self) -> Mapping[str, str | None]:
        """The addresses that clients sign in at; None for what there is not, or while the issuer does not answer."""
        try:
            await self._current()
        except Unavailable:
            return dict.fromkeys(_ENDPOINTS)
        return {name: self._address(self._document, name) for name in _ENDPOINTS}

    async def _current(self) -> tuple[VerifyingKey, ...]:
        age = self._now() - self._read_at
        if self._keys is None or age >= _STALE:
            await self._renew()
        elif age >= _FRESH and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._renew_quietly())
        if self._keys is None or self._now() - self._read_at >= _LAST:
            raise Unavailable("the identity provider does not say which keys it has; try again")
        return self._keys

    async def _renew_quietly(self) -> None:
        await self._renew()

    async def _renew(self) -> bool:
        """Asks the issuer, unless it has just been asked; whether it was asked since this was called."""
        before = self._tried_at
        async with self._lock:
            if self._tried_at != before:
                return True  # somebody else has, while we waited
            if 0 <= self._now() - self._tried_at < self._refetch:
                return False
            self._tried_at = self._now()
            try:
                document = self._checked(await self._fetch(self.url.rstrip("/") + "/.well-known/openid-configuration"))
                keys = read_keys(await self._fetch(str(self._address(document, "jwks_uri"))))
            except (OutboundFailed, OutboundRefused) as error:
                _log.warning("the keys of the issuer %s could not be read: %s", self.url, error.message)
                return True
            if keys != self._keys:
                self.version += 1
            self._document, self._keys, self._read_at = document, keys, self._now()
        return True

    def _checked(self, body: bytes) -> Mapping[str, Any]:
        try:
            document = orjson.loads(body)
        except ValueError:
            document = None
        # Exactly: whoever answers for another issuer would have its tokens believed in this one's name.
        if not isinstance(document, dict) or document.get("issuer") != self.url:
            raise OutboundFailed("the discovery document is not the one of this issuer", reason="protocol")
        if self._address(document, "jwks_uri") is None:
            raise OutboundFailed("the discovery document names no keys by https", reason="protocol")
        return document

    def _address(self, document: Mapping[str, Any], name: str) -> str | None:
        """An address of the document, if it is one by https; by http only if the issuer's own is."""
        value = document.get(name)
        if not isinstance(value, str):
            return None
        scheme = urlsplit(value).scheme
        return value if scheme == "https" or scheme == urlsplit(self.url).scheme == "http" else None
