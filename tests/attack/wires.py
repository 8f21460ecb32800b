"""Bytes on a connection, as no client would send them."""

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit


def talk(url: str, *pieces: bytes, pause: float = 0.0, seconds: float = 3.0) -> bytes:
    """What a server answers to bytes, up to the end of the connection or until it says nothing more for a while."""
    parts = urlsplit(url)
    answer = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        with contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                answer += data
    return answer


@contextlib.contextmanager
def connected(url: str, count: int) -> Iterator[list[socket.socket]]:
    """So many connections, which say nothing."""
    parts = urlsplit(url)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection((parts.hostname, parts.port))) for _ in range(count)]


def statuses(answer: bytes) -> list[int]:
    """The statuses of all answers that came."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
