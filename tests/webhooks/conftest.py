"""Servers that may send to loopback, and receivers there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import Server, running
from tests.webhooks.receivers import Receiver, receiving

QUICK = (
    *("--set", "outbound.allowed_networks=127.0.0.0/8"),
    *("--set", "webhooks.backoff_seconds=1", "--set", "webhooks.backoff_max_seconds=1"),
    *("--set", "webhooks.disable_after_failures=3", "--set", "webhooks.disable_after_hours=0"),
    *("--set", "webhooks.timeout_seconds=2"),
)


class Home:
    """A server with a client: the workspace `default`, its models and its webhooks."""

    webhooks = "/apis/steelyard/v1/workspaces/default/webhooks"
    models = "/apis/models/v2/workspaces/default/models"

    def __init__(self, server: Server, client: httpx.Client) -> None:
        self.server = server
        self.http = client

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


@pytest.fixture
def home(data_dir: Path) -> Iterator[Home]:
    """A quick server of the test's own."""
    with at_home(data_dir) as home:
        yield home


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of the test's own."""
    with receiving() as receiver:
        yield receiver
