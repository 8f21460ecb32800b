"""Answers, whole and streamed, as the official clients read them; their own types check each field."""

from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES
from tests.gateway.dialects import samples
from tests.gateway_clients.upstream import Upstream, of

Json = dict[str, Any]

CASES = [(CHAT, name) for name in samples.CHATS] + [(MESSAGES, name) for name in samples.MESSAGES]
TEXTS = {
    "text": "Grüße, 世界 🌍",
    "limit": "Cut o",
    "filtered": "I",
    "refused": "I",
    "sequence": "One",
    "reasoning": "Sunny.",
    "sealed": "Sunny.",
    "all": "Let me look.",
}


def answer_of(upstream: str, name: str) -> Json:
    return (samples.CHATS if upstream == CHAT else samples.MESSAGES)[name]


def openai_client(upstream: Upstream) -> openai.OpenAI:
    http = httpx2.Client(transport=upstream.transport())
    return openai.OpenAI(api_key="k", base_url="http://gate/v1", http_client=http, max_retries=0)


def anthropic_client(upstream: Upstream) -> anthropic.Anthropic:
    http = httpx2.Client(transport=upstream.transport())
    return anthropic.Anthropic(api_key="k", base_url="http://gate", http_client=http, max_retries=0)


def strictly(type: Any, data: bytes) -> Any:
    """The data as the official type, with no type bent to fit."""
    return TypeAdapter(type).validate_json(data, strict=True)


@pytest.mark.parametrize("name", samples.MESSAGES)
def test_chat_client(name: str) -> None:
    server = of(CHAT, MESSAGES, samples.MESSAGES[name])
    client = openai_client(server)
    messages: Any = [{"role": "user", "content": "hi"}]
    whole = client.chat.completions.create(model="m", messages=messages)
    strictly(ChatCompletion, server.sent[0])
    with client.chat.completions.stream(model="m", messages=messages, stream_options={"include_usage": True}) as stream:
        try:
            streamed: Any = stream.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
            # The helper parses what it has read, and does not parse what is cut.
            streamed = getattr(error, "completion", None) or stream.current_completion_snapshot
    for event in samples.events(server.sent[1])[:-1]:
        ChatCompletionChunk.model_validate(event, strict=True)
    assert samples.events(server.sent[1])[-1] == {"done": True}
    for made in (whole, streamed):
        choice = made.choices[0]
        assert made.model == "shown"
        assert made.id == "chatcmpl-abc"
        assert (choice.message.content or "") == TEXTS.get(name, "")
        assert made.usage is not None
        assert made.usage.prompt_tokens == 20
        assert made.usage.completion_tokens == 9
        assert made.usage.prompt_tokens_details is not None
        assert made.usage.prompt_tokens_details.cached_tokens == 4
        assert choice.finish_reason == {
            "limit": "length",
            "refused": "content_filter",
            "call": "tool_calls",
            "all": "tool_calls",
        }.get(name, "stop")
        assert bool(choice.message.refusal) == (name == "refused")
        calls: list[Any] = list(choice.message.tool_calls or [])
        assert len(calls) == {"call": 1, "all": 2}.get(name, 0)
        for call in calls:
            assert call.function.name == "weather"
            assert call.function.arguments == '{"city":"Köln"}'
        if name in ("reasoning", "all"):
            extra: Any = choice.message
            assert extra.reasoning_content == "They want weather."
            assert extra.thinking_blocks[0]["signature"] == "c2lnbmVk"


