"""The keys that an issuer signs with: read from its JSON Web Key Set, and which algorithms each may be used with.

A key is used with the algorithms of its own kind, whatever a token says: a public RSA key is never the secret of an
HMAC, and there is no `none`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from steelyard.errors import OutboundFailed

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_EC = {"P-256": frozenset({"ES256"}), "P-384": frozenset({"ES384"}), "P-521": frozenset({"ES512"})}
_OKP = {"Ed25519": frozenset({"EdDSA"})}
ALGORITHMS = _RSA.union(*_EC.values(), *_OKP.values())
"""Those that tokens may be signed with."""
_RSA_BITS = 2048
_MOST_KEYS = 100
_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_READERS: Mapping[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


class VerifyingKey(NamedTuple):
    """A public key, and what it may verify."""

    id: str | None
    key: Any
    algorithms: frozenset[str]


class KeySource(Protocol):
    """Where the keys of an issuer are had from."""

    @property
    def version(self) -> int:
        """Another number whenever the keys are others."""

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """The key of that id for that algorithm; without an id, the only one for it. Raises Unavailable."""


def find(keys: Iterable[VerifyingKey], kid: str | None, algorithm: str) -> VerifyingKey | None:
    """The key of that id for that algorithm; without an id, the only one for it."""
    fitting = [key for key in keys if algorithm in key.algorithms and (kid is None or key.id == kid)]
    return fitting[0] if len(fitting) == 1 else None


def read_keys(document: bytes) -> tuple[VerifyingKey, ...]:
    """The keys of a JSON Web Key Set that can verify; others in it are passed over. Raises OutboundFailed."""
    try:
        found = orjson.loads(document)["keys"]
        entries = [entry for entry in found if isinstance(entry, dict)]
    except (ValueError, KeyError, TypeError):
        raise OutboundFailed("the answer is no set of keys", reason="protocol") from None
    return tuple(key for key in map(read_key, entries[:_MOST_KEYS]) if key is not None)


def read_key(entry: Mapping[str, Any]) -> VerifyingKey | None:
    """One key (RFC 7517); None for one that does not verify signatures, is too weak, or is not understood."""
    kind, kid, said = entry.get("kty"), entry.get("kid"), entry.get("alg")
    if not isinstance(kind, str) or kind not in _MEMBERS or entry.get("use", "sig") != "sig":
        return None
    uses = entry.get("key_ops")
    if uses is not None and not (isinstance(uses, list) and "verify" in uses):
        return None
    algorithms = _RSA if kind == "RSA" else (_EC if kind == "EC" else _OKP).get(str(entry.get("crv")), frozenset())
    if said is not None:
        algorithms &= {said} if isinstance(said, str) else frozenset()
    try:
        # Only what is public: a set that holds private members is somebody's mistake.
        key = _READERS[kind].from_jwk({name: entry[name] for name in _MEMBERS[kind]})
    except (PyJWTError, KeyError, TypeError, ValueError):
        return None
    if not algorithms or (isinstance(key, RSAPublicKey) and key.key_size < _RSA_BITS):
        return None
    return VerifyingKey(kid if isinstance(kid, str) else None, key, algorithms)
