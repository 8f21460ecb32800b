"""The ways in which an engine fails: each is a `Behaviour` for an `Upstream`."""

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import replace

from tests.gateway.replies import DONE, Reply, data, json_reply
from tests.gateway.upstreams import Behaviour, Exchange

FOREVER = 3600.0


def reply(answer: Reply) -> Behaviour:
    """Answers that."""

    async def run(exchange: Exchange) -> None:
        await exchange.send(answer.wire)
        if answer.framing == "close":
            exchange.end()

    return Behaviour(f"reply {answer.status}", run)


def raw(name: str, answer: bytes) -> Behaviour:
    """Answers those bytes, and ends the connection."""

    async def run(exchange: Exchange) -> None:
        await exchange.send(answer)
        exchange.end()

    return Behaviour(name, run)


def changed(name: str, change: Callable[[Reply], Reply]) -> Behaviour:
    """Answers what a sound engine would, but changed."""

    async def run(exchange: Exchange) -> None:
        answer = change(exchange.reply)
        await exchange.send(answer.wire)
        if answer.framing == "close":
            exchange.end()

    return Behaviour(name, run)


def rewired(name: str, change: Callable[[Reply], bytes]) -> Behaviour:
    """Answers other bytes than a sound engine would, and ends the connection."""

    async def run(exchange: Exchange) -> None:
        await exchange.send(change(exchange.reply))
        exchange.end()

    return Behaviour(name, run)


def failing(status: int, *headers: tuple[str, str], message: str = "engine trouble") -> Behaviour:
    """Answers an error in OpenAI's shape."""
    error = {"message": message, "type": "server_error", "param": None, "code": None}
    return replace(reply(json_reply({"error": error}, status, headers)), name=f"status {status}")


def redirecting(to: str, status: int = 307) -> Behaviour:
    """Answers that what is asked for lies elsewhere."""
    return replace(reply(Reply(status, (("location", to),))), name="redirect")


def stalling(pieces: int | None = None) -> Behaviour:
    """Answers nothing (None), or the head and so many pieces; then it hangs."""

    async def run(exchange: Exchange) -> None:
        answer = exchange.reply
        if pieces is not None:
            await exchange.send(answer.head + b"".join(map(answer.framed, answer.pieces[:pieces])))
        await exchange.wait(FOREVER)

    return Behaviour("stall before the head" if pieces is None else f"stall after {pieces} pieces", run)


def cut(length: int, *, reset: bool = False) -> Behaviour:
    """Sends so many bytes of its answer, head included, and ends the connection."""

    async def run(exchange: Exchange) -> None:
        await exchange.send(exchange.reply.wire[:length])
        if reset:
            # What was sent must have been received: a reset takes back what was not.
            await exchange.wait(0.05)
            exchange.reset()
        else:
            exchange.end()

    return Behaviour(f"cut at {length}", run)


def cut_after(pieces: int) -> Behaviour:
    """Sends so many whole pieces, and ends the connection."""

    async def run(exchange: Exchange) -> None:
        answer = exchange.reply
        await exchange.send(answer.head + b"".join(map(answer.framed, answer.pieces[:pieces])))
        exchange.end()

    return Behaviour(f"cut after {pieces} pieces", run)


def dripping(seconds: float, size: int = 1) -> Behaviour:
    """Sends `size` bytes each `seconds`."""

    async def run(exchange: Exchange) -> None:
        wire = exchange.reply.wire
        for start in range(0, len(wire), size):
            await exchange.send(wire[start : start + size])
            await exchange.wait(seconds)

    return Behaviour("drip", run)


def paced(events: int, seconds: float) -> Behaviour:
    """Says `events` words, one each `seconds`."""

    async def run(exchange: Exchange) -> None:
        answer = exchange.says([f"word{number} " for number in range(events)])
        await exchange.send(answer.head)
        for piece in answer.pieces:
            await exchange.send(answer.framed(piece))
            await exchange.wait(seconds)
        await exchange.send(answer.tail)

    return Behaviour("paced", run)


def split_chunks(size: int) -> Behaviour:
    """Sends chunks of `size` bytes, whatever they split: events, lines, characters."""

    def change(answer: Reply) -> Reply:
        body = answer.body
        pieces = tuple(body[start : start + size] for start in range(0, len(body), size))
        return replace(answer, pieces=pieces, framing="chunked")

    return changed(f"chunks of {size}", change)


def late(seconds: float) -> Behaviour:
    """Answers well, after a while."""

    async def run(exchange: Exchange) -> None:
        await exchange.wait(seconds)
        await exchange.send(exchange.reply.wire)

    return Behaviour("late", run)


def mid_stream(*events: bytes, after: int = 2, more: bool = True) -> Behaviour:
    """Sends the first `after` of its own events, a while later these; without `more` the answer ends there."""

    async def run(exchange: Exchange) -> None:
        answer = exchange.reply
        await exchange.send(answer.head + b"".join(map(answer.framed, answer.pieces[:after])))
        await exchange.wait(0.1)
        rest = answer.pieces[after:] if more else ()
        await exchange.send(b"".join(map(answer.framed, (*events, *rest))) + answer.tail)

    return Behaviour("events of its own", run)


