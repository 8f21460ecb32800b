"""Large files arrive by addresses that permit exactly their bytes; bytes that are others leave nothing behind."""

import hashlib
import os
from urllib.parse import urlsplit

import httpx
import pytest

from tests.hub.conftest import Hub, object_of

PART = 64 << 20


def upload_of(answer: httpx.Response) -> dict[str, object]:
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["objects"]
    return dict(one["actions"]["upload"])


def can_be_named(hub: Hub, content: bytes) -> bool:
    return "actions" not in hub.batch(object_of(content)).json()["objects"][0]


def test_an_object_is_asked_for_once(hub: Hub) -> None:
    content = os.urandom(1000)
    answer = hub.batch(object_of(content))
    assert hub.http.put(str(upload_of(answer)["href"]), content=content).status_code == 200

    verify = answer.json()["objects"][0]["actions"]["verify"]["href"]
    assert hub.http.post(verify, json=object_of(content)).status_code == 200
    assert can_be_named(hub, content)
    assert hub.commit({"key": "lfsFile", "value": {"path": "w.bin", **object_of(content)}}).status_code == 200
    assert hub.read("w.bin").content == content


def test_bytes_that_another_workspace_has_are_asked_for_all_the_same(hub: Hub) -> None:
    content = os.urandom(100)
    name = f"{hub.repository.partition('/')[0]}-b"
    hub.http.post("/apis/entities/v2/workspaces", json={"name": name})
    hub.http.post("/apis/files/v2/hf/api/repos/create", json={"name": "repo", "organization": name})
    Hub(hub.http, f"{name}/repo").put({"w.bin": content})

    assert not can_be_named(hub, content)


def test_an_oid_that_lies_is_found_and_nothing_is_kept(hub: Hub) -> None:
    promised, sent = os.urandom(1000), os.urandom(1000)

    answer = hub.http.put(str(upload_of(hub.batch(object_of(promised)))["href"]), content=sent)

    assert answer.status_code == 422
    assert not can_be_named(hub, promised)
    assert not can_be_named(hub, sent)


@pytest.mark.parametrize("length", [999, 1001, 0])
def test_a_size_that_lies_is_refused(hub: Hub, length: int) -> None:
    content = os.urandom(1000)

    answer = hub.http.put(str(upload_of(hub.batch(object_of(content)))["href"]), content=(content * 2)[:length])

    assert answer.status_code == 400
    assert not can_be_named(hub, content)


@pytest.mark.parametrize("length", [999, 1001])
def test_a_size_that_is_not_told_is_counted(hub: Hub, length: int) -> None:
    content = os.urandom(1000)
    href = str(upload_of(hub.batch(object_of(content)))["href"])

    answer = hub.http.put(href, content=iter([(content * 2)[:length]]))

    assert answer.status_code in {409, 413}
    assert not can_be_named(hub, content)


def test_a_size_that_the_known_bytes_do_not_have_is_told(hub: Hub) -> None:
    hub.put({"a.bin": b"bytes"})

    answer = hub.batch({**object_of(b"bytes"), "size": 6})

    assert answer.json()["objects"][0]["error"]["code"] == 422


def test_what_has_not_arrived_is_not_verified(hub: Hub) -> None:
    answer = hub.http.post(
        f"/apis/files/v2/hf/{hub.repository}.git/info/lfs/objects/verify", json=object_of(b"never sent")
    )

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "ticket", ["", "x", "v1.00000000.AAAA", "v2.00000000." + "A" * 200, "v1." + "é" * 50, "a" * 5000, "..", "v2..A"]
)
def test_an_address_that_is_not_ours_permits_nothing(hub: Hub, ticket: str) -> None:
    for method, path in (("PUT", "lfs"), ("PUT", "lfs/1"), ("POST", "lfs")):
        answer = hub.http.request(
            method, f"/apis/files/v2/hf/{path}", params={"ticket": ticket}, json={"oid": "a" * 64}
        )
        assert answer.status_code == 403


