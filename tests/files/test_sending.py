"""How bytes leave the process: straight from the disk, for any client, with nothing left open."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.files.conftest import connected, digest_of, read_all
from tests.servers import Server, running

FILESETS = "/apis/files/v2/workspaces/default/filesets"
FILE = f"{FILESETS}/weights/-/big"
CONTENT = os.urandom(1 << 20) * 12


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests alone, with a file of 12 MiB: they count its open files."""
    with running(tmp_path_factory.mktemp("sending") / "data") as server:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            http.post(FILESETS, json={"name": "weights"})
            assert http.put(FILE, content=CONTENT).status_code == 200
            assert http.get(FILE).content == CONTENT
        yield server


def request(*lines: str, method: str = "GET", path: str = FILE) -> bytes:
    """A request, as it goes over the wire."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def open_files(server: Server) -> int:
    """How many blobs and sockets the server has open."""
    folder = Path(f"/proc/{server.process.pid}/fd")
    links = []
    for entry in list(folder.iterdir()):
        try:
            links.append(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return sum("/blobs/" in link or link.startswith("socket:") for link in links)


def settled(server: Server, expected: int) -> bool:
    """Whether, in the end, no more than that are open."""
    until = time.monotonic() + 20
    while open_files(server) > expected and time.monotonic() < until:
        time.sleep(0.01)
    return open_files(server) <= expected


def test_requests_in_a_row_are_answered_in_their_order(own: Server) -> None:
    part = len(CONTENT) // 3
    ranges = [f"Range: bytes={start}-{start + part - 1}" for start in (0, part, 2 * part)]
    with connected(own) as connection:
        connection.sendall(b"".join(request(each) for each in ranges) + request("Connection: close", path="/status"))
        received = read_all(connection)

    body = b""
    for _ in ranges:
        head, _, received = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 206 ")
        body, received = body + received[:part], received[part:]
    assert body == CONTENT
    assert received.startswith(b"HTTP/1.1 200 ")


def test_a_connection_serves_on_after_a_file(own: Server) -> None:
    with httpx.Client(base_url=own.url, timeout=60) as http:
        for _ in range(3):
            assert http.get(FILE).content == CONTENT
            assert http.head(FILE).headers["content-length"] == str(len(CONTENT))
            assert http.get("/health/live").json() == {"status": "live"}
            assert http.get(FILE, headers={"Range": "bytes=7-7"}).content == CONTENT[7:8]


def test_an_old_client_gets_all_and_the_end(own: Server) -> None:
    with connected(own) as connection:
        connection.sendall(f"GET {FILE} HTTP/1.0\r\n\r\n".encode())
        head, _, body = read_all(connection).partition(b"\r\n\r\n")

    assert (head.split()[1], body) == (b"200", CONTENT)


def test_a_slow_client_holds_nobody_up(own: Server) -> None:
    with connected(own) as slow, httpx.Client(base_url=own.url, timeout=60) as http:
        slow.sendall(request("Connection: close"))
        first = slow.recv(1000)
        for _ in range(20):
            assert http.get("/health/live").status_code == 200
        assert http.get(FILE).content == CONTENT

        assert (first + read_all(slow)).endswith(CONTENT[-100_000:])


def test_clients_who_leave_leave_nothing_open(own: Server) -> None:
    before = open_files(own)
    for number in range(30):
        with connected(own) as connection:
            connection.sendall(request())
            connection.recv(1 + number * 50_000)

    assert settled(own, before)
    assert "Traceback" not in own.log


def test_a_server_that_stops_lets_go_of_slow_clients(data_dir: Path) -> None:
    with running(data_dir, environ={"STEELYARD_LIMITS__SHUTDOWN_SECONDS": "1"}) as server:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            http.post(FILESETS, json={"name": "weights"})
            http.put(FILE, content=CONTENT)
        with connected(server) as slow:
            slow.sendall(request())
            slow.recv(1000)
            assert server.stop() == 0


def blob(server: Server) -> Path:
    """Where the server keeps the file."""
    digest = digest_of(CONTENT)
    return server.data_dir / "blobs" / digest[:2] / digest[2:]


def test_a_file_that_is_only_on_the_disk_is_sent_too(own: Server) -> None:
    descriptor = os.open(blob(own), os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)

    with httpx.Client(base_url=own.url, timeout=60) as http:
        assert http.get(FILE).content == CONTENT


def test_a_file_that_shrinks_ends_the_connection(data_dir: Path) -> None:
    with running(data_dir) as server:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            http.post(FILESETS, json={"name": "weights"})
            http.put(FILE, content=CONTENT)
        with connected(server) as slow:
            slow.sendall(request())
            first = slow.recv(1000)
            os.truncate(blob(server), len(CONTENT) - 1)
            received = first + read_all(slow)

        assert received.startswith(b"HTTP/1.1 200 ")
        assert len(received.partition(b"\r\n\r\n")[2]) == len(CONTENT) - 1
        assert httpx.get(f"{server.url}{FILE}").json()["code"] == "corrupt_bytes"