def chatting(seconds: float, part: bytes = b": still here\n\n") -> Behaviour:
    """Sends `part` each `seconds`, and never an event of its own."""

    async def run(exchange: Exchange) -> None:
        answer = exchange.reply
        await exchange.send(answer.head)
        while True:
            await exchange.send(answer.framed(part))
            await exchange.wait(seconds)

    return Behaviour("comments only", run)


def _reset_at_once() -> Behaviour:
    async def run(exchange: Exchange) -> None:
        exchange.reset()

    return Behaviour("reset", run)


def _end_at_once() -> Behaviour:
    async def run(exchange: Exchange) -> None:
        exchange.end()

    return Behaviour("end without an answer", run)


def _early() -> Behaviour:
    async def run(exchange: Exchange) -> None:
        await exchange.send(json_reply({"error": {"message": "too large", "type": "invalid_request_error"}}, 413).wire)
        await exchange.wait(0.2)
        exchange.end()

    return Behaviour("answer before the body", run, early=True)


def endless(name: str, begin: bytes, part: bytes) -> Behaviour:
    """Sends `begin`, and then `part` without an end."""

    async def run(exchange: Exchange) -> None:
        await exchange.send(begin)
        while True:
            await exchange.send(part)
            await asyncio.sleep(0)

    return Behaviour(name, run)


def _rechunked(name: str, change: Callable[[Reply], bytes]) -> Behaviour:
    return rewired(name, lambda answer: change(replace(answer, framing="chunked")))


def _closing(answer: Reply) -> Reply:
    return replace(answer, framing="close")


def _length(answer: Reply, difference: int) -> bytes:
    body = answer.body
    head = replace(answer, framing="close").head[:-2] + f"content-length: {len(body) + difference}\r\n\r\n".encode()
    return head + body


_EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

RESET = _reset_at_once()
NO_ANSWER = _end_at_once()
EARLY = _early()
STALL = stalling()
BAD_CHUNK_SIZE = _rechunked("bad chunk size", lambda answer: answer.head + b"zz\r\n" + answer.body)
BAD_CHUNK_LATER = _rechunked(
    "bad chunk size later", lambda answer: answer.head + b"".join(map(answer.framed, answer.pieces[:3])) + b"-5\r\nxx"
)
CHUNK_WITHOUT_END = _rechunked(
    "chunk without its end",
    lambda answer: answer.head + b"".join(b"%x\r\n%b" % (len(piece), piece) for piece in answer.pieces),
)
NO_LAST_CHUNK = _rechunked("no last chunk", lambda answer: answer.wire.removesuffix(answer.tail))
LENGTH_TOO_LONG = rewired("content-length too long", lambda answer: _length(answer, 10))
LENGTH_TOO_SHORT = rewired("content-length too short", lambda answer: _length(answer, -10))
BAD_JSON = changed("bad JSON", lambda answer: replace(answer, pieces=(answer.body[:-7],)))
HTML = reply(Reply(200, (("content-type", "text/html"),), (b"<html><body>It works!</body></html>",)))
GZIP = changed(
    "gzip",
    lambda answer: replace(
        answer, headers=(*answer.headers, ("content-encoding", "gzip")), pieces=(gzip.compress(answer.body),)
    ),
)
ENDS_WITH_CONNECTION = changed("ends with the connection", _closing)
WITHOUT_DONE = changed(
    "without [DONE]", lambda answer: replace(answer, pieces=tuple(one for one in answer.pieces if one != DONE))
)
DONE_TWICE = changed("[DONE] twice", lambda answer: replace(answer, pieces=(*answer.pieces, DONE)))
CONTINUE = rewired(
    "1xx before the answer", lambda answer: b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + answer.wire
)
NOT_HTTP = raw("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n")
HUGE_HEADER = raw("huge header", b"HTTP/1.1 200 OK\r\nx-huge: " + b"a" * (4 << 20) + b"\r\ncontent-length: 0\r\n\r\n")
ENDLESS_HEADERS = endless("endless headers", b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n" * 1000)
HUGE_LINE = raw("huge line", _EVENTS + b"1000000\r\n" + b"a" * (16 << 20) + b"\r\n0\r\n\r\n")
ENDLESS_LINE = endless("endless line", _EVENTS, b"10000\r\n" + b"a" * (1 << 16) + b"\r\n")
NAMED_EVENTS = changed(
    "names, ids and comments",
    lambda answer: replace(
        answer,
        pieces=tuple(
            b": a comment\nevent: chunk\nid: %d\nretry: 10\n%b" % (index, one) if one.startswith(b"data: {") else one
            for index, one in enumerate(answer.pieces)
        ),
    ),
)


def with_error(answer: Reply, after: int) -> Reply:
    """A stream that ends with an error, after so many events."""
    error = data({"error": {"message": "out of memory", "type": "server_error"}})
    return replace(answer, pieces=(*answer.pieces[:after], error))
