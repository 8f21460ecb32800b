"""Requests go over connections to addresses that were checked, and nowhere else; against real servers on loopback."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from steelyard.errors import OutboundFailed, OutboundRefused, StartupError
from steelyard.outbound.policy import OutboundPolicy
from steelyard.outbound.transport import HttpTransport, OutboundRequest, Timeouts, look_up
from tests.webhooks.receivers import Answer, Receiver, receiving

PATIENT = Timeouts()
ONLY_ONE = OutboundPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.1/32"),))


class Names:
    """A resolver that gives its answers one after the other, the last for ever, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def ask(transport: HttpTransport, url: str, timeouts: Timeouts = PATIENT) -> tuple[int, bytes]:
    """Status and body of the answer."""
    async with transport.open(OutboundRequest("POST", url, [("x-test", "1")], b"{}", timeouts)) as answer:
        return answer.status, b"".join([chunk async for chunk in answer.chunks()])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
async def transports() -> AsyncIterator[list[HttpTransport]]:
    """What is put in here is closed at the end."""
    made: list[HttpTransport] = []
    yield made
    for transport in made:
        await transport.close()


async def test_the_host_header_stays_the_name(receiver: Receiver, transports: list[HttpTransport]) -> None:
    names = Names(["127.0.0.1"])
    transports.append(HttpTransport(ONLY_ONE, lookup=names))
    receiver.always = Answer(200, body=b"hello")
    assert await ask(transports[0], f"http://hooks.example:{receiver.port}/a%2Fb?c=d") == (200, b"hello")
    (message,) = receiver.messages
    assert message.headers["host"] == f"hooks.example:{receiver.port}"
    assert (message.path, message.headers["x-test"], message.body) == ("/a%2Fb?c=d", "1", b"{}")
    assert names.asked == ["hooks.example"]


