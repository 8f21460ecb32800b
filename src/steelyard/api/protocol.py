"""The server's end of HTTP: refusals in the shape of all other errors, and answers that leave in one piece."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, ClassVar

import orjson
from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from steelyard.api.sendfile import ZERO_COPY, send_file_part
from steelyard.scope import LEAVING, Leaving
from steelyard.settings import LimitSettings

# What no header may hold, beside the ends of lines, which are counted.
_CONTROL = bytes([*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
_EXTENSIONS: dict[str, dict[object, object]] = {ZERO_COPY: {}}
_LENGTH, _CONNECTION = b"content-length", b"connection"
_LATER = b"retry-after: 1\r\n"
_SILENCE = 60.0
_logger = logging.getLogger(__name__)


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
    """uvicorn's HTTP, whose answers leave in one piece, and whose refusal of what cannot be parsed is JSON too.

    Who sends the head of a request too slowly, or too much of it, or a body so slowly that it holds a connection for
    nothing, is let go; and there are no more connections than a setting says. One that waits holds a place, and may be
    one of thousands.
    """

    head_seconds: ClassVar[float] = 30.0
    body_seconds: ClassVar[float] = 120.0
    body_rate: ClassVar[int] = 256
    head_bytes: ClassVar[int] = 65_536
    most: ClassVar[int] = 4096
    """How many connections may be open at once."""
    _told: ClassVar[float] = float("-inf")
    """When it was last written to the log that there were too many; by the loop's clock."""

    _since = 0.0
    """When the head began that is not whole yet; or until when a body has paid for its time: each byte that comes pays
    for `1 / body_rate` seconds, none for what lies ahead. By the loop's clock.
    """
    _head = 0
    """How many bytes of a head have come that is not whole yet."""
    _large = _too_large = False
    """Whether the piece that has come is larger than a head may be; whether a head is."""

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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._look_later()
        if len(self.connections) > self.most:
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        self._large = len(data) > self.head_bytes
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:
            self._head = 0
            if cycle.more_body:
                self._since = min(self.loop.time(), self._since + len(data) / self.body_rate)
            return
        if not self._head:
            self._since = self.loop.time()
        self._head += len(data)
        if self._head > self.head_bytes and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        # A head that has come whole with one piece is measured here; others are, as they come.
        if self._large:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            self._too_large = size > self.head_bytes
            if self._too_large:
                raise ValueError("the head is too large")  # which ends the parsing, and with it the connection
        super().on_headers_complete()
        self._since = self.loop.time()
        self.headers = []  # what comes behind the body as a trailer is no header, and not heard

    def _look_later(self) -> None:
        self._timer = self.loop.call_later(min(self.head_seconds, self.body_seconds) / 2, self._look)

    def _look(self) -> None:
        """Lets go of who keeps us waiting."""
        if self.transport.is_closing():
            return
        if self.flow.read_paused:  # it is we who have not read on
            self._since = self.loop.time()
        waited, cycle = self.loop.time() - self._since, self.cycle
        if cycle is None or cycle.scope is not self.scope:
            late = waited > self.head_seconds
        else:
            late = cycle.more_body and not cycle.response_complete and waited > self.body_seconds
        if late:
            self.transport.close()
        else:
            self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: whoever answers a request of it can stop."""
        super().connection_lost(exc)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._timer.cancel()
        if self._leaving is not None:
            self._leaving.lost()

    def send_400_response(self, msg: str) -> None:
        """Refuses what cannot be parsed, and ends the connection, whose state nobody knows any more."""
        status, code = b"400 Bad Request", "bad_request"
        if self._too_large:
            status, code = b"431 Request Header Fields Too Large", "head_too_large"
            msg = f"the head of the request is larger than {self.head_bytes} bytes (setting limits.head_bytes)"
        self._end_with(status, code, msg)

    def _turn_away(self) -> None:
        """Answers a connection for which there is no room, before anything is asked."""
        now = self.loop.time()
        if now - self._told > _SILENCE:
            type(self)._told = now  # of this server: each has a class of its own
            _logger.warning("%d connections are open: others are turned away (setting limits.connections)", self.most)
        self._end_with(b"503 Service Unavailable", "too_many_connections", "too many connections; try again", _LATER)

    def _end_with(self, status: bytes, code: str, detail: str, header: bytes = b"") -> None:
        body = orjson.dumps({"detail": detail, "code": code})
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\n%b" % (status, header)
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()


def protocol_of(limits: LimitSettings) -> type[SteelyardProtocol]:
    """The protocol with the limits of the settings."""
    values = {
        "head_seconds": limits.head_seconds,
        "head_bytes": limits.head_bytes,
        "body_seconds": limits.body_seconds,
        "body_rate": limits.body_bytes_per_second,
        "most": limits.connections,
    }
    return type("BoundedProtocol", (SteelyardProtocol,), values)
