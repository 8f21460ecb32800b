"""Requests of OpenAI's chat completions: read from a client.

The fields are those of https://platform.openai.com/docs/api-reference/chat/create; `docs/dialects.md` says what becomes
of each.
"""

from typing import Any

from steelyard.gateway.dialects import media
from steelyard.gateway.dialects.form import (
    At,
    Json,
    Request,
    Turn,
    a_count,
    a_dict,
    a_flag,
    a_list,
    a_number,
    a_text,
    given,
    only_known,
    refuse,
    wrong,
)

# They change how fast or how cheaply an answer comes, or where it is kept; never what it says.
_HINTS = frozenset(
    {"metadata", "prediction", "prompt_cache_options", "prompt_cache_retention", "stream_options", "prompt_cache_key"}
)
_CARRIED = frozenset({"user", "safety_identifier", "service_tier", "verbosity"})
_NUMBERS = frozenset({"temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty"})
_READ = frozenset(
    {"model", "messages", "stream", "tools", "tool_choice", "parallel_tool_calls", "response_format", "stop"}
    | {"max_tokens", "max_completion_tokens", "reasoning_effort", "logit_bias"}
)
# Each may say what is the case anyhow.
_OFF: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "store": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "functions": ([],),
    "function_call": (),
    "audio": (),
    "moderation": (),
    "web_search_options": (),
}
_MENDS = {
    "n": "only one choice can be translated; send the request n times",
    "store": "answers are not stored here; leave it out or send false",
    "logprobs": "the upstream's API has no log probabilities; leave it out",
    "top_logprobs": "the upstream's API has no log probabilities; leave it out",
    "modalities": 'only text can be translated; send ["text"] or leave it out',
    "functions": "is deprecated and is not translated; send `tools`",
    "function_call": "is deprecated and is not translated; send `tool_choice`",
    "audio": "the upstream's API has no spoken answers; leave it out",
    "moderation": "the upstream's API does not moderate; leave it out",
    "web_search_options": "the upstream's API has no such search; send a tool of your own",
}
_FIELDS = _HINTS | _CARRIED | _NUMBERS | _READ | _OFF.keys()

