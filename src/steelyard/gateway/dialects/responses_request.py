"""Requests of OpenAI's responses: read from a client.

The fields are those of https://platform.openai.com/docs/api-reference/responses/create; `docs/dialects.md` says what
becomes of each. Nothing is stored here, so a client sends the whole conversation each time.
"""

from typing import Any

from steelyard.gateway.dialects import media
from steelyard.gateway.dialects.chat_request import allow
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

# They change how fast or how cheaply an answer comes, or what is kept of it; never what it says.
_HINTS = frozenset({"metadata", "stream_options", "prompt_cache_retention", "prompt_cache_options", "max_tool_calls"})
_CARRIED = frozenset({"user", "safety_identifier", "service_tier", "prompt_cache_key"})
_NUMBERS = frozenset({"temperature", "top_p"})
_READ = frozenset(
    {"model", "input", "instructions", "stream", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"}
    | {"max_output_tokens", "include"}
)
_OFF: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "background": (False,),
    "truncation": ("disabled",),
    "top_logprobs": (0,),
    "context_management": ([],),
    "previous_response_id": (),
    "conversation": (),
    "prompt": (),
    "moderation": (),
    "access_programs": (),
    "background_options": (),
    "image": (),
}
_MENDS = {
    "store": "responses are not stored here; leave it out or send false",
    "background": "responses are not made in the background here; leave it out or send false",
    "truncation": "the upstream's API does not cut the input; shorten it, and leave this out",
    "top_logprobs": "log probabilities cannot be translated; leave it out",
    "context_management": "the upstream's API does not manage the context; shorten `input` yourself",
    "previous_response_id": "responses are not stored here; send the whole conversation as `input`",
    "conversation": "conversations are not stored here; send the whole conversation as `input`",
    "prompt": "prompts are not stored here; send the text as `instructions` and `input`",
    "moderation": "the upstream's API does not moderate; leave it out",
    "access_programs": "the upstream's API has no access programs; leave it out",
    "background_options": "responses are not made in the background here; leave it out",
    "image": "the upstream's API makes no pictures; leave it out",
}
_FIELDS = _HINTS | _CARRIED | _NUMBERS | _READ | _OFF.keys()
_NAMES: dict[str, At] = {
    "max_tokens": ("body", "max_output_tokens"),
    "effort": ("body", "reasoning", "effort"),
    "verbosity": ("body", "text", "verbosity"),
}

_ITEM = frozenset({"type", "id", "status"})
_ITEMS = {
    "message": _ITEM | {"role", "content", "phase"},
    "function_call": _ITEM | {"call_id", "name", "arguments", "caller"},
    "function_call_output": _ITEM | {"call_id", "output", "caller"},
    "reasoning": _ITEM | {"summary", "content", "encrypted_content"},
}
_PARTS = {
    "input_text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "output_text": frozenset({"type", "text", "annotations", "logprobs"}),
    "text": frozenset({"type", "text"}),
    "refusal": frozenset({"type", "refusal"}),
    "input_image": frozenset({"type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"}),
    "input_file": frozenset({"type", "file_data", "file_url", "file_id", "filename", "detail"})
    | {"prompt_cache_breakpoint"},
}
_TOOL = frozenset(
    {"type", "name", "description", "parameters", "strict", "async", "defer_loading", "allowed_callers"}
    | {"output_schema"}
)
_FORMAT = frozenset({"type", "name", "description", "schema", "strict"})
_DIRECT = (None, {"type": "direct"})


def read(body: Json) -> Request:
    """A client's request. Raises InvalidInput for what no other dialect could carry."""
    body = given(body)
    only_known(body, _FIELDS, ("body",))
    for name in body.keys() & _OFF.keys():
        if body[name] not in _OFF[name]:
            raise refuse(("body", name), _MENDS[name])
    request = Request(body.get("model"), _NAMES)
    options = request.options
    for name in body.keys() & _CARRIED:
        options[name] = a_text(body[name], ("body", name))
    for name in body.keys() & _NUMBERS:
        options[name] = a_number(body[name], ("body", name))
    _read_rest(body, request)
    if "instructions" in body:
        at: At = ("body", "instructions")
        text = a_text(body["instructions"], at)
        request.turns.append(Turn("system", [{"kind": "text", "text": text, "at": at}] if text else [], at))
    said = body.get("input")
    if isinstance(said, str):
        request.turns.append(Turn("user", _read_content(said, ("body", "input")), ("body", "input")))
    else:
        for index, item in enumerate(a_list(said, ("body", "input"))):
            _read_item(item, ("body", "input", index), request.turns)
    return request