def test_an_address_that_was_changed_permits_nothing(hub: Hub) -> None:
    content = os.urandom(10)
    parts = urlsplit(str(upload_of(hub.batch(object_of(content)))["href"]))
    ticket = parts.query.removeprefix("ticket=")
    changed = ticket[:60] + ("A" if ticket[60] != "A" else "B") + ticket[61:]

    answer = hub.http.put(f"{parts.path}?ticket={changed}", content=content)

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "one",
    [
        {},
        {"oid": "a" * 64},
        {"oid": "A" * 64, "size": 1},
        {"oid": "a" * 63, "size": 1},
        {"oid": "a" * 64, "size": -1},
        {"oid": "a" * 64, "size": True},
        {"oid": "a" * 64, "size": "1"},
        {"oid": "a" * 64, "size": 2**60},
    ],
)
def test_an_object_that_cannot_be_is_refused(hub: Hub, one: dict[str, object]) -> None:
    assert hub.batch(one).status_code == 400


def test_only_uploads_are_served(hub: Hub) -> None:
    body = {"operation": "download", "objects": [object_of(b"x")]}

    answer = hub.http.post(f"/apis/files/v2/hf/{hub.repository}.git/info/lfs/objects/batch", json=body)

    assert answer.status_code == 400


class TestParts:
    """Files of more than 64 MiB come in parts, in order; each can be sent again."""

    content = bytes(PART) + b"the rest"
    """Zeros, which are quick to make."""

    def begin(self, hub: Hub) -> tuple[str, list[str]]:
        # A content of its own for each test: what one has sent, the next need not send.
        self.content = os.urandom(32) + bytes(PART) + b"the rest"
        upload = upload_of(hub.batch(object_of(self.content)))
        header = upload["header"]
        assert isinstance(header, dict)
        assert int(header["chunk_size"]) == PART
        return str(upload["href"]), [header["1"], header["2"]]

    def complete(self, hub: Hub, href: str) -> httpx.Response:
        return hub.http.post(href, json={"oid": hashlib.sha256(self.content).hexdigest(), "parts": []})

    def test_parts_make_a_file(self, hub: Hub) -> None:
        href, (first, second) = self.begin(hub)
        assert hub.http.put(first, content=self.content[:PART]).headers["etag"]
        assert hub.http.put(second, content=self.content[PART:]).headers["etag"]

        assert self.complete(hub, href).status_code == 200
        assert self.complete(hub, href).status_code == 200  # the first answer may have been lost
        assert hub.commit({"key": "lfsFile", "value": {"path": "w.bin", **object_of(self.content)}}).status_code == 200
        assert hub.read("w.bin", range=f"bytes={PART + 30}-").content == self.content[PART + 30 :]

    def test_a_part_that_broke_off_is_sent_again(self, hub: Hub) -> None:
        href, (first, second) = self.begin(hub)
        assert hub.http.put(first, content=iter([self.content[:1000]])).status_code == 409
        assert hub.http.put(first, content=self.content[:PART]).status_code == 200
        assert hub.http.put(first, content=self.content[:PART]).status_code == 200
        assert hub.http.put(second, content=self.content[PART:]).status_code == 200

        assert self.complete(hub, href).status_code == 200

    def test_parts_out_of_order_are_refused(self, hub: Hub) -> None:
        _, (_, second) = self.begin(hub)

        assert hub.http.put(second, content=self.content[PART:]).status_code == 409

    def test_a_part_that_is_too_long_is_refused(self, hub: Hub) -> None:
        _, (first, second) = self.begin(hub)
        assert hub.http.put(first, content=self.content[:PART]).status_code == 200

        assert hub.http.put(second, content=self.content[PART:] + b"more").status_code == 413

    def test_there_are_no_other_parts(self, hub: Hub) -> None:
        _, (first, _) = self.begin(hub)

        for number in ("0", "3", "-1", "x", "9" * 20):
            assert hub.http.put(first.replace("/lfs/1?", f"/lfs/{number}?"), content=b"").status_code == 404

    def test_a_file_with_a_part_missing_is_not_complete(self, hub: Hub) -> None:
        href, (first, _) = self.begin(hub)
        assert hub.http.put(first, content=self.content[:PART]).status_code == 200

        assert self.complete(hub, href).status_code == 409

    def test_parts_of_other_bytes_leave_nothing(self, hub: Hub) -> None:
        href, (first, second) = self.begin(hub)
        hub.http.put(first, content=self.content[:PART])
        hub.http.put(second, content=b"x" * (len(self.content) - PART))

        assert self.complete(hub, href).status_code == 422
        assert not can_be_named(hub, self.content)
        assert self.complete(hub, href).status_code == 404
