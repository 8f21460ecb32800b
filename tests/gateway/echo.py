"""An engine that answers, as what the model says, how it was asked; and a client as light as it is.

Both live in one event loop, so that thousands of requests cost seconds: all that is slow is what is tested.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Json = dict[str, Any]


class Asked(NamedTuple):
    """How an engine was asked: its own name, the path, the key, the model and what the system prompt said."""

    engine: str
    path: str
    key: str
    model: str
    system: str


class Echo(asyncio.Protocol):
    """One connection to an engine, which is among `open` while it lasts."""

    def __init__(self, name: str, open: set[Any]) -> None:
        self._name, self._open = name, open
        self._come = b""
        self._transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._come += data
        while (end := self._come.find(b"\r\n\r\n")) >= 0:
            lines = self._come[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            whole = end + 4 + int(headers.get("content-length", 0))
            if len(self._come) < whole:
                return
            body, self._come = self._come[end + 4 : whole], self._come[whole:]
            self._transport.write(self._answer(lines[0].split(" ")[1], headers, json.loads(body or b"{}")))

    def _answer(self, path: str, headers: Mapping[str, str], body: Json) -> bytes:
        messages = path.endswith("/messages")
        key = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key", "")
        first = body.get("messages", [{}])[0]
        system = body.get("system", "") if messages else first.get("content") if first.get("role") == "system" else ""
        text = json.dumps(Asked(self._name, path, key, body.get("model", ""), str(system)))
        said = json.dumps(_message(text) if messages else _chat(text)).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said)


def _chat(text: str) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": usage}


def _message(text: str) -> Json:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {**head, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": usage}


@asynccontextmanager
async def echo(name: str) -> AsyncIterator[str]:
    """The address of an engine that calls itself `name`."""
    open: set[Any] = set()
    server = await asyncio.get_running_loop().create_server(lambda: Echo(name, open), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for transport in list(open):
            transport.abort()
        await asyncio.sleep(0)


class Line:
    """A client with one connection, on which it asks for one thing after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Json]:
        """The status and the JSON of an answer."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json"
        head += f"\r\ncontent-length: {len(data)}"
        self._writer.write(f"{head}\r\n\r\n".encode() + data)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        said = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split(" ")[1]), json.loads(said) if said else {}

    async def make(self, path: str, body: Json) -> None:
        """Creates a record."""
        status, said = await self.send("POST", path, body)
        assert status == 201, said

    async def write(self, method: str, path: str, body: Json | None = None) -> None:
        """Changes a record, and fails if that was refused."""
        status, said = await self.send(method, path, body)
        assert status in {200, 201, 204}, (status, said)

    async def ask(self, model: str) -> Asked:
        """How the engine was asked for a chat with `model`. Fails if it answers with an error."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
        status, said = await self.send("POST", "/v1/chat/completions", body)
        assert status == 200, said
        return Asked(*json.loads(said["choices"][0]["message"]["content"]))


@asynccontextmanager
async def line(url: str) -> AsyncIterator[Line]:
    """A client of the server at `url`."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
