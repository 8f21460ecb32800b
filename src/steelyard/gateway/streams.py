"""A stream on its way from an upstream to a client: passed as it is, or translated.

Events leave whole: where an upstream breaks off in the middle of one, the client has not seen its beginning, and can be
told what has happened in an event of its own.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from steelyard.errors import BadUpstreamAnswer, SteelyardError, UpstreamStreamError
from steelyard.gateway.dialects.errors import stream_error
from steelyard.gateway.dialects.watch import StreamWatch
from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.meter import Usage
from steelyard.gateway.naming import rename_event
from steelyard.gateway.sse import blocks, complete, parse


class Events:
    """Cuts what comes into whole events, however it was cut before."""

    __slots__ = ("_most", "_rest")

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = bytearray()

    def push(self, data: bytes) -> bytes:
        """The events that are whole with `data`. Raises UpstreamFailed for one that is longer than may be."""
        rest = self._rest
        if not rest:
            end = complete(data)
            if end == len(data):
                return data
            rest += data[end:]
            whole = data[:end]
        else:
            # The blank line that ends an event may begin in what came before; nothing else there is looked at again.
            seen = max(len(rest) - 3, 0)
            rest += data
            end = complete(bytes(rest[seen:]))
            if not end:
                whole = b""
            else:
                whole = bytes(rest[: seen + end])
                del rest[: seen + end]
        if len(rest) > self._most:
            raise UpstreamFailed("too_large")
        return whole

    @property
    def rest(self) -> bytes:
        """The beginning of an event that has not ended."""
        return bytes(self._rest)


class Stream(Protocol):
    """What becomes of an upstream's events."""

    @property
    def started(self) -> bool:
        """Whether a first token has come."""

    @property
    def ended(self) -> bool:
        """Whether the upstream has said that nothing follows."""

    @property
    def failure(self) -> SteelyardError | None:
        """Why it has ended, where the upstream has said so in what was fed last, behind what the client gets of it."""

    @property
    def usage(self) -> Usage | None:
        """The tokens, once the upstream has told them."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why the answer ends, in the upstream's words, as far as it is known."""

    def feed(self, events: bytes) -> bytes:
        """What the client gets for whole events. Raises BadUpstreamAnswer, UpstreamStreamError."""

    def end(self) -> bytes:
        """What it gets when the upstream's answer ends. Raises BadUpstreamAnswer if it cannot be all."""

    def error(self, status: int, message: str, code: str) -> bytes:
        """What it gets when the stream has broken off: the event of its dialect that says so."""


class Passing:
    """Passes the events as they are, but for the model's name."""

    __slots__ = ("_dialect", "_hides", "_known", "_name", "_right", "_watch", "ended", "failure")

    def __init__(self, dialect: str, name: str, *, hide_usage: bool = False) -> None:
        """`hide_usage` leaves out the event that tells of the usage alone, which the client has not asked for."""
        self._dialect = dialect
        self._hides = hide_usage
        self._watch = StreamWatch(dialect)
        self._name = name
        self._right = False
        """Whether the upstream calls the model as we do; then no further event is looked at."""
        self._known: tuple[bytes, bytes] | None = None
        """How the events of this stream begin up to the model's name, as the upstream writes it and as we do."""
        self.ended = False
        self.failure: SteelyardError | None = None

    @property
    def started(self) -> bool:
        return self._watch.started

    @property
    def usage(self) -> Usage | None:
        return self._watch.usage

    @property
    def reasons(self) -> Sequence[str]:
        return self._watch.reasons

    def feed(self, events: bytes) -> bytes:
        watch, known = self._watch, self._known
        # Nearly always one event comes at a time.
        single = events.count(b"\n\n") == 1 and events.endswith(b"\n\n") and b"\r" not in events
        parts = [events] if single else blocks(events)
        for place, block in enumerate(parts):
            watch.feed(block)
            if watch.failed is not None:
                self._fail(UpstreamStreamError(watch.failed[0], "upstream_error", watch.failed[1]), place)
                del parts[place:]
                break
            if known is not None and block.startswith(known[0]):
                parts[place] = known[1] + block[len(known[0]) :]
            elif not self._right and b'"model"' in block:
                parts[place], known = self._named(block)
                self._known = known
            if self._hides and b'"usage"' in block and _tells_usage_only(block):
                parts[place] = b""
            if watch.complete:
                if not (watch.started or watch.stopped):
                    raise BadUpstreamAnswer("the stream ended before the answer began")
                self.ended = True
                del parts[place + 1 :]
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _fail(self, error: SteelyardError, before: int) -> None:
        """The stream has failed; what was said `before` is the client's all the same."""
        if not before:
            raise error
        self.failure, self.ended = error, True

    def _named(self, block: bytes) -> tuple[bytes, tuple[bytes, bytes] | None]:
        renamed, known = rename_event(block, self._name)
        self._right = known is not None and known[0] == known[1]
        return renamed, None if self._right else known

    def end(self) -> bytes:
        if not (self._watch.complete or self._watch.stopped):
            raise BadUpstreamAnswer("the stream ended before the answer did")
        return b""

    def error(self, status: int, message: str, code: str) -> bytes:
        return stream_error(self._dialect, status, message, code)


class Translating:
    """Translates the events into the client's dialect."""

    __slots__ = ("_translation", "_upstream", "ended", "failure")

    def __init__(
        self, upstream: str, client: str, name: str, request: dict[str, Any] | None, *, include_usage: bool
    ) -> None:
        # Imported here: a gateway that translates nothing starts without it.
        from steelyard.gateway.dialects import StreamTranslation  # noqa: PLC0415

        self._translation = StreamTranslation(
            upstream, client, model=name, include_usage=include_usage, request=request
        )
        self._upstream = upstream
        self.ended = False
        self.failure: SteelyardError | None = None

    @property
    def started(self) -> bool:
        return self._translation.started

    @property
    def usage(self) -> Usage | None:
        return self._translation.usage

    @property
    def reasons(self) -> Sequence[str]:
        return ()

    def feed(self, events: bytes) -> bytes:
        translation = self._translation
        parts: list[bytes] = []
        for block in blocks(events):
            try:
                parts.append(translation.feed(block))
            except (BadUpstreamAnswer, UpstreamStreamError) as error:
                if not parts:
                    raise
                self.failure, self.ended = error, True
                break
            if translation.complete and _is_last(self._upstream, block):
                self.ended = True
                break
        return b"".join(parts)

    def end(self) -> bytes:
        return self._translation.end()

    def error(self, status: int, message: str, code: str) -> bytes:
        return self._translation.error(status, message, code)


def _tells_usage_only(block: bytes) -> bool:
    """Whether an event is the one with the usage, which has no choices."""
    if not re.search(rb'"choices"\s*:\s*\[\s*\]', block):
        return False
    _, data = parse(block)
    try:
        said = orjson.loads(data or b"")
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("choices") == [] and isinstance(said.get("usage"), dict)


def _is_last(dialect: str, block: bytes) -> bool:
    """Whether a block, of a stream that is complete, is the one after which nothing comes."""
    if dialect == "anthropic.messages":
        return b"message_stop" in block
    if dialect == "openai.responses":
        return True
    return block.strip().endswith(b"[DONE]")
