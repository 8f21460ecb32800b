"""Requests: what each upstream is asked, and what is refused by name."""

import copy
from typing import Any

import pytest

from steelyard.errors import InvalidInput
from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES, translate_request
from tests.gateway.dialects.requests import HI, REQUESTS, Json


@pytest.mark.parametrize("name", REQUESTS)
def test_what_the_upstream_is_asked(name: str) -> None:
    client, body, upstream, expected = REQUESTS[name]
    before = copy.deepcopy(body)
    assert translate_request(body, client, upstream) == expected
    assert body == before, "a request may be tried again with another upstream"


def _chat(**more: Any) -> Json:
    return {"model": "m", "messages": HI, **more}


def _messages(**more: Any) -> Json:
    return {"model": "m", "max_tokens": 9, "messages": HI, **more}


def _responses(**more: Any) -> Json:
    return {"model": "m", "input": "hi", **more}


def _said(part: Json) -> list[Json]:
    return [{"role": "user", "content": [part]}]


TOOL = {"type": "function", "function": {"name": "now"}}

REFUSED: list[tuple[str, Json, str, tuple[str | int, ...]]] = [
    (CHAT, _chat(surprise=1), MESSAGES, ("body", "surprise")),
    (CHAT, _chat(n=2), MESSAGES, ("body", "n")),
    (CHAT, _chat(store=True), MESSAGES, ("body", "store")),
    (CHAT, _chat(logprobs=True), MESSAGES, ("body", "logprobs")),
    (CHAT, _chat(seed=7), MESSAGES, ("body", "seed")),
    (CHAT, _chat(temperature=1.5), MESSAGES, ("body", "temperature")),
    (CHAT, _chat(temperature="hot"), MESSAGES, ("body", "temperature")),
    (CHAT, _chat(presence_penalty=0.5), MESSAGES, ("body", "presence_penalty")),
    (CHAT, _chat(frequency_penalty=-1), MESSAGES, ("body", "frequency_penalty")),
    (CHAT, _chat(logit_bias={"5": 1}), MESSAGES, ("body", "logit_bias")),
    (CHAT, _chat(verbosity="low"), MESSAGES, ("body", "verbosity")),
    (CHAT, _chat(service_tier="flex"), MESSAGES, ("body", "service_tier")),
    (CHAT, _chat(modalities=["text", "audio"]), MESSAGES, ("body", "modalities")),
    (CHAT, _chat(audio={"voice": "ash"}), MESSAGES, ("body", "audio")),
    (CHAT, _chat(web_search_options={}), MESSAGES, ("body", "web_search_options")),
    (CHAT, _chat(functions=[{"name": "f"}]), MESSAGES, ("body", "functions")),
    (CHAT, _chat(max_tokens=0), MESSAGES, ("body", "max_tokens")),
    (CHAT, _chat(max_tokens=5, max_completion_tokens=6), MESSAGES, ("body", "max_tokens")),
    (CHAT, _chat(reasoning_effort="extreme"), MESSAGES, ("body", "reasoning_effort")),
    (CHAT, _chat(response_format={"type": "json_object"}), MESSAGES, ("body", "response_format")),
    (CHAT, _chat(tools=[{"type": "custom", "custom": {"name": "c"}}]), MESSAGES, ("body", "tools", 0, "type")),
    (CHAT, _chat(tools=[TOOL], tool_choice={"type": "custom"}), MESSAGES, ("body", "tool_choice")),
    (CHAT, _chat(tool_choice="required"), MESSAGES, ("body", "tool_choice")),
    (CHAT, {"model": "m"}, MESSAGES, ("body", "messages")),
    (CHAT, _chat(messages=[]), MESSAGES, ("body", "messages")),
    (CHAT, _chat(messages=[{"role": "user", "content": ""}]), MESSAGES, ("body", "messages")),
    (CHAT, _chat(messages=["hi"]), MESSAGES, ("body", "messages", 0)),
    (CHAT, _chat(messages=[{"role": "robot", "content": "x"}]), MESSAGES, ("body", "messages", 0, "role")),
    (CHAT, _chat(messages=[{**HI[0], "name": "Ann"}]), MESSAGES, ("body", "messages", 0, "name")),
    (CHAT, _chat(messages=[{**HI[0], "mood": "glad"}]), MESSAGES, ("body", "messages", 0, "mood")),
    (CHAT, _chat(messages=[*HI, {"role": "system", "content": "x"}]), MESSAGES, ("body", "messages", 1)),
    (CHAT, _chat(messages=[*HI, {"role": "assistant", "content": "x"}]), MESSAGES, ("body", "messages", 1)),
    (
        CHAT,
        _chat(messages=_said({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})),
        MESSAGES,
        ("body", "messages", 0, "content", 0),
    ),
    (
        CHAT,
        _chat(messages=_said({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA"}})),
        MESSAGES,
        ("body", "messages", 0, "content", 0, "image_url", "url"),
    ),
    (
        CHAT,
        _chat(messages=_said({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}})),
        MESSAGES,
        ("body", "messages", 0, "content", 0, "image_url", "url"),
    ),
    (
        CHAT,
        _chat(messages=_said({"type": "image_url", "image_url": {"url": "https://e.com/a.png", "detail": "low"}})),
        MESSAGES,
        ("body", "messages", 0, "content", 0, "image_url", "detail"),
    ),
    (
        CHAT,
        _chat(messages=_said({"type": "file", "file": {"file_id": "file-1"}})),
        MESSAGES,
        ("body", "messages", 0, "content", 0, "file", "file_id"),
    ),
    (
        CHAT,
        _chat(
            messages=[
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}],
                },
                *HI,
            ]
        ),
        MESSAGES,
        ("body", "messages", 0, "tool_calls", 0, "function", "arguments"),
    ),
    (MESSAGES, {"model": "m", "messages": HI}, CHAT, ("body", "max_tokens")),
    (MESSAGES, _messages(surprise=1), CHAT, ("body", "surprise")),
    (MESSAGES, _messages(container="c"), CHAT, ("body", "container")),
    (MESSAGES, _messages(mcp_servers=[{"url": "x"}]), CHAT, ("body", "mcp_servers")),
    (MESSAGES, _messages(speed="fast"), CHAT, ("body", "speed")),
    (MESSAGES, _messages(metadata={"other": "x"}), CHAT, ("body", "metadata", "other")),
    (MESSAGES, _messages(thinking={"type": "between_tools"}), CHAT, ("body", "thinking", "type")),
    (
        MESSAGES,
        _messages(thinking={"type": "enabled", "budget_tokens": 1024}),
        CHAT,
        ("body", "thinking", "budget_tokens"),
    ),
    (MESSAGES, _messages(messages=[*HI, {"role": "assistant", "content": "("}]), CHAT, ("body", "messages", 1)),
    (
        MESSAGES,
        _messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        CHAT,
        ("body", "tools", 0, "type"),
    ),
    (
        MESSAGES,
        _messages(messages=_said({"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}})),
        CHAT,
        ("body", "messages", 0, "content", 0, "type"),
    ),
    (
        MESSAGES,
        _messages(messages=_said({"type": "image", "source": {"type": "file", "file_id": "f"}})),
        CHAT,
        ("body", "messages", 0, "content", 0, "source", "type"),
    ),
    (
        MESSAGES,
        _messages(messages=_said({"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}})),
        CHAT,
        ("body", "messages", 0, "content", 0, "source", "url"),
    ),
    (RESPONSES, _responses(surprise=1), CHAT, ("body", "surprise")),
    (RESPONSES, {"model": "m"}, CHAT, ("body", "input")),
    (RESPONSES, _responses(store=True), CHAT, ("body", "store")),
    (RESPONSES, _responses(previous_response_id="resp_1"), CHAT, ("body", "previous_response_id")),
    (RESPONSES, _responses(conversation="conv_1"), CHAT, ("body", "conversation")),
    (RESPONSES, _responses(background=True), CHAT, ("body", "background")),
    (RESPONSES, _responses(truncation="auto"), CHAT, ("body", "truncation")),
    (RESPONSES, _responses(prompt={"id": "p"}), CHAT, ("body", "prompt")),
    (RESPONSES, _responses(include=["file_search_call.results"]), CHAT, ("body", "include", 0)),
    (RESPONSES, _responses(tools=[{"type": "web_search"}]), CHAT, ("body", "tools", 0, "type")),
    (RESPONSES, _responses(input=[{"type": "item_reference", "id": "x"}]), CHAT, ("body", "input", 0, "type")),
    (RESPONSES, _responses(temperature=1.5), MESSAGES, ("body", "temperature")),
    (RESPONSES, _responses(text={"verbosity": "low"}), MESSAGES, ("body", "text", "verbosity")),
    (RESPONSES, _responses(reasoning={"mode": "pro"}), CHAT, ("body", "reasoning", "mode")),
    (RESPONSES, _responses(max_output_tokens=0), MESSAGES, ("body", "max_output_tokens")),
    (
        RESPONSES,
        _responses(input=[{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]),
        CHAT,
        ("body", "input", 0, "content", 0, "file_id"),
    ),
]


@pytest.mark.parametrize(
    ("client", "body", "upstream", "at"), REFUSED, ids=[f"{case[0]}-{'.'.join(map(str, case[3]))}" for case in REFUSED]
)
def test_what_cannot_be_carried_is_refused_by_name(
    client: str, body: Json, upstream: str, at: tuple[str | int, ...]
) -> None:
    with pytest.raises(InvalidInput) as raised:
        translate_request(body, client, upstream)
    assert [fault.location for fault in raised.value.faults] == [at]
    assert raised.value.status == 422
    assert raised.value.faults[0].message


def test_the_same_dialect_is_passed_untouched() -> None:
    body = _chat(anything={"goes": True})
    assert translate_request(body, CHAT, CHAT) is body


@pytest.mark.parametrize(
    ("model", "older"),
    [
        ("claude-3-7-sonnet-20250219", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1-20250805", True),
        ("anthropic.claude-opus-4-5-20251101-v1:0", True),
        ("claude-haiku-4-5", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4.6", False),
        ("claude-opus-4-8", False),
        ("claude-sonnet-5-5", False),
        ("claude-fable-5-1", False),
        ("some-other-model", False),
    ],
)
def test_models_that_know_budgets_only(model: str, older: bool) -> None:
    asked = translate_request({**_chat(reasoning_effort="high"), "model": model}, CHAT, MESSAGES)
    assert asked["thinking"]["type"] == ("enabled" if older else "adaptive")


def test_a_budget_fits_into_the_limit() -> None:
    body = {**_chat(reasoning_effort="high", max_tokens=2000), "model": "claude-3-7-sonnet"}
    assert translate_request(body, CHAT, MESSAGES)["thinking"] == {"type": "enabled", "budget_tokens": 1999}
    with pytest.raises(InvalidInput):
        translate_request({**body, "max_tokens": 1024}, CHAT, MESSAGES)


def test_newer_models_take_no_sampling_so_its_defaults_are_not_sent() -> None:
    body = _chat(temperature=1, top_p=1.0)
    assert "temperature" not in translate_request({**body, "model": "claude-opus-5-5"}, CHAT, MESSAGES)
    assert translate_request({**body, "model": "claude-opus-4-1"}, CHAT, MESSAGES)["temperature"] == 1
    assert translate_request({**body, "temperature": 0, "model": "claude-opus-5"}, CHAT, MESSAGES)["temperature"] == 0


def test_what_clients_send_of_themselves_in_a_message_means_nothing() -> None:
    said: dict[str, Any] = {"role": "assistant", "content": "ho", "parsed": {"x": 1}, "annotations": [], "audio": None}
    result = {"role": "tool", "tool_call_id": "c", "name": "weather", "content": "sun"}
    asked = translate_request(_chat(messages=[*HI, said, result, *HI]), CHAT, MESSAGES)
    assert asked["messages"][1] == {"role": "assistant", "content": "ho"}
    assert asked["messages"][2]["content"][0] == {"type": "tool_result", "tool_use_id": "c", "content": "sun"}


def test_a_context_that_is_not_edited() -> None:
    kept = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    assert "context_management" not in translate_request(_messages(context_management=kept), MESSAGES, CHAT)
    with pytest.raises(InvalidInput):
        translate_request(
            _messages(context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}), MESSAGES, CHAT
        )
