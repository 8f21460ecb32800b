"""What an engine answers, as bytes: on the routes of OpenAI and of Anthropic."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

WORDS = ("Grüße", " aus", " 世界", " 🌍", "!")
"""What an engine says where a test does not care: each word is one event of a stream."""

PROMPT_TOKENS = 11


@dataclass(frozen=True)
class Reply:
    """An answer. `pieces` are the parts of its body, each a chunk; `framing` says how its end is told."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    pieces: tuple[bytes, ...] = ()
    framing: str = "length"
    """`length`, `chunked`, or `close`: the body ends with the connection."""

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def head(self) -> bytes:
        """The status line and the headers, with the empty line."""
        framing = {
            "length": (("content-length", str(len(self.body))),),
            "chunked": (("transfer-encoding", "chunked"),),
            "close": (("connection", "close"),),
        }[self.framing]
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in (*self.headers, *framing))]
        return "\r\n".join([*lines, "", ""]).encode()

    def framed(self, piece: bytes) -> bytes:
        """A piece as it stands on the wire."""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.framing == "chunked" else piece

    @property
    def tail(self) -> bytes:
        return b"0\r\n\r\n" if self.framing == "chunked" else b""

    @property
    def wire(self) -> bytes:
        """All of it."""
        return b"".join([self.head, *map(self.framed, self.pieces), self.tail])


def json_reply(value: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Reply:
    """An answer in JSON."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status, (("content-type", "application/json"), *headers), (body,))


def stream_reply(events: Sequence[bytes]) -> Reply:
    """An answer as a stream of events."""
    return Reply(200, (("content-type", "text/event-stream; charset=utf-8"),), tuple(events), "chunked")


def data(value: Any) -> bytes:
    """An event without a name."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def event(value: Any) -> bytes:
    """An event with the name that its data have as `type`."""
    return f"event: {value['type']}\n".encode() + data(value)


DONE = b"data: [DONE]\n\n"


def reply_to(path: str, body: bytes, words: Sequence[str] = WORDS, models: Sequence[str] = ("tiny",)) -> Reply:
    """What a sound engine answers that says `words` and serves `models`."""
    path = path.partition("?")[0]
    asked = _read(body)
    if path.endswith("/models"):
        return json_reply({"object": "list", "data": [{"id": id, "object": "model"} for id in models]})
    model, streams = asked.get("model", "?"), asked.get("stream") is True
    if path.endswith("/chat/completions"):
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        return stream_reply([*_chat_events(model, words, usage), DONE]) if streams else json_reply(_chat(model, words))
    if path.endswith("/completions"):
        return stream_reply([*_text_events(model, words), DONE]) if streams else json_reply(_text(model, words))
    if path.endswith("/responses"):
        return stream_reply(list(_response_events(model, words))) if streams else json_reply(_response(model, words))
    if path.endswith("/messages"):
        return stream_reply(list(_message_events(model, words))) if streams else json_reply(_message(model, words))
    if path.endswith("/embeddings"):
        return json_reply(_embeddings(model, asked.get("input")))
    return json_reply({"error": {"message": f"no route {path}", "type": "invalid_request_error"}}, 404)


def _read(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _chat_usage(words: Sequence[str]) -> dict[str, int]:
    spoken = len(words)
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": spoken, "total_tokens": PROMPT_TOKENS + spoken}


def _chat(model: str, words: Sequence[str]) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(words), "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _chat_usage(words),
    }


def _chat_events(model: str, words: Sequence[str], usage: bool) -> Iterator[bytes]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": model}
    deltas = chain([{"role": "assistant", "content": ""}], ({"content": word} for word in words))
    for delta in deltas:
        yield data({**base, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]})
    yield data({**base, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]})
    if usage:
        yield data({**base, "choices": [], "usage": _chat_usage(words)})


def _text(model: str, words: Sequence[str]) -> dict[str, Any]:
    choice = {"index": 0, "text": "".join(words), "logprobs": None, "finish_reason": "stop"}
    base = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": model}
    return {**base, "choices": [choice], "usage": _chat_usage(words)}


def _text_events(model: str, words: Sequence[str]) -> Iterator[bytes]:
    base = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": model}
    for number, word in enumerate(words, 1):
        reason = "stop" if number == len(words) else None
        yield data({**base, "choices": [{"index": 0, "text": word, "logprobs": None, "finish_reason": reason}]})


def _embeddings(model: str, asked: Any) -> dict[str, Any]:
    texts = asked if isinstance(asked, list) else [asked]
    found = [{"object": "embedding", "index": index, "embedding": [0.5, -0.5]} for index, _ in enumerate(texts)]
    usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
    return {"object": "list", "data": found, "model": model, "usage": usage}


def _message(model: str, words: Sequence[str]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "".join(words)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": len(words)},
    }


def _message_events(model: str, words: Sequence[str]) -> Iterator[bytes]:
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": 1}
    start = {**_message(model, ()), "content": [], "stop_reason": None, "usage": usage}
    yield event({"type": "message_start", "message": start})
    yield event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    yield event({"type": "ping"})
    for word in words:
        yield event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
    yield event({"type": "content_block_stop", "index": 0})
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": len(words)}})
    yield event({"type": "message_stop"})


def _response(model: str, words: Sequence[str], *, completed: bool = True) -> dict[str, Any]:
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    tokens = {"input_tokens": PROMPT_TOKENS, "output_tokens": len(words), "total_tokens": PROMPT_TOKENS + len(words)}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed" if completed else "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [_response_item(words)] if completed else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {**tokens, **details} if completed else None,
    }


def _response_item(words: Sequence[str], *, completed: bool = True) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "".join(words), "annotations": []}] if completed else []
    status = "completed" if completed else "in_progress"
    return {"id": "item_1", "type": "message", "role": "assistant", "status": status, "content": content}


def _response_events(model: str, words: Sequence[str]) -> Iterator[bytes]:
    begun, part = _response(model, words, completed=False), {"type": "output_text", "text": "", "annotations": []}
    where = {"item_id": "item_1", "output_index": 0, "content_index": 0}
    done = {**part, "text": "".join(words)}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": _response_item(words, completed=False)},
        {"type": "response.content_part.added", **where, "part": part},
        *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **where, "text": "".join(words), "logprobs": []},
        {"type": "response.content_part.done", **where, "part": done},
        {"type": "response.output_item.done", "output_index": 0, "item": _response_item(words)},
        {"type": "response.completed", "response": _response(model, words)},
    ]
    for number, one in enumerate(events):
        yield event({**one, "sequence_number": number})
