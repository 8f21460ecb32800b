"""Servers that may send to loopback, and receivers there."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import Server, running
from tests.webhooks.receivers import Receiver, receiving

_numbers = count(1)

QUICK = (
    *("--set", "outbound.allowed_networks=127.0.0.0/8"),
    *("--set", "webhooks.backoff_seconds=1", "--set", "webhooks.backoff_max_seconds=1"),
    *("--set", "webhooks.disable_after_failures=3", "--set", "webhooks.disable_after_hours=0"),
    *("--set", "webhooks.timeout_seconds=2"),
)


class Home:
    """A workspace of a server with a client: its models, its prompts and its webhooks."""

    def __init__(self, server: Server, client: httpx.Client, workspace: str = "default") -> None:
        self.server = server
        self.http = client
        self.workspace = workspace
        self.webhooks = f"/apis/steelyard/v1/workspaces/{workspace}/webhooks"
        self.models = f"/apis/models/v2/workspaces/{workspace}/models"
        self.prompts = f"/apis/models/v2/workspaces/{workspace}/prompts"

    def hook(self, url: str, name: str = "w", **more: Any) -> dict[str, Any]:
        """A new webhook, as it was answered."""
        answer = self.http.post(self.webhooks, json={"name": name, "url": url, **more})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def model(self, name: str) -> None:
        """A new model, which is a change."""
        assert self.http.post(self.models, json={"name": name}).status_code == 201

    def get(self, name: str = "w", part: str = "") -> dict[str, Any]:
        """A webhook, or its `/status` or `/deliveries`."""
        answer = self.http.get(f"{self.webhooks}/{name}{part}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def at_home(data_dir: Path, *arguments: str) -> Iterator[Home]:
    """A quick server over that data folder."""
    with running(data_dir, *QUICK, *arguments) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield Home(server, client)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A quick server that the tests share."""
    with at_home(tmp_path_factory.mktemp("webhooks") / "data") as home:
        yield home


@pytest.fixture
def home(shared: Home) -> Iterator[Home]:
    """A new workspace of the shared server, which is gone after the test, with its webhooks."""
    workspace = f"hooks-{next(_numbers)}"
    assert shared.http.post("/apis/entities/v2/workspaces", json={"name": workspace}).status_code == 201
    yield Home(shared.server, shared.http, workspace)
    shared.http.delete(f"/apis/entities/v2/workspaces/{workspace}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of the test's own."""
    with receiving() as receiver:
        yield receiver
