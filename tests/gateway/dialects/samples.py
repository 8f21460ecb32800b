"""What upstreams of each dialect answer, whole and as streams of the same meaning."""

from typing import Any

import orjson

from steelyard.gateway.sse import blocks

Json = dict[str, Any]


def chat(message: Json, finish: str = "stop", **more: Any) -> Json:
    """A chat completion as an upstream answers it."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "logprobs": None}
    usage = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
    usage_details = {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    return {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "upstream-model",
        "choices": [choice],
        "usage": usage | usage_details,
        **more,
    }


def message(content: list[Json], stop: str = "end_turn", **more: Any) -> Json:
    """A message as an upstream answers it."""
    return {
        "id": "msg_abc",
        "type": "message",
        "role": "assistant",
        "model": "upstream-model",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 14,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 4,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 3},
        },
        **more,
    }


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}}
SIGNED = {"type": "thinking", "thinking": "They want weather.", "signature": "c2lnbmVk"}
SEALED = {"type": "redacted_thinking", "data": "c2VhbGVk"}

CHATS = {
    "text": chat({"content": "Grüße, 世界 🌍"}),
    "limit": chat({"content": "Cut o"}, "length"),
    "filtered": chat({"content": "I"}, "content_filter"),
    "refusal": chat({"content": None, "refusal": "I cannot do that."}),
    "call": chat({"content": None, "tool_calls": [CALL]}, "tool_calls"),
    "reasoning": chat({"content": "Sunny.", "reasoning_content": "They want weather."}),
    "all": chat(
        {"content": "Let me look.", "reasoning": "Look it up.", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
        "tool_calls",
    ),
    "empty": chat({"content": ""}),
}
MESSAGES = {
    "text": message([{"type": "text", "text": "Grüße, 世界 🌍"}]),
    "limit": message([{"type": "text", "text": "Cut o"}], "max_tokens"),
    "sequence": message([{"type": "text", "text": "One"}], "stop_sequence", stop_sequence="END"),
    "refused": message(
        [{"type": "text", "text": "I"}],
        "refusal",
        stop_details={"type": "refusal", "category": "bio", "explanation": "This could do harm."},
    ),
    "call": message([USE], "tool_use"),
    "reasoning": message([SIGNED, {"type": "text", "text": "Sunny."}]),
    "sealed": message([SEALED, {"type": "text", "text": "Sunny."}]),
    "all": message(
        [SIGNED, {"type": "text", "text": "Let me look."}, USE, {**USE, "id": "toolu_2"}],
        "tool_use",
    ),
    "empty": message([]),
}


def event(data: Json, name: str | None = None) -> bytes:
    """One event as it stands in a stream."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def chat_stream(answer: Json, *, usage: bool = True, size: int = 3) -> list[bytes]:
    """The chunks of which a chat completion comes, with text in pieces of `size` characters."""
    said = answer["choices"][0]["message"]
    finish = answer["choices"][0]["finish_reason"]
    head = {"id": answer["id"], "object": "chat.completion.chunk", "created": answer["created"], "model": "x"}

    def chunk(delta: Json, reason: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    made = [chunk({"role": "assistant", "content": ""})]
    for name in ("reasoning", "reasoning_content", "content", "refusal"):
        made += [chunk({name: piece}) for piece in _pieces(said.get(name) or "", size)]
    for index, call in enumerate(said.get("tool_calls") or ()):
        begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        made.append(chunk({"tool_calls": [begun]}))
        for piece in _pieces(call["function"]["arguments"], size):
            made.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    made.append(chunk({}, finish))
    if usage:
        made.append(event({**head, "choices": [], "usage": answer["usage"]}))
    return [*made, b"data: [DONE]\n\n"]


def message_stream(answer: Json, *, size: int = 3) -> list[bytes]:
    """The events of which a message comes."""
    begun = {**answer, "content": [], "stop_reason": None, "usage": {**answer["usage"], "output_tokens": 1}}
    begun.pop("stop_details", None)
    made = [event({"type": "message_start", "message": begun}, "message_start"), event({"type": "ping"}, "ping")]
    for index, block in enumerate(answer["content"]):
        made += _block(index, block, size)
    ended = {name: answer[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in answer}
    made.append(
        event(
            {"type": "message_delta", "delta": ended, "usage": {"output_tokens": answer["usage"]["output_tokens"]}},
            "message_delta",
        )
    )
    return [*made, event({"type": "message_stop"}, "message_stop")]


def _block(index: int, block: Json, size: int) -> list[bytes]:
    kind = block["type"]
    empty: Json = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    start = {"type": "content_block_start", "index": index, "content_block": {**block, **empty.get(kind, {})}}
    made = [event(start, "content_block_start")]

    def delta(fields: Json) -> bytes:
        return event({"type": "content_block_delta", "index": index, "delta": fields}, "content_block_delta")

    if kind == "text":
        made += [delta({"type": "text_delta", "text": piece}) for piece in _pieces(block["text"], size)]
    elif kind == "thinking":
        made += [delta({"type": "thinking_delta", "thinking": piece}) for piece in _pieces(block["thinking"], size)]
        made.append(delta({"type": "signature_delta", "signature": block["signature"]}))
    elif kind == "tool_use":
        made.append(delta({"type": "input_json_delta", "partial_json": ""}))
        text = orjson.dumps(block["input"]).decode()
        made += [delta({"type": "input_json_delta", "partial_json": piece}) for piece in _pieces(text, size)]
    return [*made, event({"type": "content_block_stop", "index": index}, "content_block_stop")]


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def events(data: bytes) -> list[Json]:
    """The objects in the events of a stream, `[DONE]` as {"done": True}."""
    found = []
    for block in blocks(data):
        line = next(line for line in block.splitlines() if line.startswith(b"data: "))
        found.append({"done": True} if line == b"data: [DONE]" else orjson.loads(line[6:]))
    return found
