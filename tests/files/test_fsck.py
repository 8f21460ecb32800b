"""Damage: it is found, never handed out once it is, and mended by whoever sends the bytes again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.files.conftest import digest_of
from tests.servers import Server, running

HOME = "/apis/files/v2/workspaces/default/filesets/weights"
CONTENT = b"weights, whole and sound"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests alone: they damage what it keeps."""
    with running(tmp_path_factory.mktemp("fsck") / "data") as server:
        httpx.post(f"{server.url}{HOME.rpartition('/')[0]}", json={"name": "weights"})
        yield server


@pytest.fixture
def http(own: Server) -> Iterator[httpx.Client]:
    """A client of that server, which has one file, sound."""
    with httpx.Client(base_url=own.url, timeout=30) as client:
        assert client.put(f"{HOME}/-/file", content=CONTENT).status_code == 200
        yield client


def blob(server: Server, content: bytes) -> Path:
    """Where the server keeps bytes."""
    digest = digest_of(content)
    return server.data_dir / "blobs" / digest[:2] / digest[2:]


def check(http: httpx.Client) -> list[dict[str, Any]]:
    """All lines of a check."""
    answer = http.post("/apis/steelyard/v1/fsck")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def troubles(http: httpx.Client) -> list[dict[str, Any]]:
    """What a check finds."""
    *lines, last = check(http)
    found = [line for line in lines if line["type"] != "progress"]
    assert (last["type"], last["troubles"]) == ("done", sum(line["type"] != "mended" for line in found))
    return found


def test_what_is_sound_is_said_to_be(http: httpx.Client) -> None:
    assert check(http)[-1] == {"type": "done", "blobs": 1, "bytes": len(CONTENT), "troubles": 0}


def test_bytes_that_changed_are_found_and_never_handed_out(own: Server, http: httpx.Client) -> None:
    blob(own, CONTENT).write_bytes(CONTENT.upper())

    used = [{"fileset": "default/weights", "path": "file"}]
    assert troubles(http) == [{"type": "corrupt", "sha256": digest_of(CONTENT), "size": len(CONTENT), "used_by": used}]
    for method in ("GET", "HEAD"):
        assert http.request(method, f"{HOME}/-/file").status_code == 500
    refused = http.get(f"{HOME}/-/file", headers={"Range": "bytes=0-1"})
    assert (refused.status_code, refused.json()["code"]) == (500, "corrupt_bytes")
    assert str(own.data_dir) not in refused.text
    change = {"op": "put", "path": "other", "sha256": digest_of(CONTENT), "size": len(CONTENT)}
    assert http.post(f"{HOME}/commits", json={"changes": [change]}).json()["code"] == "missing_bytes"

    assert http.put(f"{HOME}/-/file", content=CONTENT).status_code == 200

    assert http.get(f"{HOME}/-/file").content == CONTENT
    assert troubles(http) == []


def test_bytes_of_another_size_are_refused_at_once(own: Server, http: httpx.Client) -> None:
    blob(own, CONTENT).write_bytes(CONTENT[:-1])

    assert http.get(f"{HOME}/-/file").json()["code"] == "corrupt_bytes"
    blob(own, CONTENT).write_bytes(CONTENT[::-1])
    assert http.get(f"{HOME}/-/file").json()["code"] == "corrupt_bytes"


def test_bytes_that_are_gone_are_found(own: Server, http: httpx.Client) -> None:
    blob(own, CONTENT).unlink()

    assert http.get(f"{HOME}/-/file").json()["code"] == "corrupt_bytes"
    assert [line["type"] for line in troubles(http)] == ["missing"]


def test_an_operator_can_mend_them(own: Server, http: httpx.Client) -> None:
    blob(own, CONTENT).unlink()
    assert len(troubles(http)) == 1

    blob(own, CONTENT).write_bytes(CONTENT)

    assert [line["type"] for line in troubles(http)] == ["mended"]
    assert http.get(f"{HOME}/-/file").content == CONTENT


def test_bytes_that_nobody_knows_are_told_and_left_alone(own: Server, http: httpx.Client) -> None:
    orphan = blob(own, b"orphan")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"orphan")

    assert troubles(http) == [{"type": "orphan", "sha256": digest_of(b"orphan"), "size": 6, "used_by": []}]
    assert orphan.read_bytes() == b"orphan"
    orphan.unlink()
