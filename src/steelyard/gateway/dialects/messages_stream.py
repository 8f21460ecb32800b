"""Streams of Anthropic's messages: named events, blocks that are started, filled and stopped one after the other."""

from typing import Any

import orjson

from steelyard.gateway.dialects import counts
from steelyard.gateway.dialects.chat_stream import parsed
from steelyard.gateway.dialects.counts import bad, explanation, id_of, settled
from steelyard.gateway.dialects.errors import error_in, stream_error
from steelyard.gateway.dialects.form import MESSAGES, Json, Stop, StreamWriter
from steelyard.gateway.meter import Usage

_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "tool_use"}


class MessagesReader:
    """Reads an upstream's events and tells a writer what they say."""

    __slots__ = (
        *("_called", "_index", "_input", "_kind", "_open", "_out", "_sequence", "_stop"),
        *("complete", "started", "usage"),
    )

    def __init__(self, out: StreamWriter) -> None:
        self._out = out
        self._open = False
        self._kind: str | None = None
        self._index = -1
        # The input of a call that came whole with its start, as some servers send it.
        self._input: Json = {}
        self._called = False
        self._stop: Stop | None = None
        self._sequence: str | None = None
        self.started = False
        self.complete = False
        self.usage: Usage | None = None

    def read(self, data: bytes) -> None:
        """One event's data. Raises BadUpstreamAnswer and UpstreamStreamError."""
        if self.complete:
            return
        event = parsed(data)
        kind = event.get("type")
        if kind == "content_block_delta":
            self._delta(event)
        elif kind == "content_block_start":
            self._start(event)
        elif kind == "content_block_stop":
            self._end_block(event)
        elif kind == "message_start":
            self._begin(event)
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_stop":
            self._finish()
        elif kind == "error":
            raise error_in(event.get("error") or event)
        # Others are pings, and what may be added to the API, which asks to pass over it.

    def end(self) -> None:
        """The stream is over; it must have said so itself."""
        if not self.complete:
            raise bad("its stream ends before it is complete (message_stop)")

    def _finish(self) -> None:
        if self._stop is None or self._kind is not None:
            raise bad("its stream ends without a reason (stop_reason)")
        self.complete = True
        self._out.finish(settled(self._stop, self._called), self._sequence, self.usage)

    def _begin(self, event: Json) -> None:
        message = event.get("message")
        if self._open or not isinstance(message, dict):
            raise bad("its stream does not begin with one message")
        self._open = True
        self.usage = counts.messages_usage(message.get("usage"))
        self._out.start(message.get("id") or "", self.usage)

    def _start(self, event: Json) -> None:
        block = event.get("content_block")
        if not self._open or self._kind is not None or not isinstance(block, dict):
            raise bad("its stream starts a block out of turn")
        kind = block.get("type")
        self._index = event.get("index", -1)
        out = self._out
        if kind == "text":
            if block.get("text"):
                self.started = True
                out.text(_text(block, "text"))
        elif kind == "tool_use":
            if not isinstance(block.get("name"), str):
                raise bad("it calls a tool without a name")
            self.started = self._called = True
            self._input = block.get("input") or {}
            out.call(block.get("id") or counts.new_id("toolu_"), block["name"])
        elif kind == "thinking":
            if block.get("thinking"):
                self.started = True
                out.reasoning(_text(block, "thinking"))
        elif kind == "redacted_thinking":
            self.started = True
            out.sealed(str(block.get("data", "")))
        else:
            raise bad(f"its stream has a block of the type {kind} that is not understood")
        self._kind = kind

    def _delta(self, event: Json) -> None:
        delta = event.get("delta")
        if not isinstance(delta, dict) or event.get("index") != self._index:
            raise bad("its stream fills a block that is not open")
        kind = delta.get("type")
        if kind == "signature_delta" and self._kind == "thinking":
            self._out.signature(str(delta.get("signature", "")))
            return
        if kind == "citations_delta" and self._kind == "text":
            # Where a text came from; it is the same without.
            return
        if self._kind is None or not isinstance(kind, str) or _DELTAS.get(kind) != self._kind:
            raise bad(f"its stream has a {kind} where none can be")
        self.started = True
        if kind == "text_delta":
            if text := _text(delta, "text"):
                self._out.text(text)
        elif kind == "thinking_delta":
            if text := _text(delta, "thinking"):
                self._out.reasoning(text)
        elif text := _text(delta, "partial_json"):
            self._input = {}
            self._out.arguments(text)

    def _end_block(self, event: Json) -> None:
        if self._kind is None or event.get("index") != self._index:
            raise bad("its stream stops a block that is not open")
        if self._kind == "tool_use" and self._input:
            self._out.arguments(orjson.dumps(self._input).decode())
        elif self._kind == "thinking":
            self._out.pause()
        self._kind = None
        self._input = {}

    def _message_delta(self, event: Json) -> None:
        self.usage = counts.messages_usage(event.get("usage"), self.usage)
        delta = event.get("delta")
        if not self._open or not isinstance(delta, dict):
            raise bad("its stream ends before it begins")
        said = delta.get("stop_reason")
        if said == "pause_turn":
            raise bad("it is not done yet (pause_turn)")
        if said is not None:
            self._stop = counts.stop_of(counts.MESSAGES_STOPS, said)
            self._sequence = delta.get("stop_sequence") if self._stop == "sequence" else None
        if explained := explanation(delta.get("stop_details")):
            self._out.refusal(explained)


