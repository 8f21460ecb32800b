"""Sends an answer to the client: whole, or as it comes. What goes wrong on the way is told in the client's dialect."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Send

from steelyard.errors import BadUpstreamAnswer, SteelyardError, UpstreamFailure, UpstreamStreamError, UpstreamTimeout
from steelyard.gateway.attempts import Opened
from steelyard.gateway.calls import Call
from steelyard.gateway.failures import SENTENCES, UpstreamFailed
from steelyard.gateway.headers import Header

_JSON: Header = (b"content-type", b"application/json")
_EVENTS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # proxies that gather answers are asked not to
)
_OURS = frozenset({b"content-type", b"cache-control"})


@dataclass(slots=True)
class Sent:
    """How the sending ended: `error` is what broke it off, after its beginning was out."""

    outcome: str = "ok"
    error: SteelyardError | None = None


class Listener(Protocol):
    """Somebody who looks at an answer while it passes by."""

    def add(self, data: bytes) -> None:
        """A piece of it."""


class Tape:
    """What a client is sent, for a recording: the first bytes of it."""

    __slots__ = ("_left", "_parts")

    def __init__(self, most: int) -> None:
        self._left = most
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Notes what goes out."""
        if self._left > 0:
            self._parts.append(data[: self._left])
            self._left -= len(data)

    @property
    def data(self) -> bytes:
        """All that was noted."""
        return b"".join(self._parts)


async def send_whole(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Sends a whole answer in JSON."""
    kept = [header for header in headers if header[0] not in _OURS]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, (b"content-length", b"%d" % len(body)), *kept],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_stream(send: Send, call: Call, opened: Opened, headers: list[Header], tape: Tape | None) -> Sent:
    """Sends a stream: what has come of it, and the rest as it comes."""
    kept = [header for header in headers if header[0] not in _OURS]
    await send({"type": "http.response.start", "status": opened.status, "headers": [*_EVENTS, *kept]})
    if tape is not None:
        send = _taped(send, tape)
    if opened.finished:
        await send({"type": "http.response.body", "body": opened.body})
        return Sent()
    await send({"type": "http.response.body", "body": opened.body, "more_body": True})
    sent = Sent()
    try:
        await _pass_on(send, call, opened)
    except UpstreamFailed as failed:
        kind = UpstreamTimeout if failed.reason == "timeout" else UpstreamFailure
        sent = Sent("cut" if failed.reason == "disconnect" else _outcome(failed), kind(_sentence(opened, failed)))
    except (BadUpstreamAnswer, UpstreamStreamError) as bad:
        sent = Sent("bad_answer", bad)
    last = b""
    if sent.error is not None:
        status = getattr(sent.error, "upstream_status", sent.error.status)
        assert opened.stream is not None  # noqa: S101 - it is one that has begun
        last = opened.stream.error(status, sent.error.message, sent.error.code)
    await send({"type": "http.response.body", "body": last})
    return sent


async def _pass_on(send: Send, call: Call, opened: Opened) -> None:
    """The rest of a stream. Raises UpstreamFailed, BadUpstreamAnswer, UpstreamStreamError where it breaks off."""
    answer, stream, events, inflate = opened.answer, opened.stream, opened.events, opened.inflate
    assert stream is not None  # noqa: S101 - it is one that has begun
    assert events is not None  # noqa: S101
    now = asyncio.get_running_loop().time
    patience, deadline = opened.target.patience.between_chunks, call.deadline
    read, push, feed = answer.read, events.push, stream.feed
    answer.expect(patience, deadline)
    while data := await read():
        if inflate is not None:
            data = inflate.feed(data)
        whole = push(data)
        if whole and (passed := feed(whole)):
            await send({"type": "http.response.body", "body": passed, "more_body": True})
        if stream.ended:
            if stream.failure is not None:
                raise stream.failure
            answer.drain()
            return
        if now() > deadline:
            raise UpstreamFailed("timeout", "the request took longer than it may in all")
    if events.rest.strip():
        raise BadUpstreamAnswer("the stream ended in the middle of an event")
    if last := stream.end():
        await send({"type": "http.response.body", "body": last, "more_body": True})


async def send_raw(send: Send, call: Call, opened: Opened, headers: list[Header], listener: Listener | None) -> Sent:
    """Sends an answer byte by byte as the upstream does. One that breaks off is not completed: the connection ends."""
    answer = opened.answer
    await send({"type": "http.response.start", "status": opened.status, "headers": headers})
    answer.expect(opened.target.patience.between_chunks, call.deadline)
    try:
        while data := await answer.read():
            if listener is not None:
                listener.add(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except UpstreamFailed as failed:
        return Sent(_outcome(failed), UpstreamFailure(_sentence(opened, failed)))
    await send({"type": "http.response.body", "body": b""})
    return Sent()


def _taped(send: Send, tape: Tape) -> Send:
    async def taped(message: "dict[str, object]") -> None:
        body = message.get("body")
        if isinstance(body, bytes):
            tape.add(body)
        await send(message)

    return taped  # type: ignore[return-value]


def _sentence(opened: Opened, failed: UpstreamFailed) -> str:
    reason = "cut" if failed.reason == "disconnect" else failed.reason
    return f"{opened.target.provider}: {failed.detail or SENTENCES[reason]}"


def _outcome(failed: UpstreamFailed) -> str:
    return {"timeout": "timeout", "cut": "cut", "disconnect": "cut"}.get(failed.reason, "bad_answer")
