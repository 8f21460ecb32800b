"""What a stream says of itself that is passed on untouched: whether it has started, is complete, failed, what it used.

An ordinary block is only searched for a few marks. A mark may stand in a generated text too: it decides that a block is
parsed, and what is parsed decides the rest.
"""

from typing import Any

import orjson

from steelyard.gateway.dialects import counts
from steelyard.gateway.dialects.errors import error_in
from steelyard.gateway.dialects.form import MESSAGES, RESPONSES, Json
from steelyard.gateway.meter import Usage
from steelyard.gateway.sse import parse

_TOKENS = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "audio")


def _ordinary_chunk(block: bytes) -> bool:
    # Servers that leave out what is null have all their chunks parsed.
    return (
        (b'"finish_reason":null' in block or b'"finish_reason": null' in block)
        and b'_tokens"' not in block
        and b'"error"' not in block
    )


def _ordinary_message(block: bytes) -> bool:
    return b'"message_' not in block and b'"error"' not in block


def _ordinary_response(block: bytes) -> bool:
    # Only the events that have a whole response, and errors, say what we want to know.
    return b'"response":' not in block and b'"response": ' not in block and b'"error"' not in block


class StreamWatch:
    """Watches one stream of a dialect, event by event."""

    __slots__ = ("_dialect", "_ordinary", "complete", "failed", "reasons", "started", "stopped", "usage")

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._ordinary = {MESSAGES: _ordinary_message, RESPONSES: _ordinary_response}.get(dialect, _ordinary_chunk)
        self.started = False
        self.complete = False
        # A reason to stop was given: as good as complete where a server ends its stream well, but without `[DONE]`.
        self.stopped = False
        self.reasons: list[str] = []
        self.usage: Usage | None = None
        # The status that an error of the upstream's stands for, and its message.
        self.failed: tuple[int, str] | None = None

    def feed(self, block: bytes) -> None:
        """One whole event."""
        if self.started and self._ordinary(block):
            return
        if self.complete or self.failed is not None or (block[:1] == b":" and b"data" not in block):
            return
        data = parse(block)[1]
        if data:
            self._read(data)

    def _read(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            # Other dialects end by an event of their own.
            self.complete = self.complete or self._dialect not in (MESSAGES, RESPONSES)
            return
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            self.failed = (502, "an event of the upstream's stream holds no JSON")
            return
        if not isinstance(event, dict):
            self.failed = (502, "an event of the upstream's stream holds no object")
        elif self._dialect == MESSAGES:
            self._read_message(event)
        elif self._dialect == RESPONSES:
            self._read_response(event)
        else:
            self._read_chunk(event)

    def _fail(self, error: Any) -> None:
        found = error_in(error)
        self.failed = (found.upstream_status, found.message)

    def _read_chunk(self, chunk: Json) -> None:
        if error := chunk.get("error"):
            self._fail(error)
            return
        if usage := chunk.get("usage"):
            self.usage = counts.chat_usage(usage) or self.usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            if reason := choice.get("finish_reason"):
                self.stopped = True
                self.reasons.append(str(reason))
            delta = choice.get("delta")
            if choice.get("text") or (isinstance(delta, dict) and any(delta.get(name) for name in _TOKENS)):
                self.started = True

    def _read_message(self, event: Json) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self.started = True
        elif kind == "content_block_start":
            block = event.get("content_block")
            # A block of text begins empty; all others say something by beginning.
            if isinstance(block, dict) and (block.get("type") not in ("text", "thinking") or block.get("text")):
                self.started = True
        elif kind == "message_start":
            message = event.get("message")
            if isinstance(message, dict):
                self.usage = counts.messages_usage(message.get("usage"))
        elif kind == "message_delta":
            self.usage = counts.messages_usage(event.get("usage"), self.usage)
            delta = event.get("delta")
            if isinstance(delta, dict) and (reason := delta.get("stop_reason")):
                self.stopped = True
                self.reasons.append(str(reason))
        elif kind == "message_stop":
            self.complete = True
        elif kind == "error":
            self._fail(event.get("error") or event)

    def _read_response(self, event: Json) -> None:
        kind = event.get("type")
        if not isinstance(kind, str):
            return
        if kind == "error":
            self._fail(event.get("error") or event)
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            response = event.get("response")
            fields = response if isinstance(response, dict) else {}
            self.usage = counts.responses_usage(fields.get("usage")) or self.usage
            if kind == "response.failed":
                self._fail(fields.get("error") or event)
            else:
                self.stopped = self.complete = True
        elif kind.endswith(".delta"):
            self.started = True
        elif kind == "response.output_item.added":
            item = event.get("item")
            self.started = self.started or (isinstance(item, dict) and item.get("type") not in ("message", "reasoning"))
