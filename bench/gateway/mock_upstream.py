"""The upstream that all gateways stand before: ready bytes, much faster than what it measures.

POST …/v1/chat/completions and …/v1/messages answer at once. With "stream": true in the body they stream as many events
as the words `chunks=N pace=MS` anywhere in the body say: the first at once, each next MS milliseconds after the one
before, by the clock and not by the last write. GET …/v1/models lists 100 models, every other GET answers 200.
Connections stay open for as long as the client likes.

    python -m bench.gateway.mock_upstream PORT
"""

import asyncio
import re
import sys
from typing import cast

import httptools
import uvloop

from bench.gateway import answers

MODELS = 100
_WISH = re.compile(rb"chunks=(\d+) pace=(\d+)")
_STREAM = re.compile(rb'"stream":\s*true')
_CHAT = answers.chat()
_MESSAGES = answers.messages()
_READY = answers.answer({"status": "ready"})
_LISTING = answers.listing([f"mock-{number:03d}" for number in range(MODELS)])


class _Stream:
    """One paced stream; `stop` ends it where it is."""

    def __init__(
        self, transport: asyncio.Transport, grammar: answers.Grammar, body: bytes, done: "_Connection"
    ) -> None:
        wish = _WISH.search(body)
        self._left = int(wish[1]) - 1 if wish else 0
        self._pace = int(wish[2]) / 1000 if wish else 0.0
        self._transport = transport
        self._between = grammar.between
        self._end = grammar.end_with_usage if b'"include_usage":' in body else grammar.end
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        transport.write(answers.STREAM_HEAD + grammar.first)
        self._wait()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        if self._left > 0:
            self._next += self._pace
            self._timer = self._loop.call_at(self._next, self._tell)
        else:
            self._transport.write(self._end)
            self._done.stream_ended()

    def _tell(self) -> None:
        self._left -= 1
        self._transport.write(self._between[self._left % len(self._between)])
        self._wait()


class _Connection(asyncio.Protocol):
    """One client; requests one after another (nobody here pipelines)."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []
        self._stream: _Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def connection_lost(self, _fault: Exception | None) -> None:
        if self._stream is not None:
            self._stream.stop()

    def stream_ended(self) -> None:
        self._stream = None

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        url, body = self._url.partition(b"?")[0], b"".join(self._body)
        self._url, self._body = b"", []
        grammar = _CHAT if url.endswith(b"/chat/completions") else _MESSAGES if url.endswith(b"/messages") else None
        if grammar is None:
            self._transport.write(_plain(self._parser.get_method(), url))
        elif _STREAM.search(body):
            self._stream = _Stream(self._transport, grammar, body, self)
        else:
            self._transport.write(grammar.whole)


def _plain(method: bytes, url: bytes) -> bytes:
    if method != b"GET":
        return answers.NOT_FOUND
    return _LISTING if url.endswith(b"/models") else _READY


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
