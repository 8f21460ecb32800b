"""The server's end of HTTP: refusals in the shape of all other errors, and answers that leave in one piece."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from steelyard.api.sendfile import ZERO_COPY, send_file_part
from steelyard.scope import LEAVING, Leaving

# What no header may hold, beside the ends of lines, which are counted.
_CONTROL = bytes([*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
_EXTENSIONS: dict[str, dict[object, object]] = {ZERO_COPY: {}}
_LENGTH, _CONNECTION = b"content-length", b"connection"


class OnePiece:
    """Sends an answer whose head is followed by all of its body with one call to the system.

    The head is held back until the body comes. Whatever is unusual about an answer takes the library's way: parts,
    chunks, a connection that ends, a client that reads slowly, and headers that are not as they should be.
    """

    __slots__ = ("_cycle", "_start")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        """Takes the messages of ASGI."""
        if message["type"] == "http.response.start" and self._start is None:
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None and not self._sent(start, message):
            await self._cycle.send(start)  # type: ignore[arg-type]
            start = None
        if start is None and message["type"] == ZERO_COPY:
            await send_file_part(self._cycle, message["file"], message["offset"], message["count"])
        elif start is None:
            await self._cycle.send(message)  # type: ignore[arg-type]

    def _sent(self, start: Message, message: Message) -> bool:
        """Sends the whole answer, if it is a usual one."""
        cycle, body = self._cycle, message.get("body", b"")
        if (
            message.get("more_body", False)
            or cycle.response_started
            or cycle.disconnected
            or cycle.flow.write_paused
            or not cycle.keep_alive
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        headers = [*cycle.default_headers, *start["headers"]]
        names = dict(headers)
        if names.get(_LENGTH) != b"%d" % len(body) or _CONNECTION in names:
            return False
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        if not head.count(b"\r") == head.count(b"\n") == len(headers):
            return False
        if len(head.translate(None, _CONTROL)) != len(head):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[start["status"]], head, body))
        cycle.message_event.set()
        cycle.on_response()
        return True


class SteelyardProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, whose answers leave in one piece, and whose refusal of what cannot be parsed is JSON too."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        def in_one_piece(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
            answered: Awaitable[None] = app(scope, receive, OnePiece(cycle).send)
            return answered

        if self.scheme == "http":
            cycle.scope["extensions"] = _EXTENSIONS
        self._leaving = cycle.scope[LEAVING] = Leaving()  # type: ignore[literal-required]
        super()._start_asgi_task(cycle, in_one_piece)

    _leaving: Leaving | None = None
    # The library cancels a timer and sets another one for each request. One timer that looks again does.
    _idle_since = 0.0
    _idle_timer: asyncio.TimerHandle | None = None

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = 0.0

    def on_response_complete(self) -> None:
        """An answer is out: the next request of the connection begins, or is waited for."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._idle_since = 0.0
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_for_idleness)

    def _look_for_idleness(self) -> None:
        self._idle_timer = None
        left: float = self.timeout_keep_alive
        if self._idle_since:
            left += self._idle_since - self.loop.time()
        if left <= 0:
            self.timeout_keep_alive_handler()
        else:
            self._idle_timer = self.loop.call_later(left, self._look_for_idleness)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: whoever answers a request of it can stop."""
        super().connection_lost(exc)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._leaving is not None:
            self._leaving.lost()

    def send_400_response(self, msg: str) -> None:
        """Refuses what cannot be parsed, and ends the connection, whose state nobody knows any more."""
        body = orjson.dumps({"detail": msg, "code": "bad_request"})
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()
