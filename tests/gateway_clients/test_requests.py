"""Requests, before and after translation, held to the official clients' own types; and what clients send back."""

import typing
from collections.abc import Iterable
from typing import Any

import anthropic
import openai
import pytest
import typing_extensions
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import BaseModel

from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES
from tests.gateway.dialects import samples
from tests.gateway.dialects.requests import REQUESTS
from tests.gateway_clients.test_answers import anthropic_client, openai_client
from tests.gateway_clients.upstream import of

TYPES = {
    (CHAT, False): CompletionCreateParamsNonStreaming,
    (CHAT, True): CompletionCreateParamsStreaming,
    (MESSAGES, False): MessageCreateParamsNonStreaming,
    (MESSAGES, True): MessageCreateParamsStreaming,
    (RESPONSES, False): ResponseCreateParamsNonStreaming,
    (RESPONSES, True): ResponseCreateParamsStreaming,
}
# What engines take, and the official types do not know: not yet, or, as the sampling of messages, no longer.
EXTENSIONS = {"top_k", "top_p", "temperature", "reasoning_content", "thinking_blocks"}


def misfit(value: Any, type: Any, at: str = "body") -> str | None:
    """Why a value is none of a type, with no field that the type does not know; None where it is.

    pydantic reads the `Iterable`s of these types only when somebody walks through them, and passes unknown fields.
    """
    origin = typing_extensions.get_origin(type)
    arguments = typing_extensions.get_args(type)
    if type is Any or type is object:
        return None
    if origin in (typing_extensions.Required, typing_extensions.NotRequired, typing.Annotated):
        return misfit(value, arguments[0], at)
    if origin is typing.Union:
        found = [misfit(value, one, at) for one in arguments]
        # The deepest is the most telling.
        return None if None in found else max(filter(None, found), key=len)
    if origin is typing_extensions.Literal:
        return None if value in arguments else f"{at}: {value!r} is none of {arguments}"
    if typing_extensions.is_typeddict(type):
        return _misfit_in_dict(value, type, at)
    if origin in (dict, typing.get_origin(dict[str, str])):
        return None if isinstance(value, dict) else f"{at}: is no object"
    if origin is not None and issubclass(origin, Iterable):
        if not isinstance(value, list):
            return f"{at}: is no list"
        return next(filter(None, (misfit(one, arguments[0], f"{at}.{i}") for i, one in enumerate(value))), None)
    if type is float:
        return None if isinstance(value, int | float) and not isinstance(value, bool) else f"{at}: is no number"
    if isinstance(type, typing.ForwardRef | str) or not isinstance(type, _CLASS):
        return None
    if issubclass(type, BaseModel):
        return f"{at}: is no {type.__name__}"
    fits = isinstance(value, type) and (type is bool or not isinstance(value, bool))
    return None if fits else f"{at}: {value!r} is no {type.__name__}"


_CLASS = type


def _misfit_in_dict(value: Any, type: Any, at: str) -> str | None:
    if not isinstance(value, dict):
        return f"{at}: is no object"
    hints = typing_extensions.get_type_hints(type)
    if missing := type.__required_keys__ - value.keys():
        return f"{at}: lacks {missing}"
    for name, one in value.items():
        if name in EXTENSIONS:
            continue
        if name not in hints:
            return f"{at}.{name}: is not known"
        if found := misfit(one, hints[name], f"{at}.{name}"):
            return found
    return None


@pytest.mark.parametrize("name", REQUESTS)
def test_both_sides_are_requests_of_their_dialect(name: str) -> None:
    client, body, upstream, asked = REQUESTS[name]
    body = {name: value for name, value in body.items() if value is not None}
    assert misfit(body, TYPES[client, bool(body.get("stream"))]) is None
    assert misfit(asked, TYPES[upstream, bool(asked.get("stream"))]) is None


def test_the_check_itself_finds_what_is_wrong() -> None:
    body: Any = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text", "txt": 1}]}]}
    assert misfit(body, MessageCreateParamsNonStreaming) is not None
    assert misfit({"model": "m", "messages": [], "extra": 1}, CompletionCreateParamsNonStreaming) is not None


def test_a_refusal_reaches_the_clients_as_their_own_error() -> None:
    server = of(CHAT, MESSAGES, samples.MESSAGES["text"])
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        openai_client(server).chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], seed=1)
    assert "body.seed" in raised.value.message
    assert raised.value.code == "invalid_input"
    server = of(MESSAGES, CHAT, samples.CHATS["text"])
    with pytest.raises(anthropic.UnprocessableEntityError, match="container"):
        anthropic_client(server).messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}], container="c"
        )


@pytest.mark.parametrize("name", ["all", "reasoning", "sealed"])
def test_what_a_responses_client_sends_back_is_what_the_model_said(name: str) -> None:
    """A conversation goes on by sending the output of the last answer as input."""
    server = of(RESPONSES, MESSAGES, samples.MESSAGES[name])
    client = openai_client(server)
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    first = client.responses.create(model="m", input="hi", tools=tools)
    said: Any = [{"role": "user", "content": "hi"}, *[item.model_dump(exclude_none=True) for item in first.output]]
    outputs = [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sun"}
        for item in first.output
        if item.type == "function_call"
    ]
    client.responses.create(model="m", tools=tools, input=[*said, *(outputs or [{"role": "user", "content": "go on"}])])
    assert server.asked[1]["messages"][1] == {"role": "assistant", "content": samples.MESSAGES[name]["content"]}


@pytest.mark.parametrize("name", ["all", "reasoning", "sealed"])
def test_what_a_chat_client_sends_back_is_what_the_model_said(name: str) -> None:
    server = of(CHAT, MESSAGES, samples.MESSAGES[name])
    client = openai_client(server)
    hi: Any = {"role": "user", "content": "hi"}
    first = client.chat.completions.create(model="m", messages=[hi]).choices[0].message
    said: Any = first.model_dump()
    outputs: Any = [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in first.tool_calls or []]
    client.chat.completions.create(model="m", messages=[hi, said, *(outputs or [hi])])
    assert server.asked[1]["messages"][1] == {"role": "assistant", "content": samples.MESSAGES[name]["content"]}


@pytest.mark.parametrize("name", ["all", "reasoning"])
def test_what_a_messages_client_sends_back_is_what_the_model_said(name: str) -> None:
    server = of(MESSAGES, CHAT, samples.CHATS[name])
    client = anthropic_client(server)
    hi: Any = {"role": "user", "content": "hi"}
    first = client.messages.create(model="m", max_tokens=9, messages=[hi])
    outputs: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sun"}
        for block in first.content
        if block.type == "tool_use"
    ]
    last: Any = {"role": "user", "content": outputs or "go on"}
    client.messages.create(model="m", max_tokens=9, messages=[hi, first.to_param(), last])
    said = samples.CHATS[name]["choices"][0]["message"]
    assert server.asked[1]["messages"][1] == {
        "role": "assistant",
        "content": said["content"],
        "reasoning_content": said.get("reasoning_content") or said["reasoning"],
        **({"tool_calls": said["tool_calls"]} if "tool_calls" in said else {}),
    }
