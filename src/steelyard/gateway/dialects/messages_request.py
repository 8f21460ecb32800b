"""Requests of Anthropic's messages: read from a client.

The fields are those of https://platform.claude.com/docs/en/api/messages/create; `docs/dialects.md` says what becomes of
each.
"""

from typing import Any

import orjson

from steelyard.gateway.dialects import media
from steelyard.gateway.dialects.form import (
    At,
    Json,
    Request,
    Turn,
    a_count,
    a_dict,
    a_list,
    a_number,
    a_text,
    given,
    only_known,
    refuse,
    wrong,
)

_NUMBERS = frozenset({"temperature", "top_p", "top_k"})
# Hints for caches: the answer is the same without them.
_HINTS = frozenset({"cache_control"})
_READ = frozenset(
    {"model", "messages", "max_tokens", "system", "stream", "stop_sequences", "tools", "tool_choice", "metadata"}
    | {"thinking", "output_config", "service_tier"}
)
_OFF: dict[str, tuple[Any, ...]] = {
    "container": (),
    "mcp_servers": ([],),
    # To keep all thoughts is to edit nothing.
    "context_management": ({"edits": []}, {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}),
    "diagnostics": (),
    "inference_geo": (),
    "speed": ("standard",),
    "user_profile_id": (),
    "workspace_id": (),
}
_MENDS = {
    "container": "the upstream's API has no containers; leave it out",
    "mcp_servers": "the upstream's API calls no MCP servers; give it their tools as `tools`",
    "context_management": "the upstream's API does not edit the context; shorten `messages` yourself",
    "diagnostics": "the upstream's API has no diagnostics; leave it out",
    "inference_geo": "the upstream's API cannot promise where it runs; leave it out",
    "speed": "the upstream's API has no fast mode; leave it out",
    "user_profile_id": "the upstream's API has no user profiles; leave it out",
    "workspace_id": "the upstream's API has no such workspaces; leave it out",
}
_FIELDS = _NUMBERS | _HINTS | _READ | _OFF.keys()

_MESSAGE = frozenset({"role", "content"})
_BLOCKS = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "cache_control", "citations", "context", "title"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
}
_TOOL = frozenset(
    {"type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming"}
    | {"defer_loading", "allowed_callers", "input_examples"}
)
_TIERS = {"auto": "auto", "standard_only": "default"}
_NAMES: dict[str, At] = {
    "stop": ("body", "stop_sequences"),
    "user": ("body", "metadata", "user_id"),
    "effort": ("body", "output_config", "effort"),
}


def read(body: Json) -> Request:
    """A client's request. Raises InvalidInput for what no other dialect could carry."""
    body = given(body)
    only_known(body, _FIELDS, ("body",))
    for name in body.keys() & _OFF.keys():
        if body[name] not in _OFF[name]:
            raise refuse(("body", name), _MENDS[name])
    request = Request(body.get("model"), _NAMES)
    options = request.options
    if "max_tokens" not in body:
        raise refuse(("body", "max_tokens"), "is required by this API: how many tokens the answer may have", "missing")
    options["max_tokens"] = a_count(body["max_tokens"], ("body", "max_tokens"))
    for name in body.keys() & _NUMBERS:
        options[name] = a_number(body[name], ("body", name))
    if stop := body.get("stop_sequences"):
        options["stop"] = a_list(stop, ("body", "stop_sequences"))
    _read_rest(body, request)
    turns = request.turns
    if system := body.get("system"):
        turns.append(Turn("system", _read_content(system, ("body", "system")), ("body", "system")))
    for index, message in enumerate(a_list(body.get("messages"), ("body", "messages"))):
        turns.append(_read_message(message, ("body", "messages", index)))
    if turns and turns[-1].role == "assistant":
        raise refuse(turns[-1].at, "an answer cannot be begun for the upstream's API; end with a message of the user's")
    return request


