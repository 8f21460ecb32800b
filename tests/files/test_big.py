"""Large files, full disks and sudden ends."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.disks import fill, small_disk
from tests.files.conftest import connected, digest_of
from tests.servers import Server, running

pytestmark = pytest.mark.alone

FILESETS = "/apis/files/v2/workspaces/default/filesets"
HOME = f"{FILESETS}/weights"
MIB = 1 << 20
# 3 GiB, where the disk has room for it a few times over; STEELYARD_BIG_MIB says another size.
_FITTING = 3072 if shutil.disk_usage(tempfile.gettempdir()).free > 16 << 30 else 1024
BIG = int(os.environ.get("STEELYARD_BIG_MIB", str(_FITTING))) * MIB
GROWTH = 64 * MIB


def most_memory(server: Server) -> int:
    """The most memory that the server has had, in bytes."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the system does not tell")


def zeros() -> Iterator[bytes]:
    """As many zeros, a MiB at a time."""
    piece = bytes(MIB)
    for _ in range(BIG // MIB):
        yield piece


def sparse(path: Path, size: int) -> Path:
    """A file of as many zeros, which takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_a_big_file_goes_up_and_down_in_little_memory(data_dir: Path) -> None:
    with running(data_dir) as server, httpx.Client(base_url=server.url, timeout=120) as http:
        http.post(FILESETS, json={"name": "weights"})
        http.put(f"{HOME}/-/small", content=b"x" * MIB)
        http.get(f"{HOME}/-/small")
        before = most_memory(server)

        put = http.put(f"{HOME}/-/big", content=zeros(), headers={"Content-Length": str(BIG)})
        assert put.status_code == 200
        with sparse(data_dir.with_name("sparse"), BIG // 4).open("rb") as file:
            assert http.put(f"{HOME}/-/form", files={"file": file}).json()["size"] == BIG // 4
        hashed, size = hashlib.sha256(), 0
        with http.stream("GET", f"{HOME}/-/big") as download:
            for piece in download.iter_raw():
                hashed.update(piece)
                size += len(piece)

        assert (size, hashed.hexdigest()) == (BIG, put.json()["sha256"])
        assert most_memory(server) - before < GROWTH
    shutil.rmtree(data_dir)


def test_a_server_that_is_killed_in_the_middle_keeps_nothing_half(data_dir: Path) -> None:
    with running(data_dir) as server, httpx.Client(base_url=server.url) as http:
        http.post(FILESETS, json={"name": "weights"})
        assert http.put(f"{HOME}/-/whole", content=b"whole").status_code == 200
        with connected(server) as connection:
            head = f"PUT {HOME}/-/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: {20 * MIB}\r\n\r\n"
            connection.sendall(head.encode() + bytes(10 * MIB))
            server.kill()
    with running(data_dir) as server, httpx.Client(base_url=server.url) as http:
        assert [file["path"] for file in http.get(f"{HOME}/files").json()["data"]] == ["whole"]
        assert http.get(f"{HOME}/-/half").status_code == 404
        assert http.get(f"{HOME}/-/whole").content == b"whole"
        assert http.post("/apis/steelyard/v1/fsck").text.splitlines()[-1].endswith('"troubles":0}')


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        with running(disk / "data") as server, httpx.Client(base_url=server.url, timeout=30) as http:
            http.post(FILESETS, json={"name": "weights"})
            assert http.put(f"{HOME}/-/kept", content=b"kept").status_code == 200
            upload = http.post(f"{HOME}/uploads", headers={"Upload-Length": str(4 * MIB)}).headers["location"]
            ballast = fill(disk)
            announced = http.put(f"{HOME}/-/more", content=bytes(4 * MIB))
            unannounced = http.put(f"{HOME}/-/more", content=iter([bytes(4 * MIB)]))
            headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
            resumable = http.patch(upload, content=bytes(4 * MIB), headers=headers)
            for answer in (announced, unannounced, resumable):
                assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
            assert http.get(f"{HOME}/-/kept").content == b"kept"
            assert http.get(f"{HOME}/-/more").status_code == 404
            ballast.unlink()
            offset = int(http.head(upload).headers["upload-offset"])
            headers["Upload-Offset"] = str(offset)
            done = http.patch(upload, content=bytes(4 * MIB - offset), headers=headers)
            assert (done.status_code, done.headers["x-checksum-sha256"]) == (204, digest_of(bytes(4 * MIB)))
            assert http.put(f"{HOME}/-/more", content=bytes(4 * MIB)).status_code == 200
            assert server.stop() == 0
        assert list((disk / "data" / "uploads").iterdir()) == []


def test_a_file_over_the_limit_is_refused(data_dir: Path) -> None:
    limit = {"STEELYARD_FILES__MAX_BYTES": "1000"}
    with running(data_dir, environ=limit) as server, httpx.Client(base_url=server.url) as http:
        http.post(FILESETS, json={"name": "weights"})
        assert http.put(f"{HOME}/-/f", content=bytes(1000)).status_code == 200
        for content in (bytes(1001), iter([bytes(1001)])):
            refused = http.put(f"{HOME}/-/g", content=content)
            assert (refused.status_code, refused.json()["limit"]) == (413, 1000)
        assert http.put(f"{HOME}/-/g", files={"file": bytes(1001)}).status_code == 413
        assert http.post(f"{HOME}/uploads", headers={"Upload-Length": "1001"}).status_code == 413
        assert http.get(f"{HOME}/-/g").status_code == 404
