"""Keys that the server signs tokens of its own with: Ed25519, made when first needed, sealed in the data folder.

Each is used for a month; then another one is made, and the one before verifies as long as what it signed is in force.
Whoever loses the file, or the master key that seals it, loses the tokens of a quarter of an hour and nothing else.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steelyard.auth.key_files import read_private, write_private
from steelyard.auth.key_sets import VerifyingKey, find
from steelyard.auth.vault import Sealer
from steelyard.errors import Unavailable, UnreadableSecret

_log = logging.getLogger("steelyard")

ALGORITHM = "EdDSA"
LIFETIME = 900
"""How long a token is in force, in seconds."""
_USED, _VERIFIES = 30 * 86_400.0, LIFETIME + 3600.0


class _SigningKey(NamedTuple):
    id: str
    made_at: float
    sealed: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> dict[str, str]:
        """As a JSON Web Key."""
        return {**_public(self.private), "kid": self.id, "use": "sig", "alg": ALGORITHM}


class SigningKeys:
    """The server's own keys. `now` are seconds since 1970."""

    def __init__(self, file: Path, vault: Sealer, now: Callable[[], float]) -> None:
        """Reads what is there. Raises StartupError for a file that others can read."""
        self.version = 0
        self._file = file
        self._vault = vault
        self._now = now
        self._keys = self._read() if file.exists() else []  # the newest first
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """The key for a token."""
        known = [VerifyingKey(one.id, one.private.public_key(), frozenset({ALGORITHM})) for one in self._keys]
        return find(known, kid, algorithm)

    async def published(self) -> list[dict[str, str]]:
        """The public keys, for whoever wants to verify tokens of this server."""
        await self._renew()
        return [one.public for one in self._keys]

    async def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims. Raises Unavailable if the first key cannot be written down."""
        await self._renew()
        key = self._keys[0]
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.id, "typ": "at+jwt"})

    async def _renew(self) -> None:
        async with self._lock:
            now = self._now()
            if self._keys and now - self._keys[0].made_at < _USED:
                return
            private = Ed25519PrivateKey.generate()
            raw = base64.b64encode(private.private_bytes_raw()).decode()
            id = _thumbprint(private)
            made = _SigningKey(id, now, self._vault.seal(raw, _context(id)), private)
            keys = [made, *self._keys[:1]]
            text = orjson.dumps([{"id": one.id, "made_at": one.made_at, "sealed": one.sealed} for one in keys]).decode()
            try:
                await asyncio.to_thread(write_private, self._file, text)
            except OSError as error:
                raise Unavailable(f"a new key to sign with cannot be kept: {error.strerror}") from None
            self._keys = keys
            self.version += 1

    def _read(self) -> list[_SigningKey]:
        keys: list[_SigningKey] = []
        try:
            for entry in orjson.loads(read_private(self._file, "the keys that tokens are signed with")):
                raw = base64.b64decode(self._vault.open(entry["sealed"], _context(entry["id"])))
                private = Ed25519PrivateKey.from_private_bytes(raw)
                keys.append(_SigningKey(entry["id"], float(entry["made_at"]), entry["sealed"], private))
        except (UnreadableSecret, ValueError, KeyError, TypeError):
            _log.warning("%s cannot be opened: new keys to sign tokens with are made", self._file)
            return []
        # One that another has replaced long ago verifies nothing any more.
        return [one for place, one in enumerate(keys) if not place or self._now() - keys[0].made_at < _VERIFIES]


def _context(id: str) -> str:
    return f"token signing key {id}"


def _public(private: Ed25519PrivateKey) -> dict[str, str]:
    raw = private.public_key().public_bytes_raw()
    return {"crv": "Ed25519", "kty": "OKP", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}


def _thumbprint(private: Ed25519PrivateKey) -> str:
    """The name of a key, made of the key (RFC 7638)."""
    digest = hashlib.sha256(orjson.dumps(_public(private), option=orjson.OPT_SORT_KEYS)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