async def test_a_name_that_leads_inside_is_refused(receiver: Receiver, transports: list[HttpTransport]) -> None:
    for addresses in (["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "fe80::1%lo"], ["169.254.169.254"]):
        transport = HttpTransport(OutboundPolicy(), lookup=Names(addresses))
        transports.append(transport)
        with pytest.raises(OutboundRefused):
            await ask(transport, f"http://hooks.example:{receiver.port}/")
    assert receiver.messages == []


async def test_a_real_name_that_leads_to_this_machine_is_refused(transports: list[HttpTransport]) -> None:
    transports.append(HttpTransport(OutboundPolicy(allowed_networks=(ipaddress.ip_network("192.0.2.0/24"),))))
    with pytest.raises(OutboundRefused):
        await ask(transports[0], "http://localhost:1/")


async def test_an_answer_that_changes_is_checked_each_time_and_never_asked_for_twice(
    receiver: Receiver, transports: list[HttpTransport]
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"])
    transports.append(HttpTransport(ONLY_ONE, lookup=names))
    url = f"http://rebinding.example:{receiver.port}/"
    receiver.always = Answer(200, {"connection": "close"})
    await ask(transports[0], url)
    assert len(names.asked) == 1
    with pytest.raises(OutboundRefused):
        await ask(transports[0], url)
    await ask(transports[0], url)
    assert len(receiver.messages) == len(names.asked) - 1 == 2


async def test_of_several_addresses_only_the_allowed_are_tried(
    receiver: Receiver, transports: list[HttpTransport]
) -> None:
    transports.append(HttpTransport(ONLY_ONE, lookup=Names(["127.0.0.2", "::1", "127.0.0.1"])))
    assert (await ask(transports[0], f"http://many.example:{receiver.port}/"))[0] == 204


async def test_a_redirect_is_an_answer_like_any_other(receiver: Receiver, transports: list[HttpTransport]) -> None:
    transports.append(HttpTransport(ONLY_ONE))
    for place in ("http://169.254.169.254/latest/meta-data/", "/elsewhere", f"http://127.0.0.2:{receiver.port}/"):
        receiver.answers = [Answer(307, {"location": place})]
        assert (await ask(transports[0], receiver.url))[0] == 307
    assert [message.path for message in receiver.messages] == ["/hook"] * 3


async def test_nothing_of_the_environment_or_of_earlier_answers_is_used(
    receiver: Receiver, transports: list[HttpTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.2:9")
    transports.append(HttpTransport(ONLY_ONE))
    receiver.always = Answer(200, {"set-cookie": "a=b"})
    await ask(transports[0], receiver.url)
    await ask(transports[0], receiver.url)
    assert not any("cookie" in message.headers for message in receiver.messages)


async def test_what_goes_wrong_is_named_without_the_url(receiver: Receiver, transports: list[HttpTransport]) -> None:
    transports.append(HttpTransport(ONLY_ONE))
    with receiving() as gone:
        dead = gone.url
    receiver.always = Answer(hangs=60)
    for url, reason in ((f"{receiver.url}?key=canary", "timeout"), (f"{dead}?key=canary", "connect")):
        with pytest.raises(OutboundFailed) as caught:
            await ask(transports[0], url, Timeouts(1, 1, 1))
        assert caught.value.details == {"reason": reason}
        assert "canary" not in caught.value.message
        assert caught.value.__cause__ is None


async def test_a_name_that_nobody_knows(transports: list[HttpTransport]) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    transports.append(HttpTransport(ONLY_ONE, lookup=unknown))
    with pytest.raises(OutboundFailed) as caught:
        await ask(transports[0], "http://nowhere.example/")
    assert caught.value.details == {"reason": "dns"}


async def test_an_answer_that_is_no_http_or_breaks_off(receiver: Receiver, transports: list[HttpTransport]) -> None:
    transports.append(HttpTransport(ONLY_ONE))
    receiver.always = Answer(200, {"content-length": "100", "connection": "close"}, body=b"short")
    with pytest.raises(OutboundFailed) as caught:
        await ask(transports[0], receiver.url)
    assert caught.value.details["reason"] in {"protocol", "disconnect"}


@pytest.fixture
def certified(receiver: Receiver, tmp_path: Path) -> Path:
    """The receiver speaks TLS as hooks.example; the answer is the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = tmp_path / "certificate.pem", tmp_path / "key.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file, key_file)
    receiver.speak(tls)
    return file


async def test_certificates_are_verified_for_the_name(
    receiver: Receiver, certified: Path, transports: list[HttpTransport]
) -> None:
    names = Names(["127.0.0.1"])
    trusting = HttpTransport(ONLY_ONE, ca_bundle=certified, lookup=names)
    transports += [HttpTransport(ONLY_ONE, lookup=names), trusting]
    url = f"https://hooks.example:{receiver.port}/"
    for transport, place in ((transports[0], url), (trusting, url.replace("hooks", "other"))):
        with pytest.raises(OutboundFailed) as caught:
            await ask(transport, place)
        assert caught.value.details == {"reason": "tls"}
    assert receiver.messages == []
    assert (await ask(trusting, url))[0] == 204


def test_a_ca_bundle_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"outbound\.ca_bundle"):
        HttpTransport(OutboundPolicy(), ca_bundle=tmp_path / "none.pem")
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(StartupError, match=r"outbound\.ca_bundle"):
        HttpTransport(OutboundPolicy(), ca_bundle=tmp_path / "junk.pem")


def test_a_server_that_sends_nothing_does_not_load_the_client() -> None:
    code = "import sys, steelyard.app; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_names_that_nobody_answers_for_keep_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    real, answered = socket.getaddrinfo, threading.Event()

    def slow(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "slow.example":
            answered.wait(20)
            raise OSError("nobody answers")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    waiting = [asyncio.create_task(look_up("slow.example", 80)) for _ in range(16)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await look_up("127.0.0.1", 80) == ["127.0.0.1"]
            assert await asyncio.to_thread(lambda: "a thread of the loop") == "a thread of the loop"
    finally:
        answered.set()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "\udcff.example"])
async def test_what_is_no_name_is_not_found(host: str) -> None:
    with pytest.raises(OSError):
        await look_up(host, 80)
