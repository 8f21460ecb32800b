"""What clients send by Xet becomes files like any other, and whatever is wrong in it leaves nothing behind."""

import hashlib
import os
import struct
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import httpx
import lz4.frame
import pytest

from steelyard.api.hub.xet_format import chunks_of
from steelyard.errors import InvalidInput
from tests.hub.conftest import HF, Hub, object_of

PLAIN, LZ4, GROUPED = 0, 1, 2
CHUNKS = [b"a" * 50_000, os.urandom(70_001), b"weigh the goods " * 3_000, b"x"]


def header(packed: int, scheme: int, size: int, version: int = 0) -> bytes:
    return bytes([version]) + packed.to_bytes(3, "little") + bytes([scheme]) + size.to_bytes(3, "little")


def chunk(content: bytes, scheme: int) -> bytes:
    data = content
    if scheme == GROUPED:
        data = b"".join(content[first::4] for first in range(4))
    if scheme != PLAIN:
        data = lz4.frame.compress(data)
    return header(len(data), scheme, len(content)) + data


def xorb(contents: Sequence[bytes], scheme: int = LZ4) -> bytes:
    return b"".join(chunk(content, scheme) for content in contents)


def raw(name: str) -> bytes:
    """The bytes of a hash of that name."""
    return struct.pack("<4Q", *(int(name[at : at + 16], 16) for at in range(0, 64, 16)))


def shard(*files: tuple[str, Sequence[tuple[str, int, int, int]]], flags: int = 0xC000_0000) -> bytes:
    """Says that files of a sha256 are made of runs: xorb, first chunk, last chunk, bytes."""
    parts = [bytes(48)]
    for digest, runs in files:
        parts.append(struct.pack("<32sIIQ", os.urandom(32), flags, len(runs), 0))
        parts += [struct.pack("<32sIIII", raw(name), 0, size, first, last) for name, first, last, size in runs]
        parts += [bytes(48)] * len(runs) * bool(flags & 0x8000_0000)
        parts += [raw(digest) + bytes(16)] * bool(flags & 0x4000_0000)
    return b"".join([*parts, b"\xff" * 32 + bytes(16), os.urandom(480)])


class Sender:
    """A client of Xet with a permission to send to one repository."""

    def __init__(self, hub: Hub) -> None:
        answer = hub.http.get(f"{hub.api}/xet-write-token/main")
        assert answer.status_code == 200
        self.http = hub.http
        self.url = answer.json()["casUrl"]
        self.headers = {"authorization": f"Bearer {answer.json()['accessToken']}"}
        assert answer.headers["x-xet-cas-url"] == self.url

    def xorb(self, body: bytes, name: str | None = None) -> tuple[str, httpx.Response]:
        name = name or os.urandom(32).hex()
        return name, self.http.post(f"{self.url}/v1/xorbs/default/{name}", content=body, headers=self.headers)

    def shard(self, body: bytes) -> httpx.Response:
        return self.http.post(f"{self.url}/v1/shards", content=body, headers=self.headers)


@pytest.fixture
def sender(hub: Hub) -> Sender:
    return Sender(hub)


def is_here(hub: Hub, content: bytes) -> bool:
    return "actions" not in hub.batch(object_of(content)).json()["objects"][0]


@pytest.mark.parametrize("scheme", [PLAIN, LZ4, GROUPED])
def test_a_file_is_made_of_chunks(hub: Hub, sender: Sender, scheme: int) -> None:
    name, sent = sender.xorb(xorb(CHUNKS, scheme))
    content = b"".join(CHUNKS[1:3] + CHUNKS)
    runs = [(name, 1, 3, len(CHUNKS[1] + CHUNKS[2])), (name, 0, 4, len(b"".join(CHUNKS)))]

    assert sent.json() == {"was_inserted": True}
    assert sender.shard(shard((object_of(content)["oid"], runs))).status_code == 200
    assert hub.commit({"key": "lfsFile", "value": {"path": "w.bin", **object_of(content)}}).status_code == 200
    assert hub.read("w.bin").content == content


def test_files_are_made_of_several_xorbs_and_a_footer_is_passed_over(hub: Hub, sender: Sender) -> None:
    (first, _), (second, _) = sender.xorb(xorb([b"one", b"two"])), sender.xorb(xorb([b"three"]) + b"XETBLOB\1 and more")
    files = {
        b"twothree": [(first, 1, 2, 3), (second, 0, 1, 5)],
        b"threeonetwo": [(second, 0, 1, 5), (first, 0, 2, 6)],
        b"one": [(first, 0, 1, 3)],
    }

    answer = sender.shard(shard(*((object_of(content)["oid"], runs) for content, runs in files.items())))

    assert answer.status_code == 200
    assert all(is_here(hub, content) for content in files)


def test_a_xorb_is_sent_once(sender: Sender) -> None:
    name, first = sender.xorb(xorb([b"one"]))
    _, second = sender.xorb(xorb([b"one"]), name)

    assert (first.json(), second.json()) == ({"was_inserted": True}, {"was_inserted": False})


def test_bytes_that_are_not_those_of_their_sha256_are_refused(hub: Hub, sender: Sender) -> None:
    name, _ = sender.xorb(xorb([b"one", b"two"]))

    answer = sender.shard(shard((object_of(b"other")["oid"], [(name, 0, 1, 3), (name, 0, 1, 3)])))

    assert answer.status_code == 422
    assert not is_here(hub, b"other")
    assert not is_here(hub, b"oneone")


