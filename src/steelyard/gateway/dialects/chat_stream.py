"""Streams of OpenAI's chat completions: chunks without names, at last `[DONE]`."""

from typing import Any

import orjson

from steelyard.gateway.dialects import counts
from steelyard.gateway.dialects.counts import bad, settled
from steelyard.gateway.dialects.errors import error_in, stream_error
from steelyard.gateway.dialects.form import CHAT, Json, Stop, StreamWriter
from steelyard.gateway.meter import Usage


class ChatReader:
    """Reads an upstream's chunks and tells a writer what they say."""

    __slots__ = ("_call", "_calls", "_named", "_open", "_out", "_sequence", "_stop", "complete", "started", "usage")

    def __init__(self, out: StreamWriter) -> None:
        self._out = out
        self._open = False
        self._stop: Stop | None = None
        self._sequence: str | None = None
        # Index -> id of the calls that were begun; ids that came before their names; the index of the last one.
        self._calls: dict[int, str] = {}
        self._named: dict[int, str] = {}
        self._call = -1
        self.started = False
        self.complete = False
        self.usage: Usage | None = None

    def read(self, data: bytes) -> None:
        """One event's data. Raises BadUpstreamAnswer and UpstreamStreamError."""
        if self.complete:
            return
        if data == b"[DONE]" or data.strip() == b"[DONE]":
            self.end()
            self.complete = True
            return
        chunk = parsed(data)
        if error := chunk.get("error"):
            raise error_in(error)
        if usage := chunk.get("usage"):
            self.usage = counts.chat_usage(usage) or self.usage
        choices = chunk.get("choices")
        if not self._open:
            if not isinstance(choices, list):
                raise bad("a chunk has no choices")
            self._open = True
            self._out.start(chunk.get("id") or "", self.usage)
        if choices:
            if not isinstance(choices, list):
                raise bad("a chunk's choices are no list")
            self._choice(choices[0])

    def end(self) -> None:
        """The stream is over; servers that do not say `[DONE]` have at least said why they stop."""
        if self.complete:
            return
        if self._stop is None:
            raise bad("its stream ends without a reason (finish_reason)")
        self.complete = True
        self._out.finish(settled(self._stop, bool(self._calls)), self._sequence, self.usage)

    def _choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            raise bad("a chunk's choice is no object")
        if choice.get("index"):
            return
        delta = choice.get("delta")
        if delta:
            self._delta(delta)
        if said := choice.get("finish_reason"):
            self._stop = counts.stop_of(counts.CHAT_STOPS, said)
            sequence = choice.get("stop_reason")
            if self._stop == "stop" and isinstance(sequence, str):
                self._stop, self._sequence = "sequence", sequence

    def _delta(self, delta: Any) -> None:
        if not isinstance(delta, dict):
            raise bad("a chunk's delta is no object")
        out = self._out
        content = delta.get("content")
        if content:
            if not isinstance(content, str):
                raise bad("a chunk's content is no text")
            self.started = True
            if len(delta) > 1:
                self._thoughts(delta)
            out.text(content)
        elif len(delta) > 1 or "content" not in delta:
            self._thoughts(delta)
        if refusal := delta.get("refusal"):
            self.started = True
            out.refusal(str(refusal))
        if calls := delta.get("tool_calls"):
            if not isinstance(calls, list):
                raise bad("a chunk's tool_calls are no list")
            self.started = True
            for call in calls:
                self._tool(call)

    def _thoughts(self, delta: Json) -> None:
        thoughts = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thoughts, str) and thoughts:
            self.started = True
            self._out.reasoning(thoughts)

    def _tool(self, call: Any) -> None:
        """Calls come one after the other; a second one begins with a new index, or, in some engines, with a new id."""
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise bad("a chunk calls no function")
        index, id, name = call.get("index"), call.get("id"), function.get("name")
        if not isinstance(id, str | None) or not isinstance(name, str | None):
            raise bad("a chunk calls a tool whose id or name is no text")
        if not isinstance(index, int):
            index = self._call if self._call >= 0 and id in (None, "", self._calls.get(self._call)) else self._call + 1
        known = self._calls.get(index)
        if known is not None and id and name and id != known:
            index = max(self._calls) + 1
            known = None
        if known is None:
            id = id or self._named.pop(index, "")
            if not name:
                if not id or function.get("arguments"):
                    raise bad("a chunk calls a tool without a name")
                self._named[index] = id
                return
            self._calls[index] = id or counts.new_id("call_")
            self._call = index
            self._out.call(self._calls[index], name)
        elif index != self._call:
            raise bad("its chunks mix up several tool calls")
        arguments = function.get("arguments")
        if arguments:
            self._out.arguments(arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode())


