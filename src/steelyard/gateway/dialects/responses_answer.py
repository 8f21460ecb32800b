"""Answers in OpenAI's responses: written for a client, whole and as a stream."""

from typing import Any

import orjson

from steelyard.gateway.dialects import counts, media
from steelyard.gateway.dialects.errors import stream_error
from steelyard.gateway.dialects.form import RESPONSES, Answer, Json, Stop
from steelyard.gateway.meter import Usage

# What an answer repeats of its request, and what it says where the request said nothing.
_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
}


def _response(id: str, created: int, model: str, request: Json | None) -> Json:
    said = request or {}
    reasoning = said.get("reasoning") or {}
    made: Json = {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": False,
        "truncation": "disabled",
        "usage": None,
    }
    for name, otherwise in _ECHOED.items():
        value = said.get(name)
        made[name] = otherwise if value is None else value
    return made


def _close(response: Json, output: list[Json], stop: Stop, usage: Usage | None) -> Json:
    reason = counts.TO_RESPONSES.get(stop)
    return {
        **response,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "completed_at": None if reason else counts.now(),
        "output": output,
        "usage": counts.write_responses(usage) if usage is not None else None,
    }


def write(answer: Answer, model: str, request: Json | None) -> Json:
    """The answer as a response; `request` is the client's body, which it repeats."""
    id = counts.new_id("resp_", answer.id)
    created = answer.created if answer.created is not None else counts.now()
    tail = id[5:]
    output: list[Json] = []
    for part in answer.parts:
        _add(output, part, f"{tail}_{len(output)}")
    if answer.stop == "length" and output and output[-1]["type"] != "reasoning":
        output[-1]["status"] = "incomplete"
    return _close(_response(id, created, model, request), output, answer.stop, answer.usage)


def _add(output: list[Json], part: Json, tail: str) -> None:
    kind = part["kind"]
    if kind == "call":
        output.append(_call(f"fc_{tail}", part["id"], part["name"], part["arguments"], "completed"))
    elif kind == "reasoning":
        text = part.get("text")
        output.append(_thoughts(f"rs_{tail}", [{"type": "summary_text", "text": text}] if text else []))
        if sealed := media.seal(part):
            output[-1]["encrypted_content"] = sealed
    else:
        content = _refusal(part["text"]) if kind == "refusal" else _text(part["text"])
        if output and output[-1]["type"] == "message":
            output[-1]["content"].append(content)
        else:
            output.append(_message(f"msg_{tail}", [content], "completed"))