_MESSAGE = {
    "system": frozenset({"role", "content"}),
    "developer": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    # Its name is that of the call, which the id names too.
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
    # `reasoning`, `reasoning_content` and `thinking_blocks` are what our own answers, and those of engines, have.
    "assistant": frozenset(
        {"role", "content", "tool_calls", "refusal", "reasoning", "reasoning_content", "thinking_blocks"}
        | {"annotations", "parsed"}
    ),
}
_TEXT = frozenset({"type", "text", "prompt_cache_breakpoint"})
_IMAGE = frozenset({"type", "image_url", "prompt_cache_breakpoint"})
_FILE = frozenset({"type", "file", "prompt_cache_breakpoint"})
_CALL = frozenset({"id", "type", "function", "index"})
_CALLED = frozenset({"name", "arguments", "parsed_arguments"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_FORMAT = frozenset({"name", "description", "schema", "strict"})

_NAMES: dict[str, At] = {"effort": ("body", "reasoning_effort")}
_ONLY_COMPLETION: dict[str, At] = {**_NAMES, "max_tokens": ("body", "max_completion_tokens")}


def read(body: Json) -> Request:
    """A client's request. Raises InvalidInput for what no other dialect could carry."""
    body = given(body)
    only_known(body, _FIELDS, ("body",))
    for name, offs in _OFF.items():
        if name in body and body[name] not in offs:
            raise refuse(("body", name), _MENDS[name])
    request = Request(body.get("model"), _ONLY_COMPLETION if "max_completion_tokens" in body else _NAMES)
    options = request.options
    for name in body.keys() & _CARRIED:
        options[name] = a_text(body[name], ("body", name))
    for name in body.keys() & _NUMBERS:
        options[name] = a_number(body[name], ("body", name))
    _read_rest(body, request)
    messages = a_list(body.get("messages"), ("body", "messages"))
    request.turns = [_read_message(message, ("body", "messages", index)) for index, message in enumerate(messages)]
    return request


def _read_rest(body: Json, request: Request) -> None:
    options = request.options
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None:
        options["max_tokens"] = a_count(limit, request.at("max_tokens"))
        if body.get("max_tokens", limit) != limit:
            raise refuse(("body", "max_tokens"), "differs from `max_completion_tokens`; send only that one")
    if body.get("logit_bias"):
        options["logit_bias"] = body["logit_bias"]
    if "reasoning_effort" in body:
        options["effort"] = a_text(body["reasoning_effort"], ("body", "reasoning_effort"))
    if stop := body.get("stop"):
        options["stop"] = [stop] if isinstance(stop, str) else a_list(stop, ("body", "stop"))
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("user_id"), str):
        options.setdefault("user", metadata["user_id"])
    request.stream = body.get("stream") is True
    if "parallel_tool_calls" in body:
        request.parallel = a_flag(body["parallel_tool_calls"], ("body", "parallel_tool_calls"))
    if "response_format" in body:
        request.format = _read_format(a_dict(body["response_format"], ("body", "response_format")))
    if tools := body.get("tools"):
        request.tools = [
            _read_tool(tool, ("body", "tools", index)) for index, tool in enumerate(a_list(tools, ("body", "tools")))
        ]
    if "tool_choice" in body:
        request.choice = _read_choice(body["tool_choice"], request)


def _read_message(value: Any, at: At) -> Turn:
    message = a_dict(value, at)
    role = message.get("role")
    if not isinstance(role, str) or role not in _MESSAGE:
        if role == "function":
            raise refuse((*at, "role"), "is deprecated and is not translated; use `tool`")
        raise wrong((*at, "role"), "system, developer, user, assistant or tool")
    known = _MESSAGE[role]
    if not message.keys() <= known:
        message = given(message)
        for name, mend in (
            ("name", "the upstream's API has no names of speakers; put the name into the text"),
            ("function_call", "is deprecated and is not translated; use `tool_calls`"),
            ("audio", "the upstream's API has no audio"),
        ):
            if name in message:
                raise refuse((*at, name), mend)
        only_known(message, known, at)
    where = (*at, "content")
    if role == "assistant":
        return Turn("assistant", _read_assistant(message, at), at)
    parts = _read_content(message.get("content"), where)
    if role == "tool":
        id = a_text(message.get("tool_call_id"), (*at, "tool_call_id"))
        return Turn("user", [{"kind": "result", "id": id, "parts": parts, "error": False, "at": where}], at)
    return Turn("user" if role == "user" else "system", parts, at)


def _read_assistant(message: Json, at: At) -> list[Json]:
    parts: list[Json] = []
    if blocks := message.get("thinking_blocks"):
        where = (*at, "thinking_blocks")
        parts += [media.read_thinking(block, (*where, i)) for i, block in enumerate(a_list(blocks, where))]
    elif thoughts := message.get("reasoning_content") or message.get("reasoning"):
        where = (*at, "reasoning_content")
        parts.append({"kind": "reasoning", "text": a_text(thoughts, where), "signature": "", "at": where})
    if message.get("content") is not None:
        parts += _read_content(message["content"], (*at, "content"))
    if refusal := message.get("refusal"):
        parts.append({"kind": "refusal", "text": a_text(refusal, (*at, "refusal")), "at": (*at, "refusal")})
    for index, call in enumerate(a_list(message.get("tool_calls") or [], (*at, "tool_calls"))):
        where = (*at, "tool_calls", index)
        if a_dict(call, where).get("type", "function") != "function":
            raise refuse((*where, "type"), "only calls of functions can be translated")
        only_known(call, _CALL, where)
        function = a_dict(call.get("function"), (*where, "function"))
        only_known(function, _CALLED, (*where, "function"))
        parts.append(
            {
                "kind": "call",
                "id": a_text(call.get("id"), (*where, "id")),
                "name": a_text(function.get("name"), (*where, "function", "name")),
                "arguments": a_text(function.get("arguments", ""), (*where, "function", "arguments")),
                "at": (*where, "function", "arguments"),
            }
        )
    return parts


def _read_content(content: Any, at: At) -> list[Json]:
    if isinstance(content, str):
        return [{"kind": "text", "text": content, "at": at}] if content else []
    if content is None:
        return []
    if not isinstance(content, list):
        raise wrong(at, "a string or a list of parts")
    return [_read_part(part, (*at, index)) for index, part in enumerate(content)]


def _read_part(value: Any, at: At) -> Json:
    part = a_dict(value, at)
    kind = part.get("type")
    if kind == "text":
        only_known(part, _TEXT, at)
        return {"kind": "text", "text": a_text(part.get("text"), (*at, "text")), "at": at}
    if kind == "image_url":
        only_known(part, _IMAGE, at)
        return media.read_image(part.get("image_url"), (*at, "image_url"))
    if kind == "file":
        only_known(part, _FILE, at)
        return media.read_file(a_dict(part.get("file"), (*at, "file")), (*at, "file"))
    if kind == "refusal":
        return {"kind": "refusal", "text": a_text(part.get("refusal"), (*at, "refusal")), "at": at}
    if kind in ("input_audio", "video_url", "audio_url"):
        raise refuse(at, f"the upstream's API takes no {kind}; send its transcript as text")
    raise refuse((*at, "type"), "is no part that can be translated; send text, image_url or file")


def _read_tool(value: Any, at: At) -> Json:
    tool = a_dict(value, at)
    if tool.get("type", "function") != "function":
        raise refuse((*at, "type"), "only functions can be translated; describe the tool as a function")
    only_known(tool, frozenset({"type", "function"}), at)
    function = given(a_dict(tool.get("function"), (*at, "function")))
    only_known(function, _FUNCTION, (*at, "function"))
    a_text(function.get("name"), (*at, "function", "name"))
    a_dict(function.get("parameters", {}), (*at, "function", "parameters"))
    return function


def _read_choice(value: Any, request: Request) -> str | tuple[str, str]:
    at = ("body", "tool_choice")
    if value in ("none", "auto", "required"):
        return str(value)
    choice = a_dict(value, at)
    if choice.get("type") == "function":
        return (
            "tool",
            a_text(a_dict(choice.get("function"), (*at, "function")).get("name"), (*at, "function", "name")),
        )
    if choice.get("type") == "allowed_tools":
        allowed = a_dict(choice.get("allowed_tools"), (*at, "allowed_tools"))
        tools = a_list(allowed.get("tools"), (*at, "allowed_tools", "tools"))
        names = [a_dict(a_dict(tool, at).get("function"), at).get("name") for tool in tools]
        return allow(request, names, allowed.get("mode"), (*at, "allowed_tools"))
    raise refuse(at, "must be none, auto, required, a function or allowed_tools; other tools cannot be translated")


def allow(request: Request, names: list[Any], mode: Any, at: At) -> str:
    """Leaves only the tools that the model may call: to a model that is the same as to be forbidden the others."""
    known = [tool["name"] for tool in request.tools]
    if mode not in ("auto", "required") or not names or any(one not in known for one in names):
        raise refuse(at, "must have a mode (auto or required) and name functions that stand in `tools`")
    request.tools = [tool for tool in request.tools if tool["name"] in names]
    return str(mode)


def _read_format(value: Json) -> Json | None:
    at = ("body", "response_format")
    kind = value.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"at": at}
    if kind != "json_schema":
        raise refuse((*at, "type"), "must be text, json_object or json_schema")
    format = given(a_dict(value.get("json_schema"), (*at, "json_schema")))
    only_known(format, _FORMAT, (*at, "json_schema"))
    a_dict(format.get("schema"), (*at, "json_schema", "schema"))
    return {**format, "at": at}
