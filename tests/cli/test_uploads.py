"""What `steelyard push` does when a server forgets, or an answer is lost: a server that answers within the process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import RunCli

HOME = "/apis/files/v2/workspaces/default/filesets/big"
LOCATION = f"{HOME}/uploads/u1"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache that no other test has."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class FakeServer:
    """A fileset without files; `odd` answers a request in another way than a good server, or None."""

    def __init__(self, odd: Callable[[str, str], httpx.Response | None]) -> None:
        self.kept: set[str] = set()
        self.committed: list[dict[str, Any]] = []
        self._odd = odd
        self._last = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        step = request.method, request.url.path.removeprefix(HOME)
        if (odd := self._odd(*step)) is not None:
            return odd
        match step:
            case "GET", "/files":
                return httpx.Response(200, json={"data": [], "commit": "c" * 40})
            case "POST", "/blobs:missing":
                asked = [blob["sha256"] for blob in json.loads(body)["digests"]]
                self._last = asked[-1]
                return httpx.Response(200, json={"missing": [digest for digest in asked if digest not in self.kept]})
            case "POST", "/uploads":
                offset = len(body)
                if offset:
                    self.kept.add(self._last)
                return httpx.Response(201, headers={"location": LOCATION, "upload-offset": str(offset)})
            case "PATCH", "/uploads/u1":
                self.kept.add(self._last)
                offset = int(request.headers["upload-offset"]) + len(body)
                return httpx.Response(204, headers={"upload-offset": str(offset)})
            case "HEAD", "/uploads/u1":
                return httpx.Response(404)
            case "POST", "/commits":
                self.committed.append(json.loads(body))
                return httpx.Response(200, json={"id": "d" * 40, "changed": True})
        raise AssertionError(f"not expected: {step}")


def push(cli: RunCli, server: FakeServer, tmp_path: Path, size: int) -> Any:
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"7" * size)
    return cli("push", str(folder), "big", "--no-model", handler=server)


def test_bytes_that_are_gone_when_they_are_committed_are_sent_again(cli: RunCli, tmp_path: Path) -> None:
    refused: list[int] = []

    def forgets_once(method: str, path: str) -> httpx.Response | None:
        if path == "/commits" and not refused:
            refused.append(1)
            server.kept.clear()
            return httpx.Response(409, json={"detail": "not here", "code": "missing_bytes"})
        return None

    server = FakeServer(forgets_once)

    run = push(cli, server, tmp_path, 100)

    assert run.code == 0, run.err
    assert [request.method for request in run.requests if request.url.path == f"{HOME}/uploads"] == ["POST", "POST"]
    assert len(server.committed) == 1


def test_an_upload_whose_last_answer_is_lost_is_not_sent_again(cli: RunCli, tmp_path: Path) -> None:
    def loses_the_answer(method: str, path: str) -> httpx.Response | None:
        if method == "PATCH":
            server.kept.add(server._last)
            raise httpx.ReadError("cut")
        return None

    server = FakeServer(loses_the_answer)

    run = push(cli, server, tmp_path, 9 << 20)

    assert run.code == 0, run.err
    assert [request.method for request in run.requests].count("PATCH") == 1
    assert len(server.committed) == 1


def test_a_full_disk_is_told_at_once(cli: RunCli, tmp_path: Path) -> None:
    def is_full(method: str, path: str) -> httpx.Response | None:
        return httpx.Response(507, json={"detail": "the disk is full"}) if path == "/uploads" else None

    run = push(cli, FakeServer(is_full), tmp_path, 100)

    assert run.code == 1
    assert "weights.bin: the disk is full (507)" in run.err
    assert [request.url.path for request in run.requests].count(f"{HOME}/uploads") == 1
