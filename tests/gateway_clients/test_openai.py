"""OpenAI's own client against the gateway, whatever the engine behind it speaks: the answers that people build on."""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import openai
import pytest
from pydantic import BaseModel

from tests.gateway.dialects import samples
from tests.gateway.replies import PROMPT_TOKENS, WORDS
from tests.gateway_clients.conftest import FORMATS, PATHS, Gate, saying

TEXT = "".join(WORDS)
HELLO: Any = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}]
WEATHER: Any = {"name": "weather", "description": "Tells it", "parameters": {"type": "object", "properties": {}}}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()

both = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture(params=["short", "workspace"])
def base_url(request: pytest.FixtureRequest, gate: Gate) -> str:
    """The two base URLs that a client can be given."""
    return f"{gate.url}/v1" if request.param == "short" else gate.workspace_url


@pytest.fixture
def client(gate: Gate) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gate.url}/v1", api_key="sk-caller", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
async def async_client(gate: Gate) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gate.url}/v1", api_key="sk-caller", max_retries=0, timeout=20) as client:
        yield client


@both
def test_chat_by_both_base_urls(gate: Gate, base_url: str, format: str) -> None:
    model = gate.model(format=format)
    with openai.OpenAI(base_url=base_url, api_key="sk-caller", max_retries=0) as client:
        whole = client.chat.completions.create(model=model, messages=HELLO, max_completion_tokens=9)
        chunks = list(client.chat.completions.create(model=model, messages=HELLO, max_tokens=9, stream=True))

    assert whole.choices[0].message.content == TEXT
    assert whole.choices[0].finish_reason == "stop"
    assert whole.model == model
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (PROMPT_TOKENS, len(WORDS))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert {chunk.model for chunk in chunks} == {model}
    assert all(chunk.usage is None for chunk in chunks)
    seen = gate.asked()
    assert seen.path == PATHS[format]
    key = "authorization" if format == "OPENAI_CHAT" else "x-api-key"
    assert "sk-engine" in (seen.header(key) or "")
    assert not any("sk-caller" in value for _, value in seen.headers)
    assert (seen.json["model"], seen.json["messages"][-1]["role"]) == ("tiny", "user")


def test_a_bare_name_is_of_the_workspace_of_the_route(gate: Gate) -> None:
    model = gate.model()
    with openai.OpenAI(base_url=gate.workspace_url, api_key="k", max_retries=0) as client:
        assert client.chat.completions.create(model="tiny", messages=HELLO).model == model


def test_a_model_is_called_as_it_was_asked_for_whatever_its_engine_calls_it(client: openai.OpenAI, gate: Gate) -> None:
    """An engine may be asked by a model's very name, and answer by another: with a revision, or its file."""
    called = f"{gate.workspace}/tiny"
    model = gate.model(api_endpoint={"url": gate.engine.url, "model_id": called})
    assert model == called
    answer = samples.CHATS["text"]
    gate.engine.next(saying("OPENAI_CHAT", answer), saying("OPENAI_CHAT", answer, streamed=True))

    whole = client.chat.completions.create(model=model, messages=HELLO)
    chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True))

    assert gate.asked().json["model"] == called
    assert {whole.model, *(chunk.model for chunk in chunks)} == {called}


def test_the_id_of_a_request_goes_on_in_a_form_that_every_engine_takes(client: openai.OpenAI, gate: Gate) -> None:
    """llama-cpp-python's server refuses each request whose id is no UUID."""
    asked: Any = {"model": gate.model(), "messages": HELLO}
    ours = client.chat.completions.with_raw_response.create(**asked).headers["x-request-id"]
    client.chat.completions.create(**asked, extra_headers={"x-request-id": "call-7"})

    assert ours == f"req_{UUID(gate.asked(0).header('x-request-id'))}"
    assert gate.asked(1).header("x-request-id") == "call-7"


