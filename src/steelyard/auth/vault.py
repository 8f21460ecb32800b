"""The vault: secrets sealed with AES-256-GCM, each under a data key of its own, which a master key seals that is kept
outside the database.

A sealed secret is a text `v2.<master key id>.<nonce, sealed data key and ciphertext, base64url>`. Its context (the
record's id and the field) is authenticated with both, so that a token that is moved to another record does not open.
Tokens `v1.…`, which the master key sealed without a data key, still open.
"""

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from steelyard.errors import StartupError, UnreadableSecret

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION, _WITHOUT_DATA_KEY = "v2", "v1"
_SEALED_KEY_BYTES = KEY_BYTES + 16


class Sealer(Protocol):
    """What actions need of the vault."""

    def seal(self, secret: str, context: str) -> str:
        """The token of `secret`, bound to `context`."""

    def open(self, token: str, context: str) -> str:
        """The secret of `token`, for its use and never for an answer. Raises UnreadableSecret."""

    def holds(self, token: str, secret: str, context: str) -> bool:
        """Whether `token` is `secret` sealed for `context`."""


class Vault:
    """Seals and opens secrets with one master key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key_id = hashlib.sha256(b"steelyard key id" + key).hexdigest()[:8]

    def seal(self, secret: str, context: str) -> str:
        """The token of `secret`, bound to `context`, under a new data key."""
        # One nonce does for both: each key sees it once.
        nonce, data_key, bound = os.urandom(_NONCE_BYTES), os.urandom(KEY_BYTES), context.encode()
        sealed_key = self._cipher.encrypt(nonce, data_key, b"data key " + bound)
        sealed = AESGCM(data_key).encrypt(nonce, secret.encode(), bound)
        return f"{_VERSION}.{self._key_id}.{base64.urlsafe_b64encode(nonce + sealed_key + sealed).decode()}"

    def open(self, token: str, context: str) -> str:
        """The secret of `token`. Raises UnreadableSecret if the key or the context is another one."""
        version, key_id, body = token.split(".")
        if version not in {_VERSION, _WITHOUT_DATA_KEY} or key_id != self._key_id:
            raise UnreadableSecret("a secret was sealed with another master key")
        raw, bound = base64.urlsafe_b64decode(body), context.encode()
        nonce, sealed, cipher = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._cipher
        try:
            if version == _VERSION:
                cipher = AESGCM(cipher.decrypt(nonce, sealed[:_SEALED_KEY_BYTES], b"data key " + bound))
                sealed = sealed[_SEALED_KEY_BYTES:]
            return cipher.decrypt(nonce, sealed, bound).decode()
        except InvalidTag:
            raise UnreadableSecret("a sealed secret is damaged, or belongs to another record") from None

    def holds(self, token: str, secret: str, context: str) -> bool:
        """Whether `token` is `secret` sealed for `context`; false too when it cannot be opened any more."""
        try:
            return secrets.compare_digest(self.open(token, context).encode(), secret.encode())
        except UnreadableSecret:
            return False


def load_master_key(configured: str | None, file: Path) -> bytes:
    """The master key: the configured one (base64), else that of `file`, which is made when it is missing.

    Raises StartupError for a key that is not 32 bytes, or a file that others may read.
    """
    if configured is not None:
        return _decoded(configured, "master_key")
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        if file.stat().st_mode & 0o077:
            raise StartupError(f"{file} can be read by others; run: chmod 600 {file}") from None
        return _decoded(file.read_text().strip(), str(file))
    with os.fdopen(descriptor, "wb") as stream:
        key = os.urandom(KEY_BYTES)
        stream.write(base64.b64encode(key) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return key


def _decoded(text: str, place: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StartupError(f"{place} must be {KEY_BYTES} bytes in base64, as made by: openssl rand -base64 {KEY_BYTES}")
    return key
