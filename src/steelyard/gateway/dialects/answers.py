"""Whole answers: read from an upstream, written for a client."""

from typing import Any

import orjson

from steelyard.gateway.dialects import counts, media
from steelyard.gateway.dialects.counts import bad, explanation, id_of, settled
from steelyard.gateway.dialects.form import Answer, Json, Stop


def read_chat(body: Json) -> Answer:
    """The answer in a chat completion. Raises BadUpstreamAnswer."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise bad("it has no choices")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise bad("its choice has no message")
    said = choice.get("finish_reason")
    if not isinstance(said, str):
        raise bad("it does not say why it ends (finish_reason)")
    stop = counts.stop_of(counts.CHAT_STOPS, said)
    parts = _read_chat_message(message, stop)
    stop = settled(stop, any(part["kind"] == "call" for part in parts))
    # Engines name the sequence that they stopped at here; OpenAI does not say it.
    sequence = choice.get("stop_reason") if stop == "stop" else None
    if isinstance(sequence, str):
        stop = "sequence"
    created = body.get("created")
    return Answer(
        body.get("id") or "",
        created if isinstance(created, int) else None,
        parts,
        stop,
        sequence if isinstance(sequence, str) else None,
        counts.chat_usage(body.get("usage")),
    )


def _read_chat_message(message: Json, stop: Stop) -> list[Json]:
    parts: list[Json] = []
    if blocks := message.get("thinking_blocks"):
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            raise bad("its thinking_blocks are no list of blocks")
        parts += [_thoughts(block) for block in blocks]
    else:
        thoughts = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thoughts, str) and thoughts:
            parts.append({"kind": "reasoning", "text": thoughts, "signature": ""})
    content = message.get("content")
    if isinstance(content, list):
        content = "".join([_text_of(part) for part in content])
    if content is not None and not isinstance(content, str):
        raise bad("its content is no text")
    if content:
        parts.append({"kind": "text", "text": content})
    if (refusal := message.get("refusal")) and isinstance(refusal, str):
        parts.append({"kind": "refusal", "text": refusal})
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise bad("its tool_calls are no list")
    parts += map(_read_chat_call, calls)
    if stop == "length" and parts and parts[-1]["kind"] == "call" and _arguments(parts[-1]["arguments"]) is None:
        # The limit cut the call: there is nothing that could be called.
        parts.pop()
    return parts


def _thoughts(block: Json) -> Json:
    if "data" in block:
        return {"kind": "reasoning", "data": str(block["data"])}
    return {"kind": "reasoning", "text": str(block.get("thinking", "")), "signature": str(block.get("signature") or "")}


def _text_of(part: Any) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise bad("its content has parts that are no text")


def _read_chat_call(call: Any) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise bad("it calls a tool without a name")
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = orjson.dumps(arguments).decode()
    if not isinstance(arguments, str | None):
        raise bad("it calls a tool with arguments that are no text")
    id = call.get("id")
    id = id if isinstance(id, str) and id else counts.new_id("call_")
    return {"kind": "call", "id": id, "name": function["name"], "arguments": arguments or ""}


def read_messages(body: Json) -> Answer:
    """The answer in a message. Raises BadUpstreamAnswer."""
    content = body.get("content")
    if not isinstance(content, list):
        raise bad("it has no content")
    said = body.get("stop_reason")
    if not isinstance(said, str):
        raise bad("it does not say why it ends (stop_reason)")
    if said == "pause_turn":
        raise bad("it is not done yet (pause_turn)")
    parts = [part for part in map(_read_block, content) if part is not None]
    stop = settled(counts.stop_of(counts.MESSAGES_STOPS, said), any(part["kind"] == "call" for part in parts))
    if explained := explanation(body.get("stop_details")):
        parts.append({"kind": "refusal", "text": explained})
    return Answer(
        body.get("id") or "",
        None,
        parts,
        stop,
        body.get("stop_sequence") if stop == "sequence" else None,
        counts.messages_usage(body.get("usage")),
    )


def _read_block(block: Any) -> Json | None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "text" and isinstance(block.get("text"), str):
        return {"kind": "text", "text": block["text"]} if block["text"] else None
    if kind == "tool_use" and isinstance(block.get("name"), str) and isinstance(block.get("input"), dict):
        id = block.get("id") or counts.new_id("toolu_")
        return {"kind": "call", "id": id, "name": block["name"], "arguments": orjson.dumps(block["input"]).decode()}
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        return {"kind": "reasoning", "text": block["thinking"], "signature": str(block.get("signature") or "")}
    if kind == "redacted_thinking" and isinstance(block.get("data"), str):
        return {"kind": "reasoning", "data": block["data"]}
    raise bad(f"it has a block of the type {kind} that is not understood")


def write_chat(answer: Answer, model: str, request: Json | None) -> Json:
    """The answer as a chat completion."""
    del request
    said = "".join([part["text"] for part in answer.parts if part["kind"] == "text"])
    refusals = [part["text"] for part in answer.parts if part["kind"] == "refusal"]
    calls = [part for part in answer.parts if part["kind"] == "call"]
    thoughts = [part for part in answer.parts if part["kind"] == "reasoning"]
    message: Json = {"role": "assistant", "content": said or (None if calls or refusals else "")}
    message["refusal"] = "\n".join(refusals) or None
    if thoughts:
        message["reasoning_content"] = "\n\n".join([part["text"] for part in thoughts if part.get("text")])
        if any("data" in part or part["signature"] for part in thoughts):
            message["thinking_blocks"] = [media.thinking_block(part) for part in thoughts]
    if calls:
        message["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": counts.TO_CHAT[answer.stop]}
    body: Json = {
        "id": counts.new_id("chatcmpl-", answer.id),
        "object": "chat.completion",
        "created": answer.created if answer.created is not None else counts.now(),
        "model": model,
        "choices": [choice],
    }
    if answer.usage is not None:
        body["usage"] = counts.write_chat(answer.usage)
    return body


def write_messages(answer: Answer, model: str, request: Json | None) -> Json:
    """The answer as a message. Raises BadUpstreamAnswer where a call's arguments are no object."""
    del request
    return {
        "id": counts.new_id("msg_", answer.id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [_write_block(part) for part in answer.parts],
        "stop_reason": "refusal" if _refused(answer) else counts.TO_MESSAGES[answer.stop],
        "stop_sequence": answer.sequence,
        "usage": counts.write_messages(answer.usage),
    }


def _refused(answer: Answer) -> bool:
    return answer.stop == "stop" and any(part["kind"] == "refusal" for part in answer.parts)


def _write_block(part: Json) -> Json:
    kind = part["kind"]
    if kind in ("text", "refusal"):
        return {"type": "text", "text": part["text"]}
    if kind == "reasoning":
        return media.thinking_block(part)
    found = _arguments(part["arguments"])
    if found is None:
        raise bad("it calls a tool with arguments that are no JSON object")
    return {"type": "tool_use", "id": id_of(part["id"]), "name": part["name"], "input": found}


def _arguments(text: str) -> Json | None:
    if not text.strip():
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