def _read_rest(body: Json, request: Request) -> None:
    options = request.options
    request.stream = body.get("stream") is True
    if "metadata" in body:
        metadata = given(a_dict(body["metadata"], ("body", "metadata")))
        only_known(metadata, frozenset({"user_id"}), ("body", "metadata"))
        if "user_id" in metadata:
            options["user"] = a_text(metadata["user_id"], ("body", "metadata", "user_id"))
    if "service_tier" in body:
        tier = a_text(body["service_tier"], ("body", "service_tier"))
        if tier not in _TIERS:
            raise refuse(("body", "service_tier"), "must be auto or standard_only")
        options["service_tier"] = _TIERS[tier]
    if "tools" in body:
        tools = a_list(body["tools"], ("body", "tools"))
        request.tools = [_read_tool(tool, ("body", "tools", index)) for index, tool in enumerate(tools)]
    if "tool_choice" in body:
        _read_choice(a_dict(body["tool_choice"], ("body", "tool_choice")), request)
    if "output_config" in body:
        _read_output(given(a_dict(body["output_config"], ("body", "output_config"))), request)
    if "thinking" in body:
        _read_thinking(given(a_dict(body["thinking"], ("body", "thinking"))), options)


def _read_output(config: Json, request: Request) -> None:
    at = ("body", "output_config")
    only_known(config, frozenset({"effort", "format"}), at)
    if "effort" in config:
        request.options["effort"] = a_text(config["effort"], (*at, "effort"))
    if "format" in config:
        format = a_dict(config["format"], (*at, "format"))
        only_known(format, frozenset({"type", "schema"}), (*at, "format"))
        if format.get("type") != "json_schema":
            raise refuse((*at, "format", "type"), "must be json_schema")
        schema = a_dict(format.get("schema"), (*at, "format", "schema"))
        request.format = {"name": "answer", "schema": schema, "strict": True, "at": (*at, "format")}


def _read_thinking(thinking: Json, options: Json) -> None:
    """Budgets become efforts by their size; what thoughts look like (`display`) the upstream decides."""
    at = ("body", "thinking")
    only_known(thinking, frozenset({"type", "budget_tokens", "display"}), at)
    kind = thinking.get("type")
    if kind == "disabled":
        options["effort"] = "none"
    elif kind == "enabled":
        budget = a_count(thinking.get("budget_tokens"), (*at, "budget_tokens"))
        if budget >= options["max_tokens"]:
            raise refuse((*at, "budget_tokens"), "must be less than `max_tokens`")
        options.setdefault("effort", "low" if budget <= 4096 else "medium" if budget <= 16384 else "high")
    elif kind != "adaptive":
        raise refuse((*at, "type"), "must be enabled, adaptive or disabled to be translated")


def _read_message(value: Any, at: At) -> Turn:
    message = a_dict(value, at)
    only_known(message, _MESSAGE, at)
    role = message.get("role")
    if role not in ("user", "assistant", "system"):
        raise wrong((*at, "role"), "user, assistant or system")
    return Turn(role, _read_content(message.get("content"), (*at, "content")), at)


def _read_content(content: Any, at: At) -> list[Json]:
    if isinstance(content, str):
        return [{"kind": "text", "text": content, "at": at}] if content else []
    if not isinstance(content, list):
        raise wrong(at, "a string or a list of blocks")
    parts: list[Json] = []
    for index, block in enumerate(content):
        _read_block(block, (*at, index), parts)
    return parts


def _read_block(value: Any, at: At, parts: list[Json]) -> None:
    block = a_dict(value, at)
    kind = block.get("type")
    known = _BLOCKS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise refuse((*at, "type"), f"blocks of the type {kind} cannot be translated; leave it out, or send text")
    only_known(block, known, at)
    if kind == "text":
        # Citations say where a text came from; the text is the same without them.
        parts.append({"kind": "text", "text": a_text(block.get("text"), (*at, "text")), "at": at})
    elif kind == "tool_use":
        parts.append(_read_call(block, at))
    elif kind == "tool_result":
        content = block.get("content")
        inside = [] if content is None else _read_content(content, (*at, "content"))
        id = a_text(block.get("tool_use_id"), (*at, "tool_use_id"))
        parts.append({"kind": "result", "id": id, "parts": inside, "error": bool(block.get("is_error")), "at": at})
    elif kind == "image":
        parts.append(_read_source("image", block, at))
    elif kind == "document":
        _read_document(block, at, parts)
    else:
        parts.append(media.read_thinking(block, at))


