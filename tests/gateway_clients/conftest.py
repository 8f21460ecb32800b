"""A real gateway between the official clients and an engine that notes what it is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.dialects.samples import chat_stream, message_stream
from tests.gateway.faults import reply
from tests.gateway.replies import json_reply, stream_reply
from tests.gateway.upstreams import Behaviour, Seen, Upstream, upstream
from tests.servers import Server, running

FORMATS = ("OPENAI_CHAT", "ANTHROPIC_MESSAGES")
PATHS = {"OPENAI_CHAT": "/v1/chat/completions", "ANTHROPIC_MESSAGES": "/v1/messages"}
Json = dict[str, Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may ask engines of this machine."""
    folder: Path = tmp_path_factory.mktemp("gate") / "data"
    with running(folder, "--set", "outbound.allow_private=true") as server:
        yield server


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[Upstream]:
    with upstream() as engine:
        yield engine


@pytest.fixture
def engine(shared_engine: Upstream) -> Iterator[Upstream]:
    """The engine that all models here are served by; it answers well where a test does not say how."""
    shared_engine.settle()
    yield shared_engine
    shared_engine.settle()


class Gate:
    """The gateway, with the models of one test."""

    def __init__(self, http: httpx.Client, url: str, workspace: str, engine: Upstream) -> None:
        self.http, self.url, self.workspace, self.engine = http, url, workspace, engine

    @property
    def workspace_url(self) -> str:
        """The base URL of the workspace's own route, where a bare name is enough."""
        return f"{self.url}/apis/inference-gateway/v2/workspaces/{self.workspace}/openai/-/v1"

    def model(self, name: str = "tiny", format: str | None = None, **fields: Any) -> str:
        """A new model that the engine serves, as it is called from outside its workspace."""
        endpoint = {"url": f"{self.engine.url}/v1", "model_id": "tiny", "api_key": "sk-engine"}
        body = {"name": name, "api_endpoint": endpoint, "backend_format": format} | fields
        answer = self.http.post(f"/apis/models/v2/workspaces/{self.workspace}/models", json=body)
        assert answer.status_code == 201, answer.text
        return f"{self.workspace}/{name}"

    def asked(self, number: int = 0) -> Seen:
        """A request that has come to the engine."""
        return self.engine.requests[number]


@pytest.fixture
def gate(http: httpx.Client, server_url: str, workspace: str, engine: Upstream) -> Gate:
    """The gateway with a workspace for this test."""
    return Gate(http, server_url, workspace, engine)


def saying(format: str, answer: Json, *, streamed: bool = False) -> Behaviour:
    """The engine answers this, in the form of its dialect."""
    if not streamed:
        return reply(json_reply(answer))
    return reply(stream_reply((chat_stream if format == "OPENAI_CHAT" else message_stream)(answer)))