def _read_rest(body: Json, request: Request) -> None:
    options = request.options
    if "max_output_tokens" in body:
        options["max_tokens"] = a_count(body["max_output_tokens"], ("body", "max_output_tokens"))
    for index, name in enumerate(a_list(body.get("include", []), ("body", "include"))):
        # Sealed thoughts are always in the answer.
        if name != "reasoning.encrypted_content":
            raise refuse(("body", "include", index), "only reasoning.encrypted_content can be included")
    request.stream = body.get("stream") is True
    if "parallel_tool_calls" in body:
        request.parallel = a_flag(body["parallel_tool_calls"], ("body", "parallel_tool_calls"))
    if "text" in body:
        _read_text(given(a_dict(body["text"], ("body", "text"))), request)
    if "reasoning" in body:
        _read_reasoning(given(a_dict(body["reasoning"], ("body", "reasoning"))), options)
    if "tools" in body:
        tools = a_list(body["tools"], ("body", "tools"))
        request.tools = [_read_tool(tool, ("body", "tools", index)) for index, tool in enumerate(tools)]
    if "tool_choice" in body:
        request.choice = _read_choice(body["tool_choice"], request)


def _read_text(text: Json, request: Request) -> None:
    at: At = ("body", "text")
    only_known(text, frozenset({"format", "verbosity"}), at)
    if "verbosity" in text:
        request.options["verbosity"] = a_text(text["verbosity"], (*at, "verbosity"))
    if "format" not in text:
        return
    at = (*at, "format")
    format = given(a_dict(text["format"], at))
    only_known(format, _FORMAT, at)
    kind = format.pop("type", None)
    if kind == "json_schema":
        a_dict(format.get("schema"), (*at, "schema"))
        request.format = {**format, "at": at}
    elif kind == "json_object":
        request.format = {"at": at}
    elif kind != "text":
        raise refuse((*at, "type"), "must be text, json_object or json_schema")


def _read_reasoning(reasoning: Json, options: Json) -> None:
    at: At = ("body", "reasoning")
    only_known(reasoning, frozenset({"effort", "summary", "generate_summary", "context", "mode"}), at)
    if "effort" in reasoning:
        options["effort"] = a_text(reasoning["effort"], (*at, "effort"))
    if summary := reasoning.get("summary") or reasoning.get("generate_summary"):
        options["summary"] = a_text(summary, (*at, "summary"))
    for name, off in (("context", "auto"), ("mode", "standard")):
        if reasoning.get(name, off) != off:
            raise refuse((*at, name), f"only {off} can be translated; leave it out")


def _read_item(value: Any, at: At, turns: list[Turn]) -> None:
    item = given(a_dict(value, at))
    kind = item.get("type", "message" if "role" in item else None)
    known = _ITEMS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise refuse((*at, "type"), f"items of the type {kind} cannot be translated; send messages, calls and outputs")
    only_known(item, known, at)
    if item.get("caller") not in _DIRECT:
        raise refuse((*at, "caller"), "only calls by the model itself can be translated")
    if kind == "message":
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            raise wrong((*at, "role"), "user, assistant, system or developer")
        parts = _read_content(item.get("content"), (*at, "content"))
        if role == "assistant":
            _add(turns, parts, at)
        else:
            turns.append(Turn("user" if role == "user" else "system", parts, at))
    elif kind == "function_call_output":
        inside = _read_content(item.get("output"), (*at, "output"))
        id = a_text(item.get("call_id"), (*at, "call_id"))
        turns.append(Turn("user", [{"kind": "result", "id": id, "parts": inside, "error": False, "at": at}], at))
    elif kind == "function_call":
        part = {
            "kind": "call",
            "id": a_text(item.get("call_id"), (*at, "call_id")),
            "name": a_text(item.get("name"), (*at, "name")),
            "arguments": a_text(item.get("arguments"), (*at, "arguments")),
            "at": (*at, "arguments"),
        }
        _add(turns, [part], at)
    else:
        _add(turns, [_read_thoughts(item, at)], at)


