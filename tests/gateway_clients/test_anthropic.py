"""Anthropic's own client against the gateway, whatever the engine behind it speaks; its errors and cuts too."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest

from tests.gateway import faults
from tests.gateway.dialects import samples
from tests.gateway.replies import PROMPT_TOKENS, WORDS
from tests.gateway.upstreams import until
from tests.gateway_clients.conftest import FORMATS, PATHS, Gate, saying
from tests.gateway_clients.test_openai_faults import failing

TEXT = "".join(WORDS)
HELLO: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {"name": "weather", "description": "Tells it", "input_schema": {"type": "object", "properties": {}}}
PIXEL = "iVBORw0KGgo="

both = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture
def client(gate: Gate) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gate.url, api_key="sk-caller", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
async def async_client(gate: Gate) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=gate.url, api_key="sk-caller", max_retries=0, timeout=20) as client:
        yield client


@both
def test_messages_by_both_base_urls(gate: Gate, format: str) -> None:
    model = gate.model(format=format)
    for url in (gate.url, gate.workspace_url.removesuffix("/v1")):
        with anthropic.Anthropic(base_url=url, api_key="sk-caller", max_retries=0) as client:
            whole = client.messages.create(model=model, max_tokens=9, messages=HELLO, system="Be kind.")
            with client.messages.stream(model=model, max_tokens=9, messages=HELLO) as stream:
                text = "".join(stream.text_stream)
                streamed = stream.get_final_message()

        assert text == TEXT
        for made in (whole, streamed):
            assert [block.text for block in made.content if block.type == "text"] == [TEXT]
            assert (made.model, made.role, made.stop_reason) == (model, "assistant", "end_turn")
            assert (made.usage.input_tokens, made.usage.output_tokens) == (PROMPT_TOKENS, len(WORDS))
    for seen in gate.engine.requests:
        assert seen.path == PATHS[format]
        assert not any("sk-caller" in value for _, value in seen.headers)
    key = "authorization" if format == "OPENAI_CHAT" else "x-api-key"
    assert "sk-engine" in (gate.asked().header(key) or "")


@both
async def test_the_asynchronous_client(async_client: anthropic.AsyncAnthropic, gate: Gate, format: str) -> None:
    model = gate.model(format=format)

    whole = await async_client.messages.create(model=model, max_tokens=9, messages=HELLO)
    async with async_client.messages.stream(model=model, max_tokens=9, messages=HELLO) as stream:
        text = "".join([piece async for piece in stream.text_stream])

    assert [block.text for block in whole.content if block.type == "text"] == [text] == [TEXT]


@both
def test_system_blocks_images_and_parameters_go_on(client: anthropic.Anthropic, gate: Gate, format: str) -> None:
    system: Any = [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be short."}]
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content: Any = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]

    client.messages.create(
        model=gate.model(format=format),
        max_tokens=9,
        system=system,
        messages=[{"role": "user", "content": content}],
        stop_sequences=["END"],
        # Engines know it, and so did clients until lately.
        extra_body={"temperature": 0.5},
    )

    asked = gate.asked().json
    assert (asked["temperature"], asked["messages"][-1]["content"][0]["text"]) == (0.5, "What is it?")
    if format == "ANTHROPIC_MESSAGES":
        assert (asked["system"], asked["messages"][0]["content"], asked["stop_sequences"]) == (system, content, ["END"])
        assert gate.asked().header("anthropic-version")
    else:
        assert asked["messages"][0]["role"] == "system"
        assert all(part["text"] in str(asked["messages"][0]["content"]) for part in system)
        assert asked["messages"][1]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
        assert (asked["stop"], 9) == (["END"], asked.get("max_tokens") or asked.get("max_completion_tokens"))


@both
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tools_are_called_and_answered(client: anthropic.Anthropic, gate: Gate, format: str, streamed: bool) -> None:
    model = gate.model(format=format)
    answers = samples.CHATS if format == "OPENAI_CHAT" else samples.MESSAGES
    gate.engine.next(saying(format, answers["all"], streamed=streamed), saying(format, answers["text"]))
    asked: Any = {"model": model, "max_tokens": 99, "tools": [TOOL], "tool_choice": {"type": "auto"}}

    if streamed:
        with client.messages.stream(messages=HELLO, **asked) as stream:
            first = stream.get_final_message()
    else:
        first = client.messages.create(messages=HELLO, **asked)
    uses: Any = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [(use.name, use.input) for use in uses] == [("weather", {"city": "Köln"})] * 2
    results: Any = [{"type": "tool_result", "tool_use_id": use.id, "content": "Sunny"} for use in uses]
    said: Any = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in first.content]
    turns: Any = [*HELLO, {"role": "assistant", "content": said}, {"role": "user", "content": results}]
    second = client.messages.create(messages=turns, **asked)

    assert [block.text for block in second.content if block.type == "text"] == ["Grüße, 世界 🌍"]
    sent = gate.asked(1).json["messages"]
    if format == "ANTHROPIC_MESSAGES":
        assert sent[-1] == turns[-1]
        assert sent[-2]["content"][0] == samples.SIGNED
    else:
        assert [one["tool_call_id"] for one in sent[-2:]] == ["call_1", "call_2"]
        assert [call["id"] for call in sent[-3]["tool_calls"]] == ["call_1", "call_2"]


@both
def test_thinking_comes_and_goes_back(client: anthropic.Anthropic, gate: Gate, format: str) -> None:
    model = gate.model(format=format)
    answers = samples.CHATS if format == "OPENAI_CHAT" else samples.MESSAGES
    gate.engine.next(saying(format, answers["reasoning"], streamed=True))

    with client.messages.stream(
        model=model, max_tokens=4096, thinking={"type": "enabled", "budget_tokens": 2048}, messages=HELLO
    ) as stream:
        kinds = [event.type for event in stream]
        made = stream.get_final_message()

    assert "thinking" in kinds
    assert [block.type for block in made.content] == ["thinking", "text"]
    thought: Any = made.content[0]
    assert thought.thinking == "They want weather."
    said: Any = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in made.content]
    turns: Any = [*HELLO, {"role": "assistant", "content": said}, *HELLO]
    client.messages.create(model=model, max_tokens=9, messages=turns)
    if format == "ANTHROPIC_MESSAGES":
        assert gate.asked(0).json["thinking"] == {"type": "enabled", "budget_tokens": 2048}
        assert gate.asked(1).json["messages"] == turns
    else:
        assert gate.asked(0).json["reasoning_effort"] in {"low", "medium", "high"}
        assert "Sunny." in str(gate.asked(1).json["messages"][1]["content"])


def test_models_are_listed_and_found(client: anthropic.Anthropic, gate: Gate) -> None:
    model = gate.model()

    assert model in {one.id for one in client.models.list()}
    assert client.models.retrieve(model).id == model
    with pytest.raises(anthropic.NotFoundError, match="no model") as raised:
        client.models.retrieve(f"{gate.workspace}/nobody")
    assert raised.value.type == "not_found_error"
    with pytest.raises(anthropic.NotFoundError, match="resource was not found"):
        client.messages.count_tokens(model=model, messages=HELLO)


def test_refusals_are_its_own_errors(client: anthropic.Anthropic, gate: Gate) -> None:
    with pytest.raises(anthropic.NotFoundError, match="'nobody' does not exist") as raised:
        client.messages.create(model=f"{gate.workspace}/nobody", max_tokens=9, messages=HELLO)
    body: Any = raised.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    with pytest.raises(anthropic.UnprocessableEntityError, match="container"):
        client.messages.create(model=gate.model(), max_tokens=9, messages=HELLO, container="c")
    assert gate.engine.requests == []


@both
@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500, 529])
def test_an_upstreams_status(client: anthropic.Anthropic, gate: Gate, format: str, status: int) -> None:
    gate.engine.always = failing(format, status, *((("retry-after", "30"),) if status == 429 else ()))
    shown = 502 if status in {401, 404} else status
    kinds: dict[int, type[anthropic.APIStatusError]] = {
        400: anthropic.BadRequestError,
        422: anthropic.UnprocessableEntityError,
        429: anthropic.RateLimitError,
    }

    with pytest.raises(kinds.get(shown, anthropic.InternalServerError), match="engine trouble") as raised:
        client.messages.create(
            model=gate.model(format=format, routing={"retries": 0}), max_tokens=9, messages=HELLO, stream=True
        )

    assert raised.value.status_code == shown
    assert raised.value.response.headers.get("retry-after") == ("30" if status == 429 else None)


@both
@pytest.mark.parametrize("pieces", [4, 6])
def test_a_stream_that_is_cut_raises(client: anthropic.Anthropic, gate: Gate, format: str, pieces: int) -> None:
    gate.engine.always = faults.cut_after(pieces)
    model = gate.model(format=format)

    with (
        pytest.raises(anthropic.APIError, match=r"broke off|ended"),
        client.messages.stream(model=model, max_tokens=9, messages=HELLO) as stream,
    ):
        stream.get_final_message()
    kinds = []
    with pytest.raises(anthropic.APIError, match=r"broke off|ended"):
        for event in client.messages.create(model=model, max_tokens=9, messages=HELLO, stream=True):
            kinds.append(event.type)
    assert "message_stop" not in kinds


@both
async def test_a_client_that_leaves_ends_the_upstreams_request(
    async_client: anthropic.AsyncAnthropic, gate: Gate, format: str
) -> None:
    model = gate.model(format=format)
    gate.engine.always = faults.stalling(5)
    stream = await async_client.messages.create(model=model, max_tokens=9, messages=HELLO, stream=True)
    async for _ in stream:
        break
    await stream.close()
    await asyncio.to_thread(until, lambda: gate.asked(0).left_at is not None)

    gate.engine.always = faults.STALL
    task = asyncio.create_task(async_client.messages.create(model=model, max_tokens=9, messages=HELLO))
    await asyncio.to_thread(gate.engine.wait_for, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(until, lambda: gate.asked(1).left_at is not None)
