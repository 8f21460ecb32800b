"""A real server whose gateway may send to loopback, and what its clients see."""

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.gateway.replies import WORDS
from tests.gateway.upstreams import Upstream
from tests.servers import Server, running

_numbers = count(1)

SETTINGS = (
    *("--set", "outbound.allowed_networks=127.0.0.0/8"),
    *("--set", "gateway.breaker_failures=1000"),
    *("--set", "gateway.answer_bytes=1048576"),
    *("--set", "log.access=false"),
)
IMPATIENT = {
    "connect_seconds": 1.0,
    "first_byte_seconds": 0.6,
    "between_chunks_seconds": 0.6,
    "total_seconds": 5.0,
}
TEXT = "".join(WORDS)
QUESTION = "Hello"

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
ROUTES = (CHAT, MESSAGES, RESPONSES)
_FORMATS = {CHAT: "OPENAI_CHAT", MESSAGES: "ANTHROPIC_MESSAGES", RESPONSES: "OPENAI_CHAT"}


def question(path: str, model: str, *, stream: bool = False) -> dict[str, Any]:
    """A request of the dialect of a route."""
    if path == RESPONSES:
        return {"model": model, "input": QUESTION, "stream": stream}
    asked = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "stream": stream}
    return {**asked, "max_tokens": 64} if path == MESSAGES else asked


@dataclass
class Streamed:
    """What a client has seen of a stream."""

    status: int
    body: bytes
    seconds: float

    @property
    def events(self) -> list[tuple[str | None, Any]]:
        """Name and data of each event; the data as JSON, but for `[DONE]`."""
        found = []
        for block in self.body.decode().split("\n\n"):
            lines = [line.partition(":") for line in block.split("\n") if line and not line.startswith(":")]
            fields = {name: value.removeprefix(" ") for name, _, value in lines}
            if "data" in fields:
                text = fields["data"]
                found.append((fields.get("event"), text if text == "[DONE]" else json.loads(text)))
        return found

    @property
    def text(self) -> str:
        """What the model has said."""
        return "".join(_word(said) for _, said in self.events if isinstance(said, dict))

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that the stream ends with."""
        _, said = self.events[-1] if self.events else (None, None)
        if isinstance(said, dict) and (said.get("type") == "error" or "error" in said) and "response" not in said:
            return said
        return None

    @property
    def complete(self) -> bool:
        """Whether a client takes it for all."""
        return any(said == "[DONE]" or name in {"message_stop", "response.completed"} for name, said in self.events)


def _word(said: dict[str, Any]) -> str:
    if said.get("type") == "response.output_text.delta":
        return str(said["delta"])
    if said.get("type") == "content_block_delta":
        return str(said["delta"].get("text", ""))
    return "".join(choice.get("delta", {}).get("content") or "" for choice in said.get("choices", ()))


class Gate:
    """A server, and a client of it."""

    def __init__(self, server: Server, http: httpx.Client) -> None:
        self.server = server
        self.http = http

    @property
    def pid(self) -> int:
        return self.server.process.pid

    def rss(self) -> int:
        """How much memory the server has, in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """How many files and sockets the server has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def model(
        self,
        *engines: Upstream,
        route: str = CHAT,
        retries: int = 0,
        timeouts: dict[str, float] | None = None,
        **fields: Any,
    ) -> str:
        """A new model that these engines serve, in this order."""
        name = f"m{next(_numbers)}"
        base = "/apis/models/v2/workspaces/default"
        for number, engine in enumerate(engines):
            served = [{"model_entity_id": name, "served_model_name": "tiny"}]
            provider = {"name": f"{name}-{number}", "host_url": engine.url, "discover": False, "status": "READY"}
            body = {**provider, "served_models": served, "timeouts": timeouts or IMPATIENT}
            answer = self.http.post(f"{base}/providers", json=body)
            assert answer.status_code == 201, answer.text
        body = {
            "name": name,
            "backend_format": _FORMATS[route],
            "routing": {"choice": "ordered", "retries": retries},
            "model_providers": [f"{name}-{number}" for number in range(len(engines))],
            **fields,
        }
        answer = self.http.post(f"{base}/models", json=body)
        assert answer.status_code == 201, answer.text
        return f"default/{name}"

    def ask(self, model: str, route: str = CHAT, **more: Any) -> httpx.Response:
        """A whole answer."""
        return self.http.post(route, json={**question(route, model), **more})

    def stream(self, model: str, route: str = CHAT, **more: Any) -> Streamed:
        """A stream, to its end; fails if the server breaks it off without a word."""
        begun = time.monotonic()
        answer = self.http.post(route, json={**question(route, model, stream=True), **more})
        return Streamed(answer.status_code, answer.content, time.monotonic() - begun)

    def begin(self, model: str, route: str = CHAT, *, stream: bool) -> socket.socket:
        """Sends a request over a connection of its own, and does not wait."""
        parts = urlsplit(self.server.url)
        assert parts.hostname and parts.port
        connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
        body = json.dumps(question(route, model, stream=stream)).encode()
        begin = f"POST {route} HTTP/1.1\r\nhost: localhost\r\n"
        head = begin + f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection


@contextmanager
def gate(data_dir: Path, *arguments: str) -> Iterator[Gate]:
    """A server for the length of a `with`."""
    with (
        running(data_dir, *SETTINGS, *arguments) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        yield Gate(server, client)


def check_error(said: Any, route: str, names: Sequence[str] = ()) -> None:
    """Fails if an error has not the shape of the route's dialect, with `detail` beside, and these words in it."""
    assert isinstance(said["detail"], str)
    error = said["error"]
    if route == MESSAGES:
        assert said["type"] == "error"
        assert error.keys() == {"type", "message"}
    else:
        # What an engine says in its own words is passed on; its words may lack `param` and `code`.
        assert {"message", "type"} <= error.keys()
    assert error["message"]
    for word in names:
        assert word in error["message"], error
