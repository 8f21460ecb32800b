"""Requests of OpenAI's chat completions: written for an upstream, from what clients of other dialects sent."""

import re

from steelyard.gateway.dialects import media
from steelyard.gateway.dialects.form import Json, Request, Turn, refuse

# OpenAI's own newer models refuse `max_tokens`; most other servers know nothing else.
_NEWER = re.compile(r"(?:^|/)(?:o\d|gpt-[5-9]|gpt-\d\d)")


def write(request: Request) -> Json:
    """The request for an upstream that speaks chat completions. Raises InvalidInput for what it cannot carry."""
    body: Json = {"model": request.model, "messages": _write_turns(request.turns)}
    for name, value in request.options.items():
        if name == "effort":
            body["reasoning_effort"] = value
        elif name == "max_tokens":
            newer = isinstance(request.model, str) and _NEWER.search(request.model)
            body["max_completion_tokens" if newer else "max_tokens"] = value
        elif name != "summary":
            body[name] = value
    if request.tools:
        body["tools"] = [{"type": "function", "function": tool} for tool in request.tools]
        if request.parallel is not None:
            body["parallel_tool_calls"] = request.parallel
    if isinstance(request.choice, tuple):
        body["tool_choice"] = {"type": "function", "function": {"name": request.choice[1]}}
    elif request.choice is not None and request.tools:
        body["tool_choice"] = request.choice
    if format := request.format:
        schema = {name: value for name, value in format.items() if name != "at"}
        body["response_format"] = (
            {"type": "json_schema", "json_schema": schema} if "schema" in schema else {"type": "json_object"}
        )
    if request.stream:
        # We count what is used, whether the client asked for it or not.
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _write_turns(turns: list[Turn]) -> list[Json]:
    messages: list[Json] = []
    for turn in turns:
        if turn.role == "system":
            if turn.parts:
                messages.append({"role": "system", "content": _only_text(turn.parts)})
        elif turn.role == "assistant":
            messages.append(_write_assistant(turn))
        else:
            _write_user(turn, messages)
    return messages


def _only_text(parts: list[Json]) -> str:
    for part in parts:
        if part["kind"] not in ("text", "refusal"):
            raise refuse(part["at"], f"the upstream's API takes no {part['kind']} here; send text")
    return "\n\n".join([part["text"] for part in parts])


def _write_assistant(turn: Turn) -> Json:
    said: list[str] = []
    thoughts: list[str] = []
    calls: list[Json] = []
    for part in turn.parts:
        kind = part["kind"]
        if kind in ("text", "refusal"):
            said.append(part["text"])
        elif kind == "call":
            function = {"name": part["name"], "arguments": part["arguments"] or "{}"}
            calls.append({"id": part["id"], "type": "function", "function": function})
        elif kind == "reasoning":
            # What is sealed can be read by its maker alone.
            if text := part.get("text"):
                thoughts.append(text)
        else:
            raise refuse(part["at"], f"the upstream's API takes no {kind} from the assistant; send it as the user")
    message: Json = {"role": "assistant", "content": "".join(said) if said or not calls else None}
    if thoughts:
        message["reasoning_content"] = "\n\n".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return message


def _write_user(turn: Turn, messages: list[Json]) -> None:
    """Results come first, since they must follow their calls; pictures in them follow as the user's own words."""
    rest: list[Json] = []
    shown: list[Json] = []
    for part in turn.parts:
        if part["kind"] != "result":
            rest.append(_write_part(part))
            continue
        inside = part["parts"]
        text = "\n\n".join([inner["text"] for inner in inside if inner["kind"] == "text"])
        if part["error"] and text[:5].lower() != "error":
            text = f"Error: {text}" if text else "Error"
        messages.append({"role": "tool", "tool_call_id": part["id"], "content": text})
        if others := [inner for inner in inside if inner["kind"] != "text"]:
            shown.append({"type": "text", "text": f"What the tool call {part['id']} has shown:"})
            shown += [_write_part(inner) for inner in others]
    rest = shown + rest
    if len(rest) == 1 and rest[0]["type"] == "text":
        messages.append({"role": "user", "content": rest[0]["text"]})
    elif rest:
        messages.append({"role": "user", "content": rest})
    elif not turn.parts:
        messages.append({"role": "user", "content": ""})


def _write_part(part: Json) -> Json:
    kind = part["kind"]
    if kind == "text":
        return {"type": "text", "text": part["text"]}
    if kind == "image":
        image = {"url": media.url_of(part)}
        if detail := part.get("detail"):
            image["detail"] = detail
        return {"type": "image_url", "image_url": image}
    if kind == "file":
        return media.write_chat_file(part)
    raise refuse(part["at"], f"the upstream's API takes no {kind} from the user")