def _text(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _refusal(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def _message(id: str, content: list[Json], status: str) -> Json:
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": content}


def _call(id: str, call_id: str, name: str, arguments: str, status: str) -> Json:
    return {
        "id": id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def _thoughts(id: str, summary: list[Json]) -> Json:
    return {"id": id, "type": "reasoning", "summary": summary}


class ResponsesWriter:
    """Writes the events of a response for a client, each with its number."""

    __slots__ = (
        *("_buffer", "_head", "_item", "_model", "_number", "_output", "_part", "_request", "_response", "_tail"),
        *("_text_end", "out"),
    )

    def __init__(self, model: str, request: Json | None) -> None:
        self.out: list[bytes] = []
        self._model = model
        self._request = request
        self._response: Json = {}
        self._tail = ""
        self._number = 0
        self._output: list[Json] = []
        # The item and the part of it that are being written, with what was written of it.
        self._item: Json | None = None
        self._part = ""
        self._buffer: list[str] = []
        self._head = b""
        self._text_end = b""

    def start(self, id: str, usage: Usage | None) -> None:
        del usage
        id = counts.new_id("resp_", id)
        self._tail = id[5:]
        self._response = _response(id, counts.now(), self._model, self._request)
        self._event("response.created", {"response": self._response})
        self._event("response.in_progress", {"response": self._response})

    def text(self, text: str) -> None:
        if self._part != "output_text":
            self._open_content("output_text", _text(""))
        self._delta(text)

    def refusal(self, text: str) -> None:
        if self._part != "refusal":
            self._open_content("refusal", _refusal(""))
        self._delta(text)

    def reasoning(self, text: str) -> None:
        if self._part != "reasoning_summary_text":
            self._open_item(_thoughts(self._id("rs_"), []))
            part = {"type": "summary_text", "text": ""}
            self._event("response.reasoning_summary_part.added", {**self._place("summary_index", 0), "part": part})
            self._begin("reasoning_summary_text", "summary_index", 0)
        self._delta(text)

    def signature(self, signature: str) -> None:
        if self._item is None or self._item["type"] != "reasoning":
            self._open_item(_thoughts(self._id("rs_"), []))
        self._seal({"signature": signature})

    def sealed(self, data: str) -> None:
        self._open_item(_thoughts(self._id("rs_"), []))
        self._seal({"data": data})
        self._close_item()

    def _seal(self, part: Json) -> None:
        if self._item is not None and (sealed := media.seal(part)):
            self._item["encrypted_content"] = sealed

    def call(self, id: str, name: str) -> None:
        self._open_item(_call(self._id("fc_"), id, name, "", "in_progress"))
        self._begin("function_call_arguments", None, 0)

    def arguments(self, text: str) -> None:
        self._delta(text)

    def pause(self) -> None:
        if self._item is not None and self._item["type"] == "reasoning":
            self._close_item()

    def finish(self, stop: Stop, sequence: str | None, usage: Usage | None) -> None:
        del sequence
        self._close_item("incomplete" if stop == "length" else "completed")
        response = _close(self._response, self._output, stop, usage)
        self._event(f"response.{response['status']}", {"response": response})

    def error(self, status: int, message: str, code: str) -> bytes:
        return stream_error(RESPONSES, status, message, code, sequence=self._number)

    def _id(self, prefix: str) -> str:
        # Closing the item that is open adds it to the output before the new one is.
        return f"{prefix}{self._tail}_{len(self._output) + (self._item is not None)}"

    def _place(self, index_name: str | None, index: int) -> Json:
        place: Json = {"item_id": self._item["id"] if self._item else "", "output_index": len(self._output)}
        if index_name is not None:
            place[index_name] = index
        return place

    def _event(self, name: str, fields: Json) -> None:
        event = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        self.out.append(b"event: " + name.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n")

    def _open_item(self, item: Json) -> None:
        self._close_item()
        self._event("response.output_item.added", {"output_index": len(self._output), "item": item})
        self._item = item

    def _open_content(self, kind: str, part: Json) -> None:
        if self._item is None or self._item["type"] != "message":
            self._open_item(_message(self._id("msg_"), [], "in_progress"))
        else:
            self._close_part()
        index = len(self._item["content"]) if self._item is not None else 0
        self._event("response.content_part.added", {**self._place("content_index", index), "part": part})
        self._begin(kind, "content_index", index)

    def _begin(self, kind: str, index_name: str | None, index: int) -> None:
        """Prepares all of a delta but its number and its text."""
        self._part = kind
        place = orjson.dumps(self._place(index_name, index))[1:-1]
        name = b"response." + kind.encode() + b".delta"
        self._head = b"event: " + name + b'\ndata: {"type":"' + name + b'",' + place + b',"sequence_number":'
        self._text_end = b',"logprobs":[]}\n\n' if kind == "output_text" else b"}\n\n"

    def _delta(self, text: str) -> None:
        self._buffer.append(text)
        self.out.append(b'%b%d,"delta":%b%b' % (self._head, self._number, orjson.dumps(text), self._text_end))
        self._number += 1

    def _close_part(self) -> None:
        kind, item = self._part, self._item
        if not kind or item is None:
            return
        text = "".join(self._buffer)
        self._buffer.clear()
        self._part = ""
        if kind == "function_call_arguments":
            item["arguments"] = text
            fields = {**self._place(None, 0), "name": item["name"], "arguments": text}
            self._event("response.function_call_arguments.done", fields)
        elif kind == "reasoning_summary_text":
            place = self._place("summary_index", 0)
            part: Json = {"type": "summary_text", "text": text}
            item["summary"] = [part]
            self._event("response.reasoning_summary_text.done", {**place, "text": text})
            self._event("response.reasoning_summary_part.done", {**place, "part": part})
        else:
            place = self._place("content_index", len(item["content"]))
            part = _text(text) if kind == "output_text" else _refusal(text)
            item["content"].append(part)
            done = {"text": text, "logprobs": []} if kind == "output_text" else {"refusal": text}
            self._event(f"response.{kind}.done", {**place, **done})
            self._event("response.content_part.done", {**place, "part": part})

    def _close_item(self, status: str = "completed") -> None:
        item = self._item
        if item is None:
            return
        self._close_part()
        if "status" in item:
            item["status"] = status
        self._event("response.output_item.done", {"output_index": len(self._output), "item": item})
        self._output.append(item)
        self._item = None