def _text(delta: Json, name: str) -> str:
    text: Any = delta.get(name)
    if not isinstance(text, str):
        raise bad(f"its stream has a delta without {name}")
    return text


class MessagesWriter:
    """Writes events for a client."""

    __slots__ = ("_count", "_head", "_kind", "_model", "_refused", "out")

    def __init__(self, model: str) -> None:
        self.out: list[bytes] = []
        self._model = model
        self._kind: str | None = None
        self._count = 0
        self._head = b""
        self._refused = False

    def start(self, id: str, usage: Usage | None) -> None:
        message: Json = {
            "id": counts.new_id("msg_", id),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": counts.write_messages(usage),
        }
        self._event("message_start", {"message": message})

    def _event(self, name: str, fields: Json) -> None:
        kind = name.encode()
        self.out.append(b"event: " + kind + b"\ndata: " + orjson.dumps({"type": name, **fields}) + b"\n\n")

    def _open(self, kind: str, block: Json) -> None:
        self._close()
        self._event("content_block_start", {"index": self._count, "content_block": block})
        self._kind = kind
        delta = {"text": b"text_delta", "thinking": b"thinking_delta", "tool_use": b"input_json_delta"}[kind]
        field = {"text": b"text", "thinking": b"thinking", "tool_use": b"partial_json"}[kind]
        self._head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
            % (self._count, delta, field)
        )

    def _close(self) -> None:
        if self._kind is not None:
            self._event("content_block_stop", {"index": self._count})
            self._kind = None
            self._count += 1

    def text(self, text: str) -> None:
        if self._kind != "text":
            self._open("text", {"type": "text", "text": ""})
        self.out.append(self._head + orjson.dumps(text) + b"}}\n\n")

    def refusal(self, text: str) -> None:
        self._refused = True
        self.text(text)

    def reasoning(self, text: str) -> None:
        if self._kind != "thinking":
            self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self.out.append(self._head + orjson.dumps(text) + b"}}\n\n")

    def signature(self, signature: str) -> None:
        if self._kind != "thinking":
            self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        delta = {"type": "signature_delta", "signature": signature}
        self._event("content_block_delta", {"index": self._count, "delta": delta})

    def sealed(self, data: str) -> None:
        self._close()
        block = {"type": "redacted_thinking", "data": data}
        self._event("content_block_start", {"index": self._count, "content_block": block})
        self._kind = "redacted_thinking"
        self._close()

    def call(self, id: str, name: str) -> None:
        self._open("tool_use", {"type": "tool_use", "id": id_of(id), "name": name, "input": {}})

    def arguments(self, text: str) -> None:
        self.out.append(self._head + orjson.dumps(text) + b"}}\n\n")

    def pause(self) -> None:
        if self._kind == "thinking":
            self._close()

    def finish(self, stop: Stop, sequence: str | None, usage: Usage | None) -> None:
        self._close()
        reason = "refusal" if self._refused and stop == "stop" else counts.TO_MESSAGES[stop]
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        self._event("message_delta", {"delta": delta, "usage": counts.write_messages(usage)})
        self._event("message_stop", {})

    def error(self, status: int, message: str, code: str) -> bytes:
        return stream_error(MESSAGES, status, message, code)