@both
def test_usage_of_a_stream_comes_where_it_is_asked_for(client: openai.OpenAI, gate: Gate, format: str) -> None:
    model = gate.model(format=format)

    stream = client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )

    *_, last = stream
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == PROMPT_TOKENS + len(WORDS)


@both
async def test_the_asynchronous_client(async_client: openai.AsyncOpenAI, gate: Gate, format: str) -> None:
    model = gate.model(format=format)

    whole = await async_client.chat.completions.create(model=model, messages=HELLO)
    stream = await async_client.chat.completions.create(model=model, messages=HELLO, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    response = await async_client.responses.create(model=model, input="hi")

    assert whole.choices[0].message.content == text == response.output_text == TEXT


@both
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tools_are_called_and_answered(client: openai.OpenAI, gate: Gate, format: str, streamed: bool) -> None:
    model = gate.model(format=format)
    answers = samples.CHATS if format == "OPENAI_CHAT" else samples.MESSAGES
    gate.engine.next(saying(format, answers["all"], streamed=streamed), saying(format, answers["text"]))
    tools: Any = [{"type": "function", "function": WEATHER}]
    asked: Any = {"model": model, "tools": tools, "tool_choice": "auto"}

    if streamed:
        with client.chat.completions.stream(messages=HELLO, **asked) as stream:
            names = [event.name for event in stream if event.type == "tool_calls.function.arguments.done"]
            message = stream.get_final_completion().choices[0].message
        assert names == ["weather", "weather"]
    else:
        message = client.chat.completions.create(messages=HELLO, **asked).choices[0].message
    calls: Any = message.tool_calls
    assert [call.function.arguments for call in calls] == ['{"city":"Köln"}'] * 2
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "Sunny"} for call in calls]
    said: Any = message.model_dump(exclude_none=True, exclude={"parsed", "annotations"})
    for call in said["tool_calls"]:
        # What the client's helper adds to it, and no engine knows.
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    final = client.chat.completions.create(messages=[*HELLO, said, *results], **asked)

    assert final.choices[0].message.content == "Grüße, 世界 🌍"
    first, second = gate.asked(0).json, gate.asked(1).json
    if format == "OPENAI_CHAT":
        assert first["tools"] == tools
        assert [one["tool_call_id"] for one in second["messages"][-2:]] == ["call_1", "call_2"]
    else:
        assert first["tools"][0]["name"] == "weather"
        assert first["tools"][0]["input_schema"] == WEATHER["parameters"]
        assert [block["type"] for block in second["messages"][-1]["content"]] == ["tool_result", "tool_result"]
        assert [block["tool_use_id"] for block in second["messages"][-1]["content"]] == ["toolu_1", "toolu_2"]
        # What the model had thought goes back to it, signed as it was.
        assert second["messages"][-2]["content"][0]["signature"] == "c2lnbmVk"


@both
def test_images_go_on(client: openai.OpenAI, gate: Gate, format: str) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    content: Any = [{"type": "text", "text": "What is it?"}, image]

    client.chat.completions.create(model=gate.model(format=format), messages=[{"role": "user", "content": content}])

    parts = gate.asked().json["messages"][0]["content"]
    assert parts[0] == {"type": "text", "text": "What is it?"}
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert parts[1] == (image if format == "OPENAI_CHAT" else {"type": "image", "source": source})


class City(BaseModel):
    """What the model is to answer."""

    name: str
    people: int


