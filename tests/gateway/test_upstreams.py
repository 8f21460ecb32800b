"""The engine of the tests does what it says, so that what the gateway makes of it can be believed."""

import gzip
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway import faults
from tests.gateway.replies import DONE, PROMPT_TOKENS, WORDS
from tests.gateway.upstreams import Upstream, until, upstream

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream() as engine:
        yield engine


def _post(engine: Upstream, path: str = "/v1/chat/completions", **more: object) -> httpx.Response:
    return httpx.post(engine.url + path, json={**CHAT, **more}, timeout=5)


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"]
)
def test_a_sound_engine_answers_every_route(engine: Upstream, path: str) -> None:
    answer = _post(engine, path)

    assert answer.status_code == 200
    assert answer.json()["model"] == "tiny"
    assert engine.requests[0].path == path
    assert engine.requests[0].json == CHAT
    assert ("Content-Type", "application/json") in engine.requests[0].headers


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("/v1/chat/completions", DONE),
        ("/v1/completions", DONE),
        ("/v1/responses", b"response.completed"),
        ("/v1/messages", b"message_stop"),
    ],
)
def test_a_sound_engine_streams(engine: Upstream, path: str, last: bytes) -> None:
    answer = _post(engine, path, stream=True)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert last in answer.content
    assert all(word in answer.text for word in WORDS)


def test_usage_is_streamed_to_whom_asks_for_it(engine: Upstream) -> None:
    assert "usage" not in _post(engine, stream=True).text
    asked = _post(engine, stream=True, stream_options={"include_usage": True})
    assert f'"prompt_tokens": {PROMPT_TOKENS}' in asked.text


def test_a_connection_is_kept_until_it_is_idle_and_closed(engine: Upstream) -> None:
    with httpx.Client(base_url=engine.url) as client:
        client.get("/v1/models")
        client.get("/v1/models")
        assert (engine.accepted, engine.open) == (1, 1)
        engine.close_idle()
        until(lambda: engine.open == 0)


def test_faults_come_in_their_turn(engine: Upstream) -> None:
    engine.next(faults.failing(429, ("retry-after", "3")), faults.RESET, faults.GZIP)

    limited = _post(engine)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    with pytest.raises(httpx.ReadError):
        _post(engine)
    assert _post(engine).headers["content-encoding"] == "gzip"
    assert _post(engine).status_code == 200


def test_an_engine_that_refuses_listens_again_at_the_same_place(engine: Upstream) -> None:
    engine.refuse()
    with pytest.raises(httpx.ConnectError):
        _post(engine)
    engine.settle()
    assert _post(engine).status_code == 200


def test_each_cut_is_where_it_should_be(engine: Upstream) -> None:
    body = b'{"model": "tiny", "stream": true}'
    whole = _raw(engine, body)
    for length in (0, 1, 60, len(whole) - 6):
        engine.next(faults.cut(length))
        assert _raw(engine, body) == whole[:length]


def _raw(engine: Upstream, body: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", engine.port), timeout=5) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        come = b""
        while not come.endswith(b"0\r\n\r\n") and (part := connection.recv(65536)):
            come += part
        return come


def test_it_knows_when_its_client_leaves(engine: Upstream) -> None:
    engine.always = faults.stalling(1)
    with httpx.Client(base_url=engine.url) as client:
        with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
            next(answer.iter_raw())
        left = time.monotonic()
    until(lambda: engine.requests[0].left_at is not None)
    assert abs((engine.requests[0].left_at or 0) - left) < 1
    assert (engine.open, engine.busy) == (0, 0)


def test_it_answers_before_the_body_has_come(engine: Upstream) -> None:
    engine.next(faults.EARLY)
    with socket.create_connection(("127.0.0.1", engine.port), timeout=5) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_gzip_is_gzip(engine: Upstream) -> None:
    engine.next(faults.GZIP)
    with httpx.stream("POST", f"{engine.url}/v1/chat/completions", json=CHAT) as answer:
        raw = b"".join(answer.iter_raw())
    assert b"chat.completion" in gzip.decompress(raw)
