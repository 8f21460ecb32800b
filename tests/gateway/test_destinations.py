"""Where connections to upstreams may lead: what policy allows, and whose certificates verify; on real sockets."""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from steelyard.gateway.connection import Answer
from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.pool import Pool, PoolRules
from steelyard.outbound.policy import OutboundPolicy, Target
from steelyard.outbound.transport import make_ssl_context
from tests.gateway.asked import LOOPBACK
from tests.gateway.peers import EMPTY, GET, PATIENCE, on_each_loop, peers, pooled

ONLY_ONE = OutboundPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.1/32"),))


async def _ask(pool: Pool, target: Target, seconds: float = PATIENCE, *, fresh: bool = False) -> Answer:
    """Sends a request, and waits for the head of its answer."""
    answer = await pool.send(target, GET, b"", seconds, fresh=fresh)
    await answer.head(PATIENCE)
    return answer


async def _refused(pool: Pool, target: Target, seconds: float = PATIENCE) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as failed:
        await _ask(pool, target, seconds)
    assert pool.open_connections == 0
    return failed.value


# Where connections go.


class Names:
    """A resolver that gives its answers one after the other, the last for ever, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@on_each_loop
async def test_a_name_that_leads_inside_is_refused_and_nobody_is_connected_to() -> None:
    async with peers() as found:
        for addresses in (
            *(["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "192.168.0.1"], ["169.254.169.254"]),
            *(["fe80::1%lo"], ["100.100.100.200"], ["0.0.0.0"], ["64:ff9b::7f00:1"]),
        ):
            async with pooled(policy=OutboundPolicy(), lookup=Names(addresses)) as pool:
                target = found.target("up.example", policy=OutboundPolicy())
                assert (await _refused(pool, target)).reason == "refused"
        assert found.came == []


@on_each_loop
async def test_an_address_in_the_url_is_checked_again() -> None:
    """The records were written under another policy than the one that holds now."""
    async with peers() as found, pooled(policy=OutboundPolicy()) as pool:
        assert (await _refused(pool, found.target())).reason == "refused"
        assert found.came == []


@on_each_loop
async def test_a_name_that_changes_its_answer_is_checked_for_each_connection_and_asked_once_for_it() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"])
    async with peers() as found, pooled(policy=ONLY_ONE, lookup=names) as pool:
        target = found.target("rebinding.example", policy=ONLY_ONE)
        closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        asking = asyncio.create_task(_ask(pool, target))
        await (await found.peer(1)).answer(closing)
        await asking
        assert names.asked == 1
        assert (await _refused(pool, target)).reason == "refused"
        asking = asyncio.create_task(_ask(pool, target))
        await (await found.peer(2)).answer()
        await asking
        assert (names.asked, len(found.came)) == (3, 2)


@on_each_loop
async def test_of_several_addresses_only_the_allowed_are_tried() -> None:
    names = Names(["127.0.0.2", "::1", "127.0.0.1", "127.0.0.1"])
    async with peers() as found, pooled(policy=ONLY_ONE, lookup=names) as pool:
        asking = asyncio.create_task(_ask(pool, found.target("many.example", policy=ONLY_ONE)))
        await (await found.peer()).answer()
        assert (await asking).status == 200
        assert len(found.came) == 1


@on_each_loop
async def test_the_next_address_is_tried_where_one_refuses() -> None:
    async with peers() as found, pooled(lookup=Names(["127.0.0.9", "127.0.0.1"])) as pool:
        asking = asyncio.create_task(_ask(pool, found.target("two.example")))
        await (await found.peer()).answer()
        assert (await asking).status == 200


@on_each_loop
async def test_a_name_that_is_not_known() -> None:
    async def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    for lookup in (nobody, Names([])):
        async with pooled(lookup=lookup) as pool:
            assert (await _refused(pool, Target("http", "no.example", 80, None))).reason in {"dns", "connect"}


@on_each_loop
async def test_connecting_has_its_time_looking_up_included() -> None:
    async def slow(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(PATIENCE)
        return ["127.0.0.1"]

    async with pooled(lookup=slow) as pool:
        begun = time.monotonic()
        failed = await _refused(pool, Target("http", "slow.example", 80, None), 0.1)
        assert (failed.reason, failed.detail) == ("timeout", "connecting took too long")
        assert time.monotonic() - begun < 2


@on_each_loop
async def test_who_leaves_while_it_connects_leaves_nothing_open() -> None:
    async def slow(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(PATIENCE)
        return ["127.0.0.1"]

    async with pooled(PoolRules(max_connections=1), lookup=slow) as pool:
        for _ in range(3):
            connecting = asyncio.create_task(_ask(pool, Target("http", "slow.example", 80, None)))
            await asyncio.sleep(0.02)
            assert pool.open_connections == 1
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            assert pool.open_connections == 0


# TLS.


class Authority:
    """A certificate authority, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of a test")])
        self.bundle = folder / "ca.pem"
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._signed(self._name, self._key.public_key()).add_extension(constraints, critical=True)
        usage = x509.KeyUsage(
            **{"digital_signature": True, "content_commitment": False, "key_encipherment": False},
            **{"data_encipherment": False, "key_agreement": False, "key_cert_sign": True, "crl_sign": True},
            **{"encipher_only": False, "decipher_only": False},
        )
        signed = certificate.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.bundle.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def server(self, host: str, *, days: int = 1) -> ssl.SSLContext:
        """What a server of that name has; `days` is for how long its certificate holds."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._signed(x509.Name([]), key.public_key(), days)
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        signed = builder.add_extension(names, critical=True).sign(self._key, hashes.SHA256())
        path = self._folder / f"{host}{days}.pem"
        pem = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, *pem) + signed.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 1) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=3)).not_valid_after(now + timedelta(days=days))
        return builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


@cache
def _authority() -> Authority:
    return Authority(Path(_folder().name))


async def _asked_by_tls(server: ssl.SSLContext, bundle: Path | None, host: str = "up.example") -> str:
    """What comes of a request to a server of that name: `ok`, or why not."""
    async with (
        peers(tls=server) as found,
        pooled(tls=lambda: make_ssl_context(bundle), lookup=Names(["127.0.0.1"])) as pool,
    ):
        asking = asyncio.create_task(_ask(pool, found.target(host, "https")))

        async def answer() -> None:
            await (await found.peer()).answer()
            await asking
            await found.came[0].answer()

        answering = asyncio.create_task(answer())
        try:
            await asking
            again = await _ask(pool, found.target(host, "https"))
            assert (again.reused, len(found.came)) == (True, 1)
        except UpstreamFailed as failed:
            assert pool.open_connections == 0
            assert found.came == []
            return failed.reason
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        return "ok"


@on_each_loop
async def test_a_certificate_of_an_own_authority_is_taken_and_the_name_verified() -> None:
    authority = _authority()
    assert await _asked_by_tls(authority.server("up.example"), authority.bundle) == "ok"
    assert await _asked_by_tls(authority.server("*.up.example"), authority.bundle, "a.up.example") == "ok"


@on_each_loop
async def test_a_certificate_of_another_name_is_refused() -> None:
    authority = _authority()
    for name in ("other.example", "up.example.evil.example", "127.0.0.1"):
        assert await _asked_by_tls(authority.server(name), authority.bundle) == "tls"


@on_each_loop
async def test_a_certificate_of_an_authority_that_nobody_trusts_is_refused() -> None:
    assert await _asked_by_tls(_authority().server("up.example"), None) == "tls"


@on_each_loop
async def test_a_certificate_whose_time_is_over_is_refused() -> None:
    authority = _authority()
    assert await _asked_by_tls(authority.server("up.example", days=-1), authority.bundle) == "tls"


@on_each_loop
async def test_a_server_without_tls_is_no_server_of_https() -> None:
    async with peers() as found, pooled(tls=lambda: make_ssl_context(_authority().bundle)) as pool:

        async def babble() -> None:
            (await found.peer()).say(EMPTY)

        babbling = asyncio.create_task(babble())
        assert (await _refused(pool, found.target(scheme="https", policy=LOOPBACK))).reason in {"tls", "connect"}
        await babbling
