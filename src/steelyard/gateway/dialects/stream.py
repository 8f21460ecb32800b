"""One translated stream: an upstream's reader that tells a client's writer what it reads."""

from steelyard.gateway.dialects.chat_stream import ChatReader, ChatWriter
from steelyard.gateway.dialects.form import CHAT, MESSAGES, Json, StreamWriter
from steelyard.gateway.dialects.messages_stream import MessagesReader, MessagesWriter
from steelyard.gateway.dialects.responses_answer import ResponsesWriter
from steelyard.gateway.meter import Usage
from steelyard.gateway.sse import parse


class StreamTranslation:
    """Translates a stream event by event; `request` is the client's body, which responses repeat."""

    __slots__ = ("_reader", "_writer")

    def __init__(
        self, upstream: str, client: str, *, model: str, include_usage: bool, request: Json | None = None
    ) -> None:
        self._writer = _writer(client, model, include_usage, request)
        self._reader = MessagesReader(self._writer) if upstream == MESSAGES else ChatReader(self._writer)

    @property
    def started(self) -> bool:
        """Whether a first token was in what was fed."""
        return self._reader.started

    @property
    def complete(self) -> bool:
        """Whether the upstream has said that it is done."""
        return self._reader.complete

    @property
    def usage(self) -> Usage | None:
        """What the upstream has said of its tokens so far."""
        return self._reader.usage

    def feed(self, block: bytes) -> bytes:
        """The client's bytes for one whole event. Raises BadUpstreamAnswer and UpstreamStreamError."""
        # Nearly all blocks have one line of data at their end; the others are read by the whole grammar.
        named = block.find(b"\ndata: ") if block[:6] != b"data: " else -1
        start = 6 if named < 0 else named + 7
        if (named >= 0 or block[:6] == b"data: ") and block.find(b"\n", start) == len(block) - 2:
            data: bytes | None = block[start:-2]
        else:
            data = parse(block)[1]
        if not data:
            return b""
        self._reader.read(data)
        return self._taken()

    def end(self) -> bytes:
        """The client's last bytes, when the upstream's stream has ended well. Raises BadUpstreamAnswer."""
        self._reader.end()
        return self._taken()

    def error(self, status: int, message: str, code: str) -> bytes:
        """The event that ends the client's stream with an error, numbered as its dialect wants it."""
        return self._writer.error(status, message, code)

    def _taken(self) -> bytes:
        out = self._writer.out
        if not out:
            return b""
        made = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return made


def _writer(client: str, model: str, include_usage: bool, request: Json | None) -> StreamWriter:
    if client == CHAT:
        return ChatWriter(model, include_usage)
    return MessagesWriter(model) if client == MESSAGES else ResponsesWriter(model, request)
