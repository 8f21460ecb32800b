"""Tokens of others: which are believed, and which are not, whatever they say of themselves."""

from typing import Any

import jwt
import pytest

from steelyard.auth.claims import ClaimRules, principal_of
from steelyard.auth.issuers import Issuer
from steelyard.auth.tokens import TokenVerifier, Trusted
from steelyard.errors import Unauthorized
from steelyard.records.access import Principal
from tests.auth import forging
from tests.auth.forging import AUDIENCE, ED, ISSUER, NOW, P256, P384, P521, RSA, Clock, Web, der, jwk, pem, signed

SKEW = 60.0
KEYS = [
    jwk(RSA, "rsa"),
    jwk(P256, "p256"),
    jwk(P384, "p384"),
    jwk(P521, "p521"),
    jwk(ED, "ed"),
    jwk(forging.WEAK_RSA, "weak"),
    jwk(forging.OTHER_RSA, "only-ps", alg="PS256"),
    jwk(forging.OTHER_RSA, "to-encrypt", use="enc"),
    {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ", "kid": "secret"},
]


def verifier_of(web: Web, clock: Clock, rules: ClaimRules | None = None) -> TokenVerifier:
    issuer = Issuer(ISSUER, web.fetch, clock, 10.0)
    reads = rules or ClaimRules(reserved=frozenset({"admin"}))
    trusted = Trusted(ISSUER, AUDIENCE, issuer, lambda said: principal_of(said, ISSUER, reads))
    return TokenVerifier({ISSUER: trusted}, clock, SKEW)


@pytest.fixture
def web() -> Web:
    return Web(list(KEYS))


@pytest.fixture
def verifier(web: Web) -> TokenVerifier:
    return verifier_of(web, Clock())


@pytest.mark.parametrize(
    ("private", "kid", "algorithm"),
    [
        *((RSA, "rsa", name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (P256, "p256", "ES256"),
        (P384, "p384", "ES384"),
        (P521, "p521", "ES512"),
        (ED, "ed", "EdDSA"),
        (forging.OTHER_RSA, "only-ps", "PS256"),
    ],
)
async def test_a_token_is_believed(verifier: TokenVerifier, private: Any, kid: str, algorithm: str) -> None:
    token = signed(private, algorithm, kid, email="alice@example.com", groups=["ml"], scope="openid models:read")

    principal = await verifier.verify(token)

    assert principal == Principal("alice", "alice@example.com", frozenset({"ml"}), ISSUER, ("models:read",))


_TOKEN = signed()
_BEGIN, _BODY, _SIGNATURE = _TOKEN.split(".")
_OTHER_BODY = signed(sub="bob").split(".")[1]
FORGED = {
    "none": forging.assembled({"alg": "none", "kid": "rsa"}, forging.claims()),
    "None": forging.assembled({"alg": "NoNe", "kid": "rsa"}, forging.claims()),
    "no algorithm": forging.assembled({"kid": "rsa"}, forging.claims()),
    "an algorithm that is a list": forging.assembled({"alg": ["RS256"], "kid": "rsa"}, forging.claims()),
    "the public key as a secret": forging.assembled({"alg": "HS256", "kid": "rsa"}, forging.claims(), pem(RSA)),
    "the public key as a secret, DER": forging.assembled({"alg": "HS256", "kid": "rsa"}, forging.claims(), der(RSA)),
    "a symmetric key of the set": forging.assembled(
        {"alg": "HS256", "kid": "secret"}, forging.claims(), b"secret-secret-secret-secret-1234"
    ),
    "RS256 that is an HMAC": forging.assembled({"alg": "RS256", "kid": "rsa"}, forging.claims(), pem(RSA)),
    "another key": signed(forging.OTHER_RSA),
    "the key of another algorithm": signed(forging.OTHER_RSA, "RS256", "only-ps"),
    "a key that encrypts": signed(forging.OTHER_RSA, "RS256", "to-encrypt"),
    "a curve of another key": signed(P256, "ES256", "p384"),
    "ES256 with an RSA key's id": signed(P256, "ES256", "rsa"),
    "a weak key": signed(forging.WEAK_RSA, "RS256", "weak"),
    "no signature": f"{_BEGIN}.{_BODY}.",
    "two parts": f"{_BEGIN}.{_BODY}",
    "four parts": f"{_TOKEN}.{_SIGNATURE}",
    "cut": _TOKEN[:-10],
    "cut by one": _TOKEN[:-1],
    "another body": f"{_BEGIN}.{_OTHER_BODY}.{_SIGNATURE}",
    "another head": f"{signed(kid='p256').split('.')[0]}.{_BODY}.{_SIGNATURE}",
    "no json": "e30.bm8.bm8",
    "lists": "W10.W10.W10",
    "five parts (encrypted)": "a.b.c.d.e",
    "words": "let me in",
    "nothing": "..",
    "an unknown kid": signed(kid="nobody's"),
    "a kid that is a path": signed(forging.OTHER_RSA, kid="../../../../dev/null"),
    "a kid that is SQL": signed(forging.OTHER_RSA, kid="x' UNION SELECT 'key"),
    "a kid that is a URL": signed(forging.OTHER_RSA, kid="https://evil.example.com/key"),
    "a long kid": signed(kid="k" * 300),
    "a kid that is no text": forging.assembled({"alg": "RS256", "kid": {"a": 1}}, forging.claims()),
    "no kid, of several keys": signed(RSA, "PS256", None),
    "where its key is (jku)": signed(
        forging.OTHER_RSA,
        kid="new",
        headers={"jku": "https://evil.example.com/keys", "x5u": "https://evil.example.com"},
    ),
    "its key (jwk)": signed(forging.OTHER_RSA, headers={"jwk": jwk(forging.OTHER_RSA, "rsa")}),
    "extensions": signed(headers={"crit": ["exp"]}),
    "a logout": signed(headers={"typ": "logout+jwt"}),
    "a proof": signed(headers={"typ": "dpop+jwt"}),
    "a logout without a kind": signed(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    "a token that is bound to a key": signed(cnf={"jkt": "x"}),
    "another issuer": signed(iss="https://evil.example.com"),
    "an issuer with a slash more": signed(iss=ISSUER + "/"),
    "an issuer in other letters": signed(iss=ISSUER.upper()),
    "issuers": signed(iss=[ISSUER]),
    "no issuer": signed(iss=None),
    "another audience": signed(aud="somebody-else"),
    "audiences of others": signed(aud=["a", "b"]),
    "a part of the audience": signed(aud="steel"),
    "no audience": signed(aud=None),
    "expired": signed(exp=int(NOW - SKEW)),
    "expired long ago": signed(exp=1),
    "no expiry": signed(exp=None),
    "an expiry that is a text": signed(exp="tomorrow"),
    "not yet": signed(nbf=int(NOW + SKEW) + 5),
    "made in the future": signed(iat=int(NOW + SKEW) + 5),
    "no subject": signed(sub=None),
    "an empty subject": signed(sub=""),
    "a long subject": signed(sub="a" * 257),
    "a subject with a space": signed(sub="alice smith"),
    "a subject with a line": signed(sub="alice\n"),
    "a subject of other letters": signed(sub="älice"),
    "everybody": signed(sub="*"),
    "a group as a subject": signed(sub="group:admins"),
    "a name of the server's own": signed(sub="admin"),
    "too many groups": signed(groups=[f"g{number}" for number in range(101)]),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_not(verifier: TokenVerifier, web: Web, name: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        await verifier.verify(FORGED[name])

    assert FORGED[name] not in str(refused.value)
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert all(url.startswith(ISSUER) for url in web.asked), "only the issuer is asked for keys"


async def test_every_cut_of_a_token_is_refused(verifier: TokenVerifier) -> None:
    for length in range(len(_TOKEN)):
        with pytest.raises(Unauthorized):
            await verifier.verify(_TOKEN[:length])


@pytest.mark.parametrize(
    "changed",
    [{"exp": int(NOW - SKEW) + 5}, {"nbf": int(NOW + SKEW) - 5}, {"iat": int(NOW + SKEW) - 5}, {"iat": None}],
)
async def test_clocks_may_be_apart_a_little(verifier: TokenVerifier, changed: dict[str, Any]) -> None:
    assert (await verifier.verify(signed(**changed))).subject == "alice"


@pytest.mark.parametrize("changed", [{"aud": ["other", AUDIENCE]}, {"sub": "a" * 256}, {"exp": NOW + 0.5}])
async def test_what_else_is_right(verifier: TokenVerifier, changed: dict[str, Any]) -> None:
    assert await verifier.verify(signed(**changed))


async def test_the_only_key_needs_no_name() -> None:
    verifier = verifier_of(Web([jwk(RSA, None), jwk(P256, "p256")]), Clock())

    assert (await verifier.verify(signed(kid=None))).subject == "alice"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"email": "a@example.com"}, "a@example.com"),
        ({"email": "a@example.com", "email_verified": True}, "a@example.com"),
        ({"email": "a@example.com", "email_verified": False}, None),
        ({"email": "a@example.com", "email_verified": "false"}, None),
        ({"email": "no address"}, None),
        ({"email": "group:a@example.com"}, None),
        ({"email": ["a@example.com"]}, None),
    ],
)
async def test_an_address_counts_if_it_may_be_the_persons(
    verifier: TokenVerifier, said: dict[str, Any], expected: str | None
) -> None:
    assert (await verifier.verify(signed(**said))).email == expected


@pytest.mark.parametrize(
    ("claim", "said", "expected"),
    [
        ("groups", {"groups": ["a", "b"]}, {"a", "b"}),
        ("groups", {"groups": "a"}, {"a"}),
        ("groups", {"groups": ["a", 1, None, "with space", "g" * 300]}, {"a"}),
        ("groups", {"groups": {"a": 1}}, set()),
        ("groups", {}, set()),
        ("realm_access.roles", {"realm_access": {"roles": ["r"]}}, {"r"}),
        ("realm_access.roles", {"realm_access": ["r"]}, set()),
        ("https://example.com/groups", {"https://example.com/groups": ["u"]}, {"u"}),
    ],
)
async def test_groups_are_where_the_settings_say(
    web: Web, claim: str, said: dict[str, Any], expected: set[str]
) -> None:
    verifier = verifier_of(web, Clock(), ClaimRules(claim))

    assert (await verifier.verify(signed(**said))).groups == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"scope": "openid models:read files:*"}, ("models:read", "files:*")),
        ({"scp": ["models:read", "x"]}, ("models:read",)),
        ({"scp": "models:read"}, ("models:read",)),
        ({}, ()),
    ],
)
async def test_scopes_narrow(verifier: TokenVerifier, said: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert (await verifier.verify(signed(**said))).scopes == expected


async def test_a_verified_token_is_remembered_until_it_expires(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    verifier, token = verifier_of(web, clock), signed(exp=int(NOW) + 100)
    first = await verifier.verify(token)
    monkeypatch.setattr(jwt, "decode", None)

    clock.seconds = NOW + 100 + SKEW - 1
    assert await verifier.verify(token) is first
    monkeypatch.undo()
    clock.seconds = NOW + 100 + SKEW
    with pytest.raises(Unauthorized, match="expired"):
        await verifier.verify(token)