def _add(turns: list[Turn], parts: list[Json], at: At) -> None:
    """Thoughts, text and calls of one turn come as items of their own; two texts in a row are two turns."""
    last = turns[-1] if turns and turns[-1].role == "assistant" else None
    if last is None or (parts and parts[0]["kind"] == "text" and last.parts and last.parts[-1]["kind"] == "text"):
        turns.append(Turn("assistant", parts, at))
    else:
        last.parts += parts


def _read_thoughts(item: Json, at: At) -> Json:
    sealed = item.get("encrypted_content")
    own = media.unseal(a_text(sealed, (*at, "encrypted_content"))) if sealed else {}
    said = [*a_list(item.get("summary", []), (*at, "summary")), *a_list(item.get("content", []), (*at, "content"))]
    text = "\n\n".join([a_text(a_dict(part, at).get("text"), at) for part in said])
    return {"kind": "reasoning", "text": text, "signature": "", "at": at, **own}


def _read_content(content: Any, at: At) -> list[Json]:
    if isinstance(content, str):
        return [{"kind": "text", "text": content, "at": at}] if content else []
    if not isinstance(content, list):
        raise wrong(at, "a string or a list of parts")
    return [_read_part(part, (*at, index)) for index, part in enumerate(content)]


def _read_part(value: Any, at: At) -> Json:
    part = given(a_dict(value, at))
    kind = part.get("type")
    known = _PARTS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise refuse((*at, "type"), f"parts of the type {kind} cannot be translated; send text, images or files")
    only_known(part, known, at)
    if kind == "refusal":
        return {"kind": "refusal", "text": a_text(part.get("refusal"), (*at, "refusal")), "at": at}
    if kind == "input_image":
        if "file_id" in part:
            raise refuse((*at, "file_id"), "the upstream does not have this file; send its bytes as `image_url`")
        image = {"url": part.get("image_url"), "detail": part.get("detail")}
        return media.read_image(image, (*at, "image_url"))
    if kind == "input_file":
        if "file_url" in part:
            found = media.by_url("file", a_text(part["file_url"], (*at, "file_url")), (*at, "file_url"))
            return {**found, "name": part["filename"]} if "filename" in part else found
        fields = ("file_data", "file_id", "filename")
        return media.read_file({name: part[name] for name in fields if name in part}, at)
    return {"kind": "text", "text": a_text(part.get("text"), (*at, "text")), "at": at}


def _read_tool(value: Any, at: At) -> Json:
    tool = given(a_dict(value, at))
    if tool.get("type") != "function":
        raise refuse(
            (*at, "type"), f"{tool.get('type')} is a tool that only OpenAI's servers have; give a function of your own"
        )
    only_known(tool, _TOOL, at)
    for name, off in (("async", False), ("defer_loading", False), ("allowed_callers", ["direct"])):
        if tool.get(name, off) != off:
            raise refuse((*at, name), "the upstream's API has nothing like it; leave it out")
    a_text(tool.get("name"), (*at, "name"))
    a_dict(tool.get("parameters", {}), (*at, "parameters"))
    # What a tool answers is ours to say, not the model's: the schema of it is a note.
    return {name: tool[name] for name in ("name", "description", "parameters", "strict") if name in tool}


def _read_choice(value: Any, request: Request) -> str | tuple[str, str]:
    at = ("body", "tool_choice")
    if value in ("none", "auto", "required"):
        return str(value)
    choice = a_dict(value, at)
    if choice.get("type") == "function":
        return ("tool", a_text(choice.get("name"), (*at, "name")))
    if choice.get("type") == "allowed_tools":
        names = [a_dict(tool, at).get("name") for tool in a_list(choice.get("tools"), (*at, "tools"))]
        return allow(request, names, choice.get("mode"), at)
    raise refuse(at, "must be none, auto, required, a function or allowed_tools; other tools cannot be translated")
