"""The vault: secrets sealed with AES-256-GCM, each under a data key of its own, which a master key seals that is kept
outside the database.

A sealed secret is a text `v2.<master key id>.<nonce, sealed data key and ciphertext, base64url>`. Its context (the
record's id and the field) is authenticated with both, so that a token that is moved to another record does not open.
Tokens `v1.…`, which the master key sealed without a data key, still open.
"""

import asyncio
import base64
import binascii
import os
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from steelyard.auth.key_files import KEY_BYTES
from steelyard.auth.master_keys import MasterKeys
from steelyard.errors import UnreadableSecret

_NONCE_BYTES = 12
_VERSION, _WITHOUT_DATA_KEY = "v2", "v1"
_SEALED_KEY_BYTES = KEY_BYTES + 16


class Sealer(Protocol):
    """What actions need of the vault."""

    keys: MasterKeys
    """The master keys."""
    rotating: asyncio.Lock
    """Held by whoever seals everything anew."""

    def seal(self, secret: str, context: str) -> str:
        """The token of `secret`, bound to `context`."""

    def open(self, token: str, context: str) -> str:
        """The secret of `token`, for its use and never for an answer. Raises UnreadableSecret."""

    def holds(self, token: str, secret: str, context: str) -> bool:
        """Whether `token` is `secret` sealed for `context`."""


class Vault:
    """Seals secrets with the present master key, and opens what that one or one from before has sealed."""

    def __init__(self, keys: MasterKeys) -> None:
        self.keys = keys
        self.rotating = asyncio.Lock()

    def seal(self, secret: str, context: str) -> str:
        """The token of `secret`, bound to `context`, under a new data key."""
        # One nonce does for both: each key sees it once.
        nonce, data_key, bound = os.urandom(_NONCE_BYTES), os.urandom(KEY_BYTES), context.encode()
        master = self.keys.present
        sealed_key = master.cipher.encrypt(nonce, data_key, b"data key " + bound)
        sealed = AESGCM(data_key).encrypt(nonce, secret.encode(), bound)
        return f"{_VERSION}.{master.id}.{base64.urlsafe_b64encode(nonce + sealed_key + sealed).decode()}"

    def open(self, token: str, context: str) -> str:
        """The secret of `token`. Raises UnreadableSecret if the key or the context is another one."""
        version, _, rest = token.partition(".")
        key_id, _, body = rest.partition(".")
        master = self.keys.find(key_id)
        if version not in {_VERSION, _WITHOUT_DATA_KEY} or master is None:
            raise UnreadableSecret("a secret was sealed with another master key")
        cipher, bound = master.cipher, context.encode()
        try:
            raw = base64.b64decode(body, b"-_", validate=True)
            nonce, sealed = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            if version == _VERSION:
                cipher = AESGCM(cipher.decrypt(nonce, sealed[:_SEALED_KEY_BYTES], b"data key " + bound))
                sealed = sealed[_SEALED_KEY_BYTES:]
            return cipher.decrypt(nonce, sealed, bound).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise UnreadableSecret("a sealed secret is damaged, or belongs to another record") from None

    def holds(self, token: str, secret: str, context: str) -> bool:
        """Whether `token` is `secret` sealed for `context`; false too when it cannot be opened any more."""
        try:
            return secrets.compare_digest(self.open(token, context).encode(), secret.encode())
        except UnreadableSecret:
            return False
