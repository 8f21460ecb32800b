"""The keys of an issuer: renewed when they turn, asked for seldom, and believed for a while when nobody answers."""

import asyncio

import pytest

from steelyard.auth.issuers import Issuer
from steelyard.auth.tokens import TokenVerifier
from steelyard.errors import Unauthorized, Unavailable
from tests.auth.forging import ED, ISSUER, NOW, OTHER_RSA, RSA, Clock, Web, jwk, signed
from tests.auth.test_tokens import verifier_of

OLD, NEW = signed(exp=int(NOW) + 200_000), signed(OTHER_RSA, kid="new", exp=int(NOW) + 200_000)
SETS = 2
"""How many documents are read for a set of keys: the discovery document and the set."""


def _made() -> tuple[Web, Clock, TokenVerifier]:
    web, clock = Web([jwk(RSA, "rsa")]), Clock()
    return web, clock, verifier_of(web, clock)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_new_key_is_found_when_a_token_names_it() -> None:
    web, clock, verifier = _made()
    await verifier.verify(OLD)
    web.keys.append(jwk(OTHER_RSA, "new"))
    clock.seconds += 10

    assert (await verifier.verify(NEW)).subject == "alice"
    assert len(web.asked) == 2 * SETS


async def test_unknown_keys_do_not_make_us_ask_all_the_time() -> None:
    web, clock, verifier = _made()
    for number in range(100):
        clock.seconds += 0.05
        with pytest.raises(Unauthorized):
            await verifier.verify(signed(OTHER_RSA, kid=f"k{number}"))

    assert len(web.asked) == SETS


async def test_many_at_once_ask_once() -> None:
    web, _, verifier = _made()
    found = await asyncio.gather(*(verifier.verify(signed(sub=f"p{number}")) for number in range(50)))

    assert len({one.subject for one in found}) == 50
    assert len(web.asked) == SETS


async def test_keys_are_renewed_beside_requests_and_then_before_them() -> None:
    web, clock, verifier = _made()
    await verifier.verify(signed(sub="a"))
    clock.seconds += 601
    await verifier.verify(signed(sub="b"))
    await _settle()
    assert len(web.asked) == 2 * SETS

    web.keys[:] = [jwk(OTHER_RSA, "new")]
    clock.seconds += 3601
    with pytest.raises(Unauthorized, match="key"):
        await verifier.verify(OLD)


async def test_a_remembered_token_falls_with_its_key() -> None:
    web, clock, verifier = _made()
    await verifier.verify(OLD)
    web.keys[:] = [jwk(OTHER_RSA, "new")]
    clock.seconds += 20
    await verifier.verify(NEW)

    with pytest.raises(Unauthorized):
        await verifier.verify(OLD)


async def test_a_key_that_is_replaced_under_its_name_falls_too() -> None:
    web, clock, verifier = _made()
    await verifier.verify(OLD)
    web.keys[:] = [jwk(OTHER_RSA, "rsa"), jwk(ED, "ed")]
    clock.seconds += 20
    await verifier.verify(signed(ED, "EdDSA", "ed"))

    with pytest.raises(Unauthorized, match="signature"):
        await verifier.verify(OLD)


async def test_keys_are_believed_for_a_day_while_nobody_answers() -> None:
    web, clock, verifier = _made()
    await verifier.verify(OLD)
    web.down = True

    clock.seconds += 86_000
    assert await verifier.verify(OLD)
    clock.seconds += 1000
    with pytest.raises(Unavailable):
        await verifier.verify(OLD)


async def test_an_issuer_that_has_never_answered_is_no_reason_to_refuse() -> None:
    web, clock, verifier = _made()
    web.down = True
    with pytest.raises(Unavailable):
        await verifier.verify(OLD)
    asked = len(web.asked)
    with pytest.raises(Unavailable):
        await verifier.verify(OLD)
    assert len(web.asked) == asked, "it is left alone for a moment"

    web.down = False
    clock.seconds += 11
    assert await verifier.verify(OLD)


@pytest.mark.parametrize(
    ("issuer", "keys"),
    [
        ("https://evil.example.com", f"{ISSUER}/keys"),
        (f"{ISSUER}/", f"{ISSUER}/keys"),
        (ISSUER, "http://login.example.com/keys"),
        (ISSUER, "file:///etc/keys"),
        (ISSUER, ""),
    ],
)
async def test_a_discovery_document_of_another_is_not_believed(issuer: str, keys: str) -> None:
    web = Web([jwk(RSA, "rsa")], issuer)
    web.jwks_uri = keys
    with pytest.raises(Unavailable):
        await verifier_of(web, Clock()).verify(OLD)


async def test_addresses_are_told_while_there_are_any() -> None:
    web, clock = Web([jwk(RSA, "rsa")]), Clock()
    web.down = True
    issuer = Issuer(ISSUER, web.fetch, clock, 10.0)

    assert set((await issuer.endpoints()).values()) == {None}
