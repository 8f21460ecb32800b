"""Fixtures of the tests of files: a fileset of the shared server, and ways to talk to it."""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.servers import Server


def digest_of(content: bytes) -> str:
    """The sha256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def filesets(workspace: str) -> str:
    """The filesets of a workspace."""
    return f"/apis/files/v2/workspaces/{workspace}/filesets"


@pytest.fixture
def home(http: httpx.Client, workspace: str) -> str:
    """The path of a new, empty fileset of the shared server."""
    path = filesets(workspace)
    assert http.post(path, json={"name": "weights"}).status_code == 200
    return f"{path}/weights"


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    """A connection to a server, for requests that no client would send."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other end closes."""
    parts = []
    while part := connection.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)