def parsed(data: bytes) -> Json:
    """The object in an event's data. Raises BadUpstreamAnswer."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise bad(f"an event holds no JSON ({error})") from error
    if not isinstance(found, dict):
        raise bad("an event holds no object")
    return found


class ChatWriter:
    """Writes chunks for a client."""

    __slots__ = ("_blocks", "_calls", "_head", "_include_usage", "_model", "_tail", "_thoughts", "out")

    def __init__(self, model: str, include_usage: bool) -> None:
        self.out: list[bytes] = []
        self._model = model
        self._include_usage = include_usage
        self._head = b""
        # Where usage is asked for, every chunk has it, null but in the last one.
        self._tail = b',"finish_reason":null}]' + (b',"usage":null}\n\n' if include_usage else b"}\n\n")
        self._calls = -1
        self._blocks = 0
        self._thoughts: list[str] = []

    def start(self, id: str, usage: Usage | None) -> None:
        del usage
        head = {
            "id": counts.new_id("chatcmpl-", id),
            "object": "chat.completion.chunk",
            "created": counts.now(),
            "model": self._model,
        }
        self._head = b"data: " + orjson.dumps(head)[:-1] + b',"choices":[{"index":0,"delta":'
        self.out.append(self._head + b'{"role":"assistant","content":"","refusal":null}' + self._tail)

    def text(self, text: str) -> None:
        self.out.append(self._head + b'{"content":' + orjson.dumps(text) + b"}" + self._tail)

    def refusal(self, text: str) -> None:
        self.out.append(self._head + b'{"refusal":' + orjson.dumps(text) + b"}" + self._tail)

    def reasoning(self, text: str) -> None:
        self._thoughts.append(text)
        self.out.append(self._head + b'{"reasoning_content":' + orjson.dumps(text) + b"}" + self._tail)

    def signature(self, signature: str) -> None:
        self._block({"type": "thinking", "thinking": "".join(self._thoughts), "signature": signature})

    def sealed(self, data: str) -> None:
        self._block({"type": "redacted_thinking", "data": data})

    def _block(self, block: Json) -> None:
        # Lists in deltas need an index: the official client puts them together by it.
        delta = {"thinking_blocks": [{"index": self._blocks, **block}]}
        self._blocks += 1
        self._thoughts.clear()
        self.out.append(self._head + orjson.dumps(delta) + self._tail)

    def call(self, id: str, name: str) -> None:
        self._calls += 1
        function = {"name": name, "arguments": ""}
        delta = {"tool_calls": [{"index": self._calls, "id": id, "type": "function", "function": function}]}
        self.out.append(self._head + orjson.dumps(delta) + self._tail)

    def arguments(self, text: str) -> None:
        delta = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (self._calls, orjson.dumps(text))
        self.out.append(self._head + delta + self._tail)

    def pause(self) -> None:
        self._thoughts.clear()

    def finish(self, stop: Stop, sequence: str | None, usage: Usage | None) -> None:
        del sequence
        self.out.append(self._head + b"{}" + self._tail.replace(b"null", b'"%b"' % counts.TO_CHAT[stop].encode(), 1))
        if self._include_usage and usage is not None:
            head = self._head[: self._head.index(b',"choices":[{')]
            self.out.append(head + b',"choices":[],"usage":' + orjson.dumps(counts.write_chat(usage)) + b"}\n\n")
        self.out.append(b"data: [DONE]\n\n")

    def error(self, status: int, message: str, code: str) -> bytes:
        return stream_error(CHAT, status, message, code)
