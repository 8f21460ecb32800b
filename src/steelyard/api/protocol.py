"""The server's end of HTTP: refusals in the shape of all other errors, and answers that leave in one piece."""

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "
_CONTINUE = b"HTTP/1.1 100"


class OnePieceTransport(asyncio.Transport):
    """Holds the head of an answer back until its body comes, so that both leave in one call to the system.

    Everything else passes: it is the transport that it stands before.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""
        # Taken over as they are: a call less for each of them.
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]
        self.set_write_buffer_limits = transport.set_write_buffer_limits  # type: ignore[method-assign]
        self.get_protocol = transport.get_protocol  # type: ignore[method-assign]
        self.set_protocol = transport.set_protocol  # type: ignore[method-assign]

    def write(self, data: Any) -> None:
        """Sends `data`, after a head that is held back; a head itself waits for what comes after it."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif data.startswith(_HEAD) and not data.startswith(_CONTINUE):
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Sends a head that nothing came after."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Sends what is held back, and closes."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        self._transport.abort()


class SteelyardProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, whose refusal of a request that cannot be parsed is JSON too."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(OnePieceTransport(transport))

    def on_response_complete(self) -> None:
        """An answer is at its end, which may have had no body."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses what cannot be parsed, and ends the connection, whose state nobody knows any more."""
        body = orjson.dumps({"detail": msg, "code": "bad_request"})
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()