@both
def test_structured_output_is_parsed_by_the_client(client: openai.OpenAI, gate: Gate, format: str) -> None:
    model, text = gate.model(format=format), '{"name": "Köln", "people": 1087353}'
    made = samples.chat({"content": text}) if format == "OPENAI_CHAT" else samples.message([_text(text)])
    gate.engine.next(saying(format, made), saying(format, made, streamed=True), saying(format, made))

    chat = client.chat.completions.parse(model=model, messages=HELLO, response_format=City)
    with client.chat.completions.stream(model=model, messages=HELLO, response_format=City) as stream:
        streamed = stream.get_final_completion()
    response = client.responses.parse(model=model, input="Which city?", text_format=City)

    wanted = City(name="Köln", people=1087353)
    assert chat.choices[0].message.parsed == streamed.choices[0].message.parsed == response.output_parsed == wanted
    for seen in gate.engine.requests:
        asked = seen.json
        schema = (
            asked["response_format"]["json_schema"]["schema"]
            if format == "OPENAI_CHAT"
            else asked["output_config"]["format"]["schema"]
        )
        assert set(schema["properties"]) == {"name", "people"}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


@both
def test_responses_with_tools_and_a_conversation(client: openai.OpenAI, gate: Gate, format: str) -> None:
    model = gate.model(format=format)
    answers = samples.CHATS if format == "OPENAI_CHAT" else samples.MESSAGES
    gate.engine.next(saying(format, answers["call"], streamed=True), saying(format, answers["text"]))
    tools: Any = [{"type": "function", "strict": False, **WEATHER}]

    with client.responses.stream(model=model, input="Weather?", instructions="Be kind.", tools=tools) as stream:
        kinds = [event.type for event in stream]
        first = stream.get_final_response()
    call: Any = first.output[-1]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.function_call_arguments.delta" in kinds
    assert (call.type, call.name, call.parsed_arguments or call.arguments) == (
        "function_call",
        "weather",
        call.arguments,
    )
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny"}
    sent: Any = [{"role": "user", "content": "Weather?"}, _sendable(call), result]
    second = client.responses.create(model=model, input=sent, instructions="Be kind.", tools=tools)

    assert second.output_text == "Grüße, 世界 🌍"
    assert second.model == model
    asked = gate.asked(1).json["messages"]
    assert "Sunny" in str(asked[-1])
    assert [one["role"] for one in asked][-3:] == (
        ["user", "assistant", "tool"] if format == "OPENAI_CHAT" else ["user", "assistant", "user"]
    )


def _sendable(item: Any) -> dict[str, Any]:
    made: dict[str, Any] = item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
    return made


def test_embeddings_and_completions(client: openai.OpenAI, gate: Gate) -> None:
    model = gate.model()

    embedded = client.embeddings.create(model=model, input=["a", "b"], encoding_format="float", dimensions=2)
    whole = client.completions.create(model=model, prompt="Once", max_tokens=5)
    streamed = list(client.completions.create(model=model, prompt="Once", stream=True))

    assert [one.embedding for one in embedded.data] == [[0.5, -0.5]] * 2
    assert embedded.model == whole.model == streamed[0].model == model
    assert whole.choices[0].text == "".join(one.choices[0].text for one in streamed) == TEXT
    assert [seen.path for seen in gate.engine.requests] == ["/v1/embeddings", "/v1/completions", "/v1/completions"]
    assert gate.asked().json == {"model": "tiny", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2}


def test_models_are_listed_and_found(client: openai.OpenAI, gate: Gate) -> None:
    model = gate.model()
    body = {"name": "virtual", "default_model_entity": model}
    path = f"/apis/inference-gateway/v2/workspaces/{gate.workspace}/virtual-models"
    assert gate.http.post(path, json=body).status_code == 201

    listed = {one.id for one in client.models.list()}
    with openai.OpenAI(base_url=gate.workspace_url, api_key="k") as ours:
        assert {one.id for one in ours.models.list()} == {model, f"{gate.workspace}/virtual"}
        assert ours.models.retrieve("virtual").id == f"{gate.workspace}/virtual"

    assert {model, f"{gate.workspace}/virtual"} <= listed
    found = client.models.retrieve(model)
    assert (found.id, found.owned_by, found.object) == (model, gate.workspace, "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(f"{gate.workspace}/nobody")
    answer = client.chat.completions.create(model=f"{gate.workspace}/virtual", messages=HELLO)
    assert answer.model == f"{gate.workspace}/virtual"