@pytest.mark.parametrize(
    ("first", "last", "size"), [(0, 3, 6), (1, 1, 0), (2, 1, 3), (0, 1, 4), (5, 6, 3), (0, 2**32 - 1, 6)]
)
def test_chunks_that_are_not_there_are_refused(sender: Sender, first: int, last: int, size: int) -> None:
    name, _ = sender.xorb(xorb([b"one", b"two"]))

    assert sender.shard(shard((os.urandom(32).hex(), [(name, first, last, size)]))).status_code == 400


def test_a_xorb_that_never_came_is_asked_for(sender: Sender) -> None:
    answer = sender.shard(shard((os.urandom(32).hex(), [(os.urandom(32).hex(), 0, 1, 3)])))

    assert answer.status_code == 409
    assert "send it" in answer.headers["x-error-message"]


def test_a_xorb_of_another_workspace_cannot_be_used(hub: Hub, sender: Sender) -> None:
    secret = os.urandom(1000)
    name, _ = sender.xorb(xorb([secret]))
    workspace = f"{hub.repository.partition('/')[0]}-b"
    hub.http.post("/apis/entities/v2/workspaces", json={"name": workspace})
    hub.http.post(f"{HF}/api/repos/create", json={"name": "repo", "organization": workspace})
    other = Hub(hub.http, f"{workspace}/repo")

    answer = Sender(other).shard(shard((object_of(secret)["oid"], [(name, 0, 1, 1000)])))

    assert answer.status_code == 409
    assert not is_here(other, secret)


def test_a_workspace_cannot_put_other_bytes_under_the_name_of_anothers_xorb(hub: Hub, sender: Sender) -> None:
    name, _ = sender.xorb(xorb([b"ours"]))
    workspace = f"{hub.repository.partition('/')[0]}-b"
    hub.http.post("/apis/entities/v2/workspaces", json={"name": workspace})
    hub.http.post(f"{HF}/api/repos/create", json={"name": "repo", "organization": workspace})
    Sender(Hub(hub.http, f"{workspace}/repo")).xorb(xorb([b"theirs"]), name)

    assert sender.shard(shard((object_of(b"ours")["oid"], [(name, 0, 1, 4)]))).status_code == 200
    assert sender.shard(shard((object_of(b"theirs")["oid"], [(name, 0, 1, 6)]))).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        header(3, PLAIN, 3),
        header(3, PLAIN, 4) + b"one",
        header(3, PLAIN, 2) + b"one",
        header(3, PLAIN, 3, version=1) + b"one",
        header(3, 9, 3) + b"one",
        header(3, LZ4, 3) + b"one",
        header(0, PLAIN, 0),
        chunk(b"good", LZ4) + header(3, GROUPED, 3) + b"one",
        header(len(lz4.frame.compress(b"one")) - 4, LZ4, 3) + lz4.frame.compress(b"one")[:-4][:8],
        header(3, PLAIN, (1 << 24) - 1) + b"one",
    ],
)
def test_a_xorb_that_is_none_is_refused(sender: Sender, body: bytes) -> None:
    name, answer = sender.xorb(body)

    assert answer.status_code == 400
    assert sender.shard(shard((os.urandom(32).hex(), [(name, 0, 1, 3)]))).status_code == 409


def test_a_chunk_that_unpacks_to_more_than_it_says_is_refused(sender: Sender) -> None:
    bomb = lz4.frame.compress(bytes(100 << 20))

    _, answer = sender.xorb(header(len(bomb), LZ4, 1000) + bomb)

    assert answer.status_code == 400


async def test_a_chunk_that_lies_does_not_fill_the_memory() -> None:
    bomb = lz4.frame.compress(bytes(100 << 20))

    async def body() -> AsyncIterator[bytes]:
        yield header(len(bomb), LZ4, 1000) + bomb

    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput):
            _ = [one async for one in chunks_of(body())]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_xorb_has_its_limits(sender: Sender) -> None:
    zeros = chunk(bytes(1 << 20), LZ4)

    assert sender.xorb(zeros * 130)[1].status_code == 413
    assert sender.xorb(chunk(b"x", PLAIN) * 32_769)[1].status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(48),
        bytes(48) + os.urandom(20),
        bytes(48) + struct.pack("<32sIIQ", os.urandom(32), 0xC000_0000, 2**32 - 1, 0),
        shard((hashlib.sha256().hexdigest(), []), flags=0),
        os.urandom(1000),
    ],
    ids=["nothing", "no-files", "torn", "many-chunks", "no-chunks", "noise"],
)
def test_a_shard_that_is_none_is_refused(sender: Sender, body: bytes) -> None:
    assert sender.shard(body).status_code == 400


def test_nothing_is_taken_without_a_permission(hub: Hub, sender: Sender) -> None:
    ticket = hub.batch(object_of(b"one")).json()["objects"][0]["actions"]["upload"]["href"].partition("ticket=")[2]
    for value in ("", "Bearer", "Bearer x", f"Bearer {ticket}", "Basic eA=="):
        sender.headers = {"authorization": value}
        assert sender.xorb(xorb([b"one"]))[1].status_code == 403
        assert sender.shard(shard()).status_code == 403


def test_nobody_learns_which_chunks_are_here(sender: Sender) -> None:
    answer = sender.http.get(f"{sender.url}/v1/chunks/default/{'a' * 64}", headers=sender.headers)

    assert answer.status_code == 404


def test_the_name_of_a_xorb_is_a_hash(sender: Sender) -> None:
    assert sender.xorb(xorb([b"one"]), "short")[1].status_code == 400


def test_there_is_no_permission_for_a_repository_that_is_not_there(http: httpx.Client) -> None:
    answer = http.get(f"{HF}/api/models/default/not-there/xet-write-token/main")

    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RepoNotFound")
