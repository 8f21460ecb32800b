"""Sets of keys as issuers publish them: what in them verifies, and what is passed over."""

import json
from typing import Any

import pytest

from steelyard.auth.key_sets import read_key, read_keys
from steelyard.errors import OutboundFailed
from tests.auth.forging import ED, P256, RSA, WEAK_RSA, jwk

_RSA = jwk(RSA, "rsa")


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": ["RSA"]},
        {"kty": {"a": 1}},
        {**_RSA, "use": "enc"},
        {**_RSA, "use": ["sig"]},
        {**_RSA, "key_ops": ["sign"]},
        {**_RSA, "key_ops": "verify"},
        {**_RSA, "alg": "HS256"},
        {**_RSA, "alg": "none"},
        {**_RSA, "alg": ["RS256"]},
        {**_RSA, "alg": "ES256"},
        {**_RSA, "n": 5},
        {**_RSA, "n": "!!!"},
        {**_RSA, "e": "AQ"},
        {"kty": "RSA", "kid": "half", "n": _RSA["n"]},
        jwk(WEAK_RSA, "weak"),
        {**jwk(P256, "p"), "crv": "secp256k1"},
        {**jwk(P256, "p"), "crv": ["P-256"]},
        {**jwk(P256, "p"), "x": "AAAA"},
        {**jwk(ED, "e"), "crv": "X25519"},
        {**jwk(ED, "e"), "x": "AAAA"},
    ],
)
def test_what_does_not_verify_is_passed_over(entry: dict[str, Any]) -> None:
    assert read_key(entry) is None
    assert [key.id for key in read_keys(json.dumps({"keys": [entry, "no key", _RSA]}).encode())] == ["rsa"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"keys"', b"{}", b'{"keys": 1}', b"\xff", b"<html>"])
def test_what_is_no_set_is_an_error_of_the_issuer(body: bytes) -> None:
    with pytest.raises(OutboundFailed):
        read_keys(body)


def test_private_members_are_not_looked_at() -> None:
    found = read_key({**_RSA, "d": "AAAA", "p": "AAAA", "x5u": "https://evil.example.com"})

    assert found is not None
    assert found.key == RSA.public_key()
