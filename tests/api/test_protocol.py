"""Answers leave in one piece: with one write, and with the bytes that the library would have sent."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from steelyard.api.protocol import OnePiece

Headers = Sequence[tuple[bytes, bytes]]
Message = dict[str, Any]


class Wire(asyncio.Transport):
    """A connection that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.writes.append(b"<closed>")


def exchange(wire: Wire, *, method: str = "GET", keep_alive: bool = True) -> RequestResponseCycle:
    """A request that waits for its answer."""
    log = logging.getLogger("test")
    return RequestResponseCycle(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
        transport=wire,
        flow=FlowControl(wire),
        logger=log,
        access_logger=log,
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )


def answer(status: int, headers: Headers, *parts: bytes) -> list[Message]:
    """The messages of an answer."""
    bodies = [{"type": "http.response.body", "body": part, "more_body": True} for part in parts[:-1]]
    last = {"type": "http.response.body", "body": parts[-1] if parts else b""}
    return [{"type": "http.response.start", "status": status, "headers": list(headers)}, *bodies, last]


async def sent(messages: list[Message], *, whole: bool, **how: Any) -> list[bytes]:
    """What goes over the wire, through `OnePiece` or without it."""
    wire = Wire()
    cycle = exchange(wire, **how)
    send = OnePiece(cycle).send if whole else cycle.send
    for message in messages:
        await send(message)  # type: ignore[arg-type]
    assert cycle.response_complete
    return wire.writes


PLAIN = ((b"content-type", b"application/json"), (b"content-length", b"2"))


@pytest.mark.parametrize(
    ("messages", "how", "writes"),
    [
        (answer(200, PLAIN, b"{}"), {}, 1),
        (answer(404, PLAIN, b"{}"), {"method": "PATCH"}, 1),
        (answer(200, PLAIN, b"{}"), {"keep_alive": False}, 3),
        (answer(200, [*PLAIN, (b"connection", b"close")], b"{}"), {}, 3),
        (answer(200, PLAIN, b"{", b"}"), {}, 3),
        (answer(200, PLAIN[:1], b"{}"), {}, 2),
        (answer(200, PLAIN, b""), {"method": "HEAD"}, 1),
        (answer(204, [(b"etag", b'"x"')]), {}, 2),
    ],
)
async def test_the_bytes_are_those_of_the_library(messages: list[Message], how: dict[str, Any], writes: int) -> None:
    whole = await sent(messages, whole=True, **how)
    assert b"".join(whole) == b"".join(await sent(messages, whole=False, **how))
    assert len(whole) == writes


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b", b"a\x7f", b"a\n"])
async def test_a_header_cannot_be_broken_out_of(value: bytes) -> None:
    with pytest.raises(RuntimeError, match="header"):
        await sent(answer(200, [*PLAIN, (b"etag", value)], b"{}"), whole=True)


async def test_a_length_that_is_not_so_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Content-Length"):
        await sent(answer(200, PLAIN, b"{...}"), whole=True)
