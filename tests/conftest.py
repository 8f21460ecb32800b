"""Fixtures that all tests share: real servers, and clients that talk to them."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.servers import Server, running

_numbers = count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests of the session share; each works in a workspace of its own."""
    with running(tmp_path_factory.mktemp("shared") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def server_url(server: Server) -> str:
    """Where the shared server listens."""
    return server.url


@pytest.fixture(scope="session")
def http(server_url: str) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with httpx.Client(base_url=server_url, timeout=30) as client:
        yield client


@pytest.fixture
def workspace(http: httpx.Client) -> str:
    """The name of a new workspace of the shared server."""
    name = f"test-{next(_numbers)}"
    assert http.post("/apis/entities/v2/workspaces", json={"name": name}).status_code == 201
    return name


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder that no server has used."""
    return tmp_path / "data"
