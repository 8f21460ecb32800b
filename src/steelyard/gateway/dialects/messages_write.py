"""Requests of Anthropic's messages: written for an upstream, from what OpenAI's clients sent."""

import re
from typing import Any

import orjson

from steelyard.gateway.dialects import media
from steelyard.gateway.dialects.counts import id_of
from steelyard.gateway.dialects.form import Json, Request, Turn, a_text, refuse

# The API wants a limit from everybody; OpenAI's clients need not give one.
MAX_TOKENS = 4096

_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_TIERS = {"auto": "auto", "default": "standard_only"}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
# Models before Claude 4.6 know budgets only, later ones efforts only.
_OLDER = re.compile(r"claude-(?:[123]|instant|(?:opus|sonnet|haiku)-(?:3|4(?!\d)(?![-.](?:[6-9]|[1-9]\d)(?!\d))))")
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 49152}
_LEAST = 1024

# Options that mean nothing for the answer.
_HINTS = frozenset({"prompt_cache_key", "safety_identifier", "user"})
_MENDS = {
    "seed": "the upstream's API cannot repeat an answer; leave it out",
    "frequency_penalty": "the upstream's API has no such penalty; leave it out",
    "presence_penalty": "the upstream's API has no such penalty; leave it out",
    "logit_bias": "the upstream's API cannot bias tokens; leave it out",
    "verbosity": "the upstream's API has no such setting; say in the prompt how long the answer shall be",
}
_OFF: dict[str, tuple[Any, ...]] = {"frequency_penalty": (0,), "presence_penalty": (0,), "verbosity": ("medium",)}


def write(request: Request) -> Json:
    """The request for an upstream that speaks messages. Raises InvalidInput for what it cannot carry."""
    options = request.options
    body: Json = {"model": request.model, "max_tokens": options.get("max_tokens", MAX_TOKENS)}
    _write_turns(request, body)
    _write_options(request, body)
    if user := options.get("safety_identifier") or options.get("user"):
        body["metadata"] = {"user_id": user}
    _write_tools(request, body)
    if request.format is not None:
        body["output_config"] = {"format": _write_format(request.format)}
    if "effort" in options or options.get("summary"):
        _write_effort(request, body)
    if request.stream:
        body["stream"] = True
    return body


def _write_options(request: Request, body: Json) -> None:
    # Newer models take no sampling any more; to say what is the default anyhow must not cost an error.
    newer = isinstance(request.model, str) and "claude" in request.model and not _OLDER.search(request.model)
    for name, value in request.options.items():
        if name in ("temperature", "top_p", "top_k"):
            if name == "temperature" and value > 1:
                raise refuse(request.at(name), "must not be over 1 for the upstream's API, which ends there")
            if value != 1 or name == "top_k" or not newer:
                body[name] = value
        elif name == "stop":
            body["stop_sequences"] = value
        elif name == "service_tier":
            if value not in _TIERS:
                raise refuse(request.at(name), "must be auto or default; the upstream's API has no other tiers")
            body[name] = _TIERS[value]
        elif name in _MENDS and value not in _OFF.get(name, ()):
            raise refuse(request.at(name), _MENDS[name])
        elif name not in _MENDS and name not in _HINTS and name not in ("max_tokens", "effort", "summary"):
            raise refuse(request.at(name), "the upstream's API has nothing like it; leave it out")


def _write_effort(request: Request, body: Json) -> None:
    effort = request.options.get("effort")
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
        return
    if effort is not None and effort not in _EFFORTS:
        raise refuse(request.at("effort"), "must be none, minimal, low, medium, high, xhigh or max")
    if isinstance(request.model, str) and _OLDER.search(request.model):
        if effort is None:
            return
        budget = _BUDGETS[effort]
        if "max_tokens" not in request.options:
            body["max_tokens"] = budget + MAX_TOKENS
        elif body["max_tokens"] <= _LEAST:
            raise refuse(
                request.at("max_tokens"), f"must be over {_LEAST} where the upstream's model thinks: thoughts count"
            )
        body["thinking"] = {"type": "enabled", "budget_tokens": min(budget, body["max_tokens"] - 1)}
        return
    body["thinking"] = {"type": "adaptive"}
    if request.options.get("summary"):
        body["thinking"]["display"] = "summarized"
    if effort is not None:
        body.setdefault("output_config", {})["effort"] = _EFFORTS[effort]


def _write_format(format: Json) -> Json:
    if "schema" not in format:
        raise refuse(format["at"], "the upstream's API has no such mode; send a json_schema")
    schema = format["schema"]
    if "description" in format and "description" not in schema:
        schema = {**schema, "description": format["description"]}
    return {"type": "json_schema", "schema": schema}


