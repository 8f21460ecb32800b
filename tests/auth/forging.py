"""Keys and tokens of an issuer that a test plays: right ones, and forged ones."""

import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from steelyard.errors import OutboundFailed

ISSUER, AUDIENCE = "https://login.example.com/realms/ml", "steelyard"
NOW = 1_900_000_000.0
_SIGNER = jwt.PyJWS()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
P256, P384, P521 = (ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(private: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public key as a JSON Web Key."""
    public = private.public_key()
    if isinstance(private, rsa.RSAPrivateKey):
        found = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        found = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        found = OKPAlgorithm.to_jwk(public, as_dict=True)
    found.pop("key_ops", None)
    return {**found, **({"kid": kid} if kid is not None else {}), "use": "sig", **more}


def pem(private: Any) -> bytes:
    """The public key in a usual form."""
    return bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def der(private: Any) -> bytes:
    """The public key in another one."""
    return bytes(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def claims(**changed: Any) -> dict[str, Any]:
    """The claims of a right token; None takes one away."""
    right = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": int(NOW) - 10, "exp": int(NOW) + 600}
    return {name: value for name, value in {**right, **changed}.items() if value is not None}


def signed(
    private: Any = RSA,
    algorithm: str = "RS256",
    kid: str | None = "rsa",
    headers: Mapping[str, Any] | None = None,
    **changed: Any,
) -> str:
    """A token, signed."""
    head = {**({"kid": kid} if kid is not None else {}), **(headers or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return _SIGNER.encode(json.dumps(claims(**changed)).encode(), private, algorithm=algorithm, headers=head)


def assembled(header: Mapping[str, Any], body: Mapping[str, Any], secret: bytes | None = None) -> str:
    """A token by hand: unsigned, or with an HMAC of a secret."""
    begin = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(body).encode())}"
    mac = hmac.new(secret, begin.encode(), hashlib.sha256).digest() if secret is not None else b""
    return f"{begin}.{_encoded(mac)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Web:
    """What the issuer's documents are, and how often they were asked for."""

    def __init__(self, keys: list[dict[str, Any]], issuer: str = ISSUER) -> None:
        self.keys = keys
        self.issuer = issuer
        self.jwks_uri = f"{ISSUER}/keys"
        self.down = False
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.down:
            raise OutboundFailed("no connection", reason="connect")
        if url.endswith("/.well-known/openid-configuration"):
            return json.dumps({"issuer": self.issuer, "jwks_uri": self.jwks_uri}).encode()
        return json.dumps({"keys": self.keys}).encode()


class Clock:
    """Seconds since 1970, which pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = NOW

    def __call__(self) -> float:
        return self.seconds