@pytest.mark.parametrize("name", samples.CHATS)
def test_messages_client(name: str) -> None:
    server = of(MESSAGES, CHAT, samples.CHATS[name])
    client = anthropic_client(server)
    whole = client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    strictly(Message, server.sent[0])
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream:
        streamed = stream.get_final_message()
    for event in samples.events(server.sent[1]):
        TypeAdapter(RawMessageStreamEvent).validate_python(event, strict=True)
    for made in (whole, streamed):
        assert made.model == "shown"
        assert made.id == "msg_abc"
        text = "".join(block.text for block in made.content if block.type == "text")
        assert text == ("I cannot do that." if name == "refusal" else TEXTS.get(name, ""))
        assert made.usage.input_tokens == 16
        assert made.usage.cache_read_input_tokens == 4
        assert made.usage.output_tokens == 9
        assert made.stop_reason == {
            "limit": "max_tokens",
            "filtered": "refusal",
            "refusal": "refusal",
            "call": "tool_use",
            "all": "tool_use",
        }.get(name, "end_turn")
        calls = [block for block in made.content if block.type == "tool_use"]
        assert [call.id for call in calls] == {"call": ["call_1"], "all": ["call_1", "call_2"]}.get(name, [])
        assert all(call.input == {"city": "Köln"} for call in calls)
        thoughts = [block.thinking for block in made.content if block.type == "thinking"]
        assert thoughts == {"reasoning": ["They want weather."], "all": ["Look it up."]}.get(name, [])


@pytest.mark.parametrize(("upstream", "name"), CASES)
def test_responses_client(upstream: str, name: str) -> None:
    server = of(RESPONSES, upstream, answer_of(upstream, name))
    client = openai_client(server)
    whole = client.responses.create(model="m", input="hi", instructions="be kind", metadata={"a": "b"})
    strictly(Response, server.sent[0])
    with client.responses.stream(model="m", input="hi", instructions="be kind") as stream:
        last = list(stream)[-1]
    events = samples.events(server.sent[1])
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event, strict=True)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    incomplete = {"limit": "max_output_tokens", "filtered": "content_filter", "refused": "content_filter"}.get(name)
    assert last.type == ("response.incomplete" if incomplete else "response.completed")
    for made in (whole, last.response):
        assert made.id == "resp_abc"
        assert made.model == "shown"
        assert made.status == ("incomplete" if incomplete else "completed")
        assert (made.incomplete_details and made.incomplete_details.reason) == incomplete
        assert made.instructions == "be kind"
        assert made.output_text == TEXTS.get(name, "")
        assert made.usage is not None
        assert (made.usage.input_tokens, made.usage.output_tokens) == (20, 9)
        assert made.usage.output_tokens_details.reasoning_tokens == 3
        calls = [item for item in made.output if item.type == "function_call"]
        assert len(calls) == {"call": 1, "all": 2}.get(name, 0)
        assert all(call.arguments == '{"city":"Köln"}' and call.name == "weather" for call in calls)
        thoughts = [item for item in made.output if item.type == "reasoning"]
        assert len(thoughts) == (name in ("reasoning", "sealed", "all"))
        assert all(item.encrypted_content for item in thoughts) or upstream == CHAT
    if name != "empty":
        assert _shape(whole) == _shape(last.response)


def _shape(response: Any) -> list[Any]:
    return [item.model_dump(exclude={"parsed", "parsed_arguments"}, exclude_none=True) for item in response.output]


@pytest.mark.parametrize("upstream", [CHAT, MESSAGES])
@pytest.mark.parametrize("after", [2, 4, 6])
def test_a_stream_that_breaks_never_looks_complete(upstream: str, after: int) -> None:
    """The official clients raise; none of them takes what came for an answer."""
    answer = answer_of(upstream, "text")
    messages: Any = [{"role": "user", "content": "hi"}]
    if upstream == MESSAGES:
        client = openai_client(of(CHAT, upstream, answer, breaks_after=after))
        with pytest.raises(openai.APIError, match="went away"):
            list(client.chat.completions.create(model="m", messages=messages, stream=True))
    client = openai_client(of(RESPONSES, upstream, answer, breaks_after=after))
    with pytest.raises(openai.APIError, match="went away"):
        list(client.responses.create(model="m", input="hi", stream=True))
    if upstream == CHAT:
        reader = anthropic_client(of(MESSAGES, upstream, answer, breaks_after=after))
        with (
            pytest.raises(anthropic.APIError, match="went away"),
            reader.messages.stream(model="m", max_tokens=9, messages=messages) as stream,
        ):
            stream.get_final_message()