def _write_tools(request: Request, body: Json) -> None:
    if not request.tools:
        return
    body["tools"] = [_write_tool(tool) for tool in request.tools]
    choice = request.choice
    made: Json | None = None
    if isinstance(choice, tuple):
        made = {"type": "tool", "name": choice[1]}
    elif choice is not None:
        made = {"type": "any" if choice == "required" else choice}
    if request.parallel is False and choice != "none":
        made = {**(made or {"type": "auto"}), "disable_parallel_tool_use": True}
    if made is not None:
        body["tool_choice"] = made


def _write_tool(tool: Json) -> Json:
    made: Json = {"name": tool["name"]}
    if "description" in tool:
        made["description"] = tool["description"]
    schema = tool.get("parameters") or {"type": "object", "properties": {}}
    made["input_schema"] = schema if "type" in schema else {"type": "object", **schema}
    if tool.get("strict"):
        made["strict"] = True
    return made


def _write_turns(request: Request, body: Json) -> None:
    """Turns of one side that follow each other become one, as the API wants it; those that say nothing are left out."""
    system: list[Json] = []
    messages: list[Json] = []
    last: Turn | None = None
    for turn in request.turns:
        if turn.role == "system":
            if messages:
                raise refuse(
                    turn.at, "instructions must stand before all other messages for the upstream's API; move them there"
                )
            system += [_write_text(part) for part in turn.parts if part.get("text") != ""]
            continue
        blocks = _write_parts(turn)
        if not blocks:
            continue
        last = turn
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": turn.role, "content": blocks})
    if last is None:
        raise refuse(("body", "messages"), "must hold at least one message that says something")
    if last.role == "assistant":
        raise refuse(
            last.at, "must not be the last; the upstream's API would go on with its text; add a user's message"
        )
    for message in messages:
        content = message["content"]
        if len(content) == 1 and content[0]["type"] == "text":
            message["content"] = content[0]["text"]
    if system:
        body["system"] = system[0]["text"] if len(system) == 1 else system
    body["messages"] = messages


def _write_parts(turn: Turn) -> list[Json]:
    return [_write_part(part, turn.role) for part in turn.parts if _says(part)]


def _says(part: Json) -> bool:
    kind = part["kind"]
    if kind in ("text", "refusal"):
        return bool(part["text"])
    # Thoughts without the seal of their maker are refused by the API, and it needs none of earlier turns.
    return kind != "reasoning" or "data" in part or bool(part["signature"])


def _write_text(part: Json) -> Json:
    if part["kind"] != "text":
        raise refuse(part["at"], f"the upstream's API takes no {part['kind']} in its instructions; send text")
    return {"type": "text", "text": part["text"]}


def _write_part(part: Json, role: str) -> Json:
    kind = part["kind"]
    if kind in ("text", "refusal"):
        return {"type": "text", "text": part["text"]}
    if kind == "call":
        return {"type": "tool_use", "id": id_of(part["id"]), "name": part["name"], "input": _arguments(part)}
    if kind == "result":
        made: Json = {"type": "tool_result", "tool_use_id": id_of(part["id"])}
        inside = [_write_part(inner, "user") for inner in part["parts"] if _says(inner)]
        if inside:
            made["content"] = inside[0]["text"] if len(inside) == 1 and inside[0]["type"] == "text" else inside
        if part["error"]:
            made["is_error"] = True
        return made
    if kind == "reasoning":
        return media.thinking_block(part)
    if role == "assistant":
        raise refuse(part["at"], f"the upstream's API takes no {kind} from the assistant; send it as the user")
    return _write_image(part) if kind == "image" else _write_file(part)


def _arguments(part: Json) -> Json:
    text = part["arguments"]
    if not text.strip():
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise refuse(part["at"], "must be a JSON object for the upstream's API")
    return found


def _write_image(part: Json) -> Json:
    if part.get("detail") not in (None, "auto", "high", "original"):
        raise refuse((*part["at"][:-1], "detail"), "the upstream's API reads pictures in full; leave it out")
    if "url" in part:
        return {"type": "image", "source": {"type": "url", "url": part["url"]}}
    if part["media_type"] not in _PICTURES:
        raise refuse(part["at"], "must be a JPEG, PNG, GIF or WebP for the upstream's API")
    return {"type": "image", "source": {"type": "base64", "media_type": part["media_type"], "data": part["data"]}}


def _write_file(part: Json) -> Json:
    if "url" in part:
        source = {"type": "url", "url": part["url"]}
    elif part["media_type"] == media.PDF:
        source = {"type": "base64", "media_type": media.PDF, "data": part["data"]}
    else:
        raise refuse(part["at"], "must be a PDF for the upstream's API; send text as text")
    made: Json = {"type": "document", "source": source}
    if name := part.get("name"):
        made["title"] = a_text(name, part["at"])
    return made
