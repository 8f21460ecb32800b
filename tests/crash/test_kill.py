"""What is answered is durable: a server that is killed, stopped, or crowded out of its folder loses nothing of it."""

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.api.paths import models
from tests.servers import Server, running

ROUNDS = 6
WRITERS = 6
PATH = models("default")


class Writer(threading.Thread):
    """Makes and changes models, one request after another, and remembers what it was answered 2xx for.

    `known` maps a name to the revision and the number that the last answer said. A request without a whole answer may
    or may not have been done.
    """

    def __init__(self, url: str, prefix: str, known: dict[str, tuple[int, int]]) -> None:
        super().__init__()
        self.known = known
        self.answered = 0
        self.faults: list[str] = []
        self._url, self._prefix = url, prefix
        self._ended = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client, contextlib.suppress(httpx.TransportError):
            for number in range(1_000_000):
                if self._ended.is_set():
                    return
                if number % 3 == 0:
                    name = f"{self._prefix}-{number}"
                    answer = client.post(PATH, json={"name": name, "custom_fields": {"number": number}})
                else:
                    answer = client.patch(f"{PATH}/{name}", json={"custom_fields": {"number": number}})
                if answer.is_success:
                    self.known[name] = (answer.json()["revision"], number)
                    self.answered += 1
                elif answer.status_code != 503:
                    self.faults.append(f"{answer.status_code} {answer.text}")

    def end(self) -> None:
        self._ended.set()


@contextlib.contextmanager
def writing(server: Server, prefix: str, known: dict[str, tuple[int, int]]) -> Iterator[list[Writer]]:
    """Writers over connections of their own, which have each been answered some writes when the block begins."""
    writers = [Writer(server.url, f"{prefix}-{number}", known) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    until = time.monotonic() + 30
    while any(writer.answered < 20 for writer in writers) and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield writers
    finally:
        for writer in writers:
            writer.end()
            writer.join()
        assert [fault for writer in writers for fault in writer.faults] == []


def check(server: Server, known: dict[str, tuple[int, int]]) -> None:
    """Each write that was answered is there: its revision at least, and its value unless a later one took its place."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for name, (revision, number) in known.items():
            answer = client.get(f"{PATH}/{name}")
            assert answer.status_code == 200, f"{name} was answered, and is lost"
            found = answer.json()
            stored = found["custom_fields"]["number"]
            assert found["revision"] >= revision
            assert stored == number if found["revision"] == revision else stored > number
            known[name] = (found["revision"], stored)
        body = client.get(PATH, params={"page_size": 1}).json()
        assert body["pagination"]["total_results"] >= len(known)


def check_integrity(data_dir: Path) -> None:
    """SQLite finds nothing wrong, and the counts are those of the rows."""
    with contextlib.closing(sqlite3.connect(data_dir / "steelyard.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        counted = dict(database.execute("SELECT kind, SUM(number) FROM counts GROUP BY kind HAVING SUM(number) > 0"))
        assert counted == dict(database.execute("SELECT kind, COUNT(*) FROM records GROUP BY kind"))


def test_a_server_that_is_killed_again_and_again_loses_nothing(data_dir: Path) -> None:
    known: dict[str, tuple[int, int]] = {}
    for round_ in range(ROUNDS):
        with running(data_dir) as server:
            check(server, known)
            with writing(server, f"r{round_}", known) as writers:
                server.kill()
            assert server.process.returncode == -signal.SIGKILL
            assert all(writer.answered >= 20 for writer in writers)
        check_integrity(data_dir)
    with running(data_dir) as server:
        check(server, known)
        assert len(known) >= ROUNDS * WRITERS * 6


def test_a_server_that_is_stopped_under_load_ends_well(data_dir: Path) -> None:
    known: dict[str, tuple[int, int]] = {}
    for round_ in range(2):
        with running(data_dir) as server, writing(server, f"s{round_}", known):
            assert server.stop() == 0
            assert "Traceback" not in server.log
            assert "ERROR" not in server.log
    check_integrity(data_dir)
    with running(data_dir) as server:
        check(server, known)


def test_a_stopping_server_answers_whole_or_not_at_all(data_dir: Path) -> None:
    """Raw connections with a request under way: each gets a whole answer, or is closed without a byte."""
    with running(data_dir) as server, contextlib.ExitStack() as opened:
        host, port = httpx.URL(server.url).host, httpx.URL(server.url).port
        body = json.dumps({"name": "m", "description": "d" * 900}).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connections = []
        for number in range(40):
            connection = opened.enter_context(socket.create_connection((host, port), timeout=30))
            sent = body.replace(b'"m"', f'"m{number}"'.encode())
            connection.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
            connections.append(connection)
        assert server.stop() == 0
        whole = [f"m{number}" for number, connection in enumerate(connections) if _answer_of(connection)]
    with running(data_dir) as server, httpx.Client(base_url=server.url) as client:
        for name in whole:
            assert client.get(f"{PATH}/{name}").status_code == 200


def _answer_of(connection: socket.socket) -> bool:
    """Whether a 201 came; fails for a part of an answer."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
            head, separator, rest = received.partition(b"\r\n\r\n")
            if separator:
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if lengths and len(rest) >= int(lengths[0].split(b":")[1]):
                    return head.startswith(b"HTTP/1.1 201")
    assert received == b"", "half of an answer"
    return False


def test_a_folder_belongs_to_one_process(data_dir: Path) -> None:
    with running(data_dir) as server, httpx.Client(base_url=server.url) as client:
        assert client.post(PATH, json={"name": "before"}).status_code == 201
        command = [sys.executable, "-m", "steelyard", "serve", "--port", "0", "--data-dir", str(data_dir)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 3
        [line] = second.stderr.splitlines()
        assert str(data_dir) in line
        assert f"in use by process {server.process.pid}" in line
        assert client.post(PATH, json={"name": "after"}).status_code == 201
        assert server.process.poll() is None
    with running(data_dir) as server, httpx.Client(base_url=server.url) as client:
        assert [row["name"] for row in client.get(PATH).json()["data"]] == ["before", "after"]


def test_a_folder_is_free_again_after_a_kill(data_dir: Path) -> None:
    with running(data_dir) as server:
        server.kill()
    with running(data_dir) as server:
        assert httpx.get(f"{server.url}/health/ready").status_code == 200


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "steelyard", "serve", "--port", "0", "--data-dir", str(tmp_path / "file" / "data")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    [line] = ended.stderr.splitlines()
    assert "cannot be used: Not a directory" in line