def _read_call(block: Json, at: At) -> Json:
    if block.get("caller") not in (None, {"type": "direct"}):
        raise refuse((*at, "caller"), "only calls by the model itself can be translated")
    return {
        "kind": "call",
        "id": a_text(block.get("id"), (*at, "id")),
        "name": a_text(block.get("name"), (*at, "name")),
        "arguments": orjson.dumps(a_dict(block.get("input"), (*at, "input"))).decode(),
        "at": at,
    }


def _read_source(kind: str, block: Json, at: At) -> Json:
    where = (*at, "source")
    source = a_dict(block.get("source"), where)
    if source.get("type") == "base64":
        data = a_text(source.get("data"), (*where, "data"))
        return {"kind": kind, "media_type": a_text(source.get("media_type"), where), "data": data, "at": where}
    if source.get("type") == "url":
        return media.by_url(kind, a_text(source.get("url"), (*where, "url")), (*where, "url"))
    raise refuse((*where, "type"), "the upstream does not have this file; send its bytes (base64) or a URL")


def _read_document(block: Json, at: At, parts: list[Json]) -> None:
    if (a_dict(block.get("citations") or {}, (*at, "citations"))).get("enabled"):
        raise refuse((*at, "citations"), "the upstream's API does not cite; leave it out")
    if context := block.get("context"):
        parts.append({"kind": "text", "text": a_text(context, (*at, "context")), "at": (*at, "context")})
    source = a_dict(block.get("source"), (*at, "source"))
    if source.get("type") == "text":
        part: Json = {"kind": "file", "text": a_text(source.get("data"), (*at, "source", "data")), "at": at}
    elif source.get("type") == "content":
        if title := block.get("title"):
            parts.append({"kind": "text", "text": a_text(title, (*at, "title")), "at": (*at, "title")})
        parts.extend(_read_content(source.get("content"), (*at, "source", "content")))
        return
    else:
        part = _read_source("file", block, at)
    if title := block.get("title"):
        part["name"] = a_text(title, (*at, "title"))
    parts.append(part)


def _read_tool(value: Any, at: At) -> Json:
    tool = given(a_dict(value, at))
    if tool.get("type", "custom") != "custom":
        raise refuse((*at, "type"), f"{tool['type']} is a tool of Anthropic's own servers; give a tool with a schema")
    only_known(tool, _TOOL, at)
    for name, off in (("defer_loading", False), ("allowed_callers", ["direct"]), ("input_examples", [])):
        if tool.get(name, off) != off:
            raise refuse((*at, name), "the upstream's API has nothing like it; leave it out")
    made: Json = {"name": a_text(tool.get("name"), (*at, "name"))}
    if "description" in tool:
        made["description"] = a_text(tool["description"], (*at, "description"))
    made["parameters"] = a_dict(tool.get("input_schema"), (*at, "input_schema"))
    if "strict" in tool:
        made["strict"] = tool["strict"]
    return made


def _read_choice(choice: Json, request: Request) -> None:
    at = ("body", "tool_choice")
    only_known(choice, frozenset({"type", "name", "disable_parallel_tool_use"}), at)
    kind = choice.get("type")
    if kind == "tool":
        request.choice = ("tool", a_text(choice.get("name"), (*at, "name")))
    elif kind in ("auto", "none"):
        request.choice = str(kind)
    elif kind == "any":
        request.choice = "required"
    else:
        raise wrong((*at, "type"), "auto, any, tool or none")
    if choice.get("disable_parallel_tool_use"):
        request.parallel = False
