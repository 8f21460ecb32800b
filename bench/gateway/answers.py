"""What the mock upstream answers: ready bytes, whole or as events, in the grammar of each dialect."""

import json
from dataclasses import dataclass
from typing import Any

_TEXT = (
    "A registry keeps the record of every model that a team has, and a gateway that obeys the record makes it worth "
    "keeping. Weights, prompts and providers change; the callers keep one name. What is written to the record is in "
    "force for the next request."
)
_WORDS = tuple(f" registry-{number}" for number in range(8))
_CREATED = 1_790_000_000
# How a whole answer begins; its length and body follow.
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req-bench\r\nContent-Length: "
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"X-Request-Id: req-bench\r\nTransfer-Encoding: chunked\r\n\r\n"
)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Grammar:
    """One dialect: the whole answer, and a stream's first event, the events between (to be taken in turn), and its end.

    Each is framed already: the whole answer with its head, the others as one HTTP chunk. Events differ from the ones
    before: LiteLLM ends a stream that says the same over and over.
    """

    whole: bytes
    first: bytes
    between: tuple[bytes, ...]
    end: bytes
    end_with_usage: bytes


def chat() -> Grammar:
    """OpenAI's chat completions."""
    usage = {"prompt_tokens": 42, "completion_tokens": 48, "total_tokens": 90}
    whole = {
        "id": "chatcmpl-bench0123456789",
        "object": "chat.completion",
        "created": _CREATED,
        "model": "mock",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": usage,
        "system_fingerprint": "fp_bench",
    }

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data(_chat_chunk([choice]))

    last = event({}, "stop")
    done = b"data: [DONE]\n\n"
    return Grammar(
        whole=answer(whole),
        first=chunk(event({"role": "assistant", "content": ""}) + event({"content": "A"})),
        between=tuple(chunk(event({"content": word})) for word in _WORDS),
        end=chunk(last + done) + _LAST,
        end_with_usage=chunk(last + _data({**_chat_chunk([]), "usage": usage}) + done) + _LAST,
    )


def messages() -> Grammar:
    """Anthropic's messages."""
    message: dict[str, Any] = {
        "id": "msg_bench0123456789",
        "type": "message",
        "role": "assistant",
        "model": "mock",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 42, "output_tokens": 1},
    }
    ended = {
        "content": [{"type": "text", "text": _TEXT}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 42,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 48,
            "service_tier": "standard",
        },
    }

    def delta(text: str) -> bytes:
        return _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}})

    start = _event("message_start", {"message": message})
    block = _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    stop = _event("content_block_stop", {"index": 0})
    finish = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 48}}
    end = chunk(stop + _event("message_delta", finish) + _event("message_stop", {})) + _LAST
    return Grammar(
        whole=answer({**message, **ended}),
        first=chunk(start + block + _event("ping", {}) + delta("A")),
        between=tuple(chunk(delta(word)) for word in _WORDS),
        end=end,
        end_with_usage=end,
    )


def listing(ids: list[str]) -> bytes:
    """What GET /v1/models answers."""
    rows = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "bench"} for name in ids]
    return answer({"object": "list", "data": rows})


def answer(body: Any) -> bytes:
    """A whole answer with its head."""
    text = _json(body)
    return _HEAD + str(len(text)).encode() + b"\r\n\r\n" + text


def chunk(content: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


_LAST = b"0\r\n\r\n"


def _chat_chunk(choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-bench0123456789",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": "mock",
        "system_fingerprint": "fp_bench",
        "choices": choices,
    }


def _event(name: str, body: dict[str, Any]) -> bytes:
    return f"event: {name}\n".encode() + _data({"type": name, **body})


def _data(body: Any) -> bytes:
    return b"data: " + _json(body) + b"\n\n"


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
