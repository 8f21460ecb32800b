"""One HTTP/1.1 connection to an upstream, and the answer that comes over it.

Written for this gateway: the bytes of an answer go from the parser (llhttp) to whoever waits for them with nothing in
between, which is most of the speed of a stream; and what is wrong with an answer is known to the byte, so that one that
was cut never looks whole. Where it may connect to, the pool decides.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from steelyard.gateway.failures import Failure, UpstreamFailed

Header = tuple[bytes, bytes]

_HEAD_BYTES = 65_536
"""How long the head of an answer may be, in bytes."""
_HIGH, _LOW = 262_144, 65_536
"""How many unread bytes of an answer stop the reading from the upstream, and let it go on."""
_NEVER = float("inf")
_CONNECTION_BOUND = frozenset({b"transfer-encoding", b"content-length"})


class Answer:
    """The answer to one request: its head, then its body, piece by piece.

    `read` gives what has come; it raises UpstreamFailed where the answer breaks off, and b"" only at an end that the
    upstream has marked as one (or, for an answer whose length nobody told, at the end of the connection).
    """

    __slots__ = (
        "_connection",
        "_deadline",
        "_discard",
        "_end",
        "_framed",
        "_held",
        "_informational",
        "_loop",
        "_patience",
        "_pieces",
        "_size",
        "_waiter",
        "begun",
        "done",
        "failure",
        "head_bytes",
        "headers",
        "keep_alive",
        "parser",
        "reused",
        "status",
    )

    def __init__(self, connection: "Connection", loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self.parser: HttpResponseParser | None = HttpResponseParser(self)
        self.status = 0
        self.headers: list[Header] = []
        self.begun = False
        """Whether anything of the answer has come."""
        self.done = False
        self.failure: Failure | None = None
        self.reused = connection.used > 0
        """Whether the connection has carried other requests before."""
        self.keep_alive = False
        self.head_bytes = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = self._patience = 0.0
        self._end = _NEVER
        self._framed = self._informational = self._held = self._discard = False

    # What the caller asks for.

    async def head(self, seconds: float) -> int:
        """The status; `headers` are there then. Raises UpstreamFailed, also if it takes longer than `seconds`."""
        self.expect(seconds, self._loop.time() + seconds)
        while not self.status:
            if self.failure is not None:
                raise UpstreamFailed(self.failure)
            await self._wait()
        return self.status

    async def read(self) -> bytes:
        """What has come of the body since the last time; b"" at its end. Raises UpstreamFailed if it breaks off."""
        while not self._pieces:
            if self.failure is not None:
                raise UpstreamFailed(self.failure)
            if self.done:
                return b""
            await self._wait()
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._size = 0
        if self._held:
            self._held = False
            self._connection.resume()
            self.heard()  # its time begins anew: until now it was we who did not listen
        return data

    async def body(self, limit: int) -> bytes:
        """All of the body. Raises UpstreamFailed, also for one of more than `limit` bytes."""
        if self.done and len(self._pieces) == 1 and self._size <= limit and not self._held:
            data, self._pieces, self._size = self._pieces[0], [], 0
            return data
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit:
                self.abort("too_large")
                raise UpstreamFailed("too_large")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def expect(self, seconds: float, until: float = _NEVER) -> None:
        """From now on, the upstream may be silent for `seconds` at most, and `until` then it must have said it all."""
        if self.done or self.failure is not None:
            return  # a timer would keep all of it for nothing
        self._patience = seconds
        self._end = until
        self._deadline = min(self._loop.time() + seconds, until)
        self._connection.watch(self._deadline)

    def drain(self, seconds: float = 1.0) -> None:
        """Nobody reads the rest; if the answer ends soon, its connection can be used again."""
        if not self.done and self.failure is None:
            self._discard = True
            self._pieces.clear()
            if self._held:
                self._held = False
                self._connection.resume()
            self.expect(seconds)

    def abort(self, reason: Failure = "cancelled") -> None:
        """Ends the exchange, and the connection if the answer is not all here."""
        if not self.done and not self._discard:
            self.fail(reason)

    # What the connection tells.

    def fail(self, reason: Failure) -> None:
        """The rest of the answer will not come."""
        if self.done or self.failure is not None:
            return
        self.failure = reason
        self._finish()
        self._connection.ended(reusable=False)

    def end_of_connection(self) -> None:
        """The upstream has closed: the end of an answer whose length nobody told, a cut for any other."""
        if self.status and not self._framed and not self.done:
            self.done = True
            self._finish()
        else:
            self.fail("cut" if self.begun else "disconnect")

    def heard(self) -> None:
        """Something has come."""
        self.begun = True
        if not self._discard:
            self._deadline = min(self._loop.time() + self._patience, self._end)

    # What the parser finds.

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self.done:
            self._connection.close()  # a second one to one question

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the head, or of a trailer, which nobody asked for."""
        if not self.status:
            name = name.lower()
            if name in _CONNECTION_BOUND:
                self._framed = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete: it is the answer's, or one that says only that the answer will come."""
        parser = self.parser
        if self.done or parser is None:
            return
        status = parser.get_status_code()
        self._informational = 100 <= status < 200
        if self._informational:
            self.headers, self._framed = [], False
            return
        self.status = status
        self.keep_alive = parser.should_keep_alive()
        self._wake()

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if self.done or self._discard:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _HIGH and not self._held:
            self._held = True
            self._connection.pause()
        self._wake()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._informational or self.done:
            return
        self.done = True
        self._finish()
        self._connection.ended(reusable=self.keep_alive)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _finish(self) -> None:
        self.parser = None  # which knows us: a circle that only the collector would find
        self._wake()

    def look(self) -> None:
        """The timer has fired."""
        if self.done or self.failure is not None:
            return
        now = self._loop.time()
        if self._held:
            # While the reader is slow the upstream cannot send: that is not its silence.
            self._deadline = min(now + self._patience, self._end)
        if self._deadline > now:
            self._connection.watch(self._deadline)
            return
        self.fail("timeout")


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time; it tells `released` when it is free or closed."""

    def __init__(self, released: Callable[["Connection", bool], None], loop: asyncio.AbstractEventLoop) -> None:
        self._released = released
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self.used = 0
        """How many requests have been sent."""
        self.idle_since = 0.0
        self.closed = False
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, deadline: float) -> None:
        """Looks at the answer then, or before. The timer outlives answers: it looks when it fires."""
        timer = self._timer
        if timer is None:
            self._timer = self._loop.call_at(deadline, self._look)
        elif timer.when() > deadline:
            timer.cancel()
            self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._answer is not None:
            self._answer.look()

    def send(self, head: bytes, body: bytes) -> Answer:
        """Sends a request, and gives what its answer will be."""
        transport = self._transport
        assert transport is not None  # noqa: S101 - the pool hands out connected ones only
        answer = self._answer = Answer(self, self._loop)  # which asks whether we have been used
        self.used += 1
        if self.closed:  # since it was handed out
            answer.fail("disconnect")
        elif len(body) < _LOW:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        return answer

    def ended(self, *, reusable: bool) -> None:
        """The exchange is over."""
        self._answer = None
        if reusable and not self.closed:
            self._released(self, True)
        else:
            self.close()

    def close(self) -> None:
        """Ends the connection at once: what is still to be sent is not."""
        if self._transport is not None and not self.closed:
            self._transport.abort()
        if not self.closed:
            self.closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._released(self, False)

    def pause(self) -> None:
        """Reads no more for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads again."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.close()  # nobody has asked: whatever it is, it must not become the answer to the next request
            return
        answer.heard()
        if not answer.status:
            answer.head_bytes += len(data)
        parser = answer.parser
        assert parser is not None  # noqa: S101 - it goes when the answer ends, and then we do not have it any more
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            # Behind a whole answer there may be anything; in it there may not.
            if answer.done:
                self.close()
            else:
                answer.fail("protocol")
            return
        if not answer.status and answer.head_bytes > _HEAD_BYTES:
            answer.fail("protocol")

    def eof_received(self) -> Any:
        if self._answer is not None:
            self._answer.end_of_connection()
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        answer = self._answer
        if answer is not None:
            self._answer = None
            if error is None:
                answer.end_of_connection()
            else:
                answer.fail("cut" if answer.begun else "disconnect")
        self.close()
