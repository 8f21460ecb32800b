"""Who a proxy says is calling: believed from its addresses and with its secret."""

import pytest

from steelyard.auth.proxies import Proxies
from steelyard.errors import Unauthorized
from steelyard.records.access import Principal

SECRET = "a-secret-of-the-proxy"
RIGHT = {
    b"x-steelyard-subject": b"alice",
    b"x-steelyard-email": b"alice@example.com",
    b"x-steelyard-groups": b"ml-team, everyone,,not a name",
    b"x-steelyard-proxy-secret": SECRET.encode(),
}
PROXIES = Proxies(["10.1.0.0/16", "::1/128"], SECRET, frozenset({"admin"}))


@pytest.mark.parametrize("address", ["10.1.2.3", "::1", "::ffff:10.1.2.3"])
def test_a_proxy_is_believed(address: str) -> None:
    expected = Principal("alice", "alice@example.com", frozenset({"ml-team", "everyone"}), "proxy")

    assert PROXIES.principal(RIGHT, address) == expected


@pytest.mark.parametrize("address", ["10.2.0.1", "127.0.0.1", "::2", None, "", "no address"])
def test_nobody_else_is(address: str | None) -> None:
    assert PROXIES.principal(RIGHT, address) is None


@pytest.mark.parametrize(
    "secret", [b"", b"a-secret-of-the-prox", b"A-SECRET-OF-THE-PROXY", SECRET.encode() * 2, b"\xff"]
)
def test_nor_without_the_secret(secret: bytes) -> None:
    headers = {**RIGHT, b"x-steelyard-proxy-secret": secret}

    assert PROXIES.principal(headers, "10.1.2.3") is None
    del headers[b"x-steelyard-proxy-secret"]
    assert PROXIES.principal(headers, "10.1.2.3") is None


def test_without_a_subject_there_is_nobody() -> None:
    assert PROXIES.principal({b"x-steelyard-proxy-secret": SECRET.encode()}, "10.1.2.3") is None
    assert PROXIES.principal({**RIGHT, b"x-steelyard-subject": b""}, "10.1.2.3") is None


@pytest.mark.parametrize("subject", [b"a b", b"group:x", b"admin", b"\xff", b"a" * 257, b"mallory, alice"])
def test_bad_names_are_refused(subject: bytes) -> None:
    with pytest.raises(Unauthorized):
        PROXIES.principal({**RIGHT, b"x-steelyard-subject": subject}, "10.1.2.3")
