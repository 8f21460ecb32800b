"""LangChain's client of OpenAI's API against the gateway."""

import warnings
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it warns of when it is loaded is its own affair
    from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field, SecretStr

from tests.gateway.dialects import samples
from tests.gateway.replies import PROMPT_TOKENS, WORDS
from tests.gateway_clients.conftest import FORMATS, Gate, saying

TEXT = "".join(WORDS)
both = pytest.mark.parametrize("format", FORMATS)


def chat(gate: Gate, format: str, **options: Any) -> ChatOpenAI:
    """LangChain's model for a new one of ours, whose engine speaks `format`."""
    name = gate.model(format.lower(), format)
    return ChatOpenAI(model=name, base_url=f"{gate.url}/v1", api_key=SecretStr("k"), max_retries=0, **options)


@tool  # type: ignore[untyped-decorator,unused-ignore]
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"Sunny in {city}"


class Answer(BaseModel):
    """A city."""

    name: str = Field(description="Its name")
    people: int


@both
@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
def test_invoke_and_stream(gate: Gate, format: str, responses: bool) -> None:
    model = chat(gate, format, use_responses_api=responses, stream_usage=True)
    asked = [SystemMessage("Be kind."), HumanMessage("hi")]

    whole = model.invoke(asked)
    streamed: Any = None
    for chunk in model.stream(asked):
        assert isinstance(chunk, AIMessageChunk)
        streamed = chunk if streamed is None else streamed + chunk

    for made in (whole, streamed):
        assert made.text == TEXT
        assert made.usage_metadata["input_tokens"] == PROMPT_TOKENS
        assert made.usage_metadata["output_tokens"] == len(WORDS)


async def test_asynchronously(gate: Gate) -> None:
    # All models of one address share a client, which belongs to one event loop and is never closed: so one test.
    models = [chat(gate, format) for format in FORMATS]

    for model in models:
        assert (await model.ainvoke("hi")).text == TEXT
        assert "".join([chunk.text async for chunk in model.astream("hi")]) == TEXT
    await models[0].root_async_client.close()


@both
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tools_are_bound_called_and_answered(gate: Gate, format: str, streamed: bool) -> None:
    model = chat(gate, format).bind_tools([weather])
    answers = samples.CHATS if format == "OPENAI_CHAT" else samples.MESSAGES
    gate.engine.next(saying(format, answers["all"], streamed=streamed), saying(format, answers["text"]))

    made: Any = None
    for chunk in model.stream("Weather?") if streamed else [model.invoke("Weather?")]:
        made = chunk if made is None else made + chunk
    assert [(call["name"], call["args"]) for call in made.tool_calls] == [("weather", {"city": "Köln"})] * 2
    results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in made.tool_calls]
    final = model.invoke([HumanMessage("Weather?"), made, *results])

    assert final.text == "Grüße, 世界 🌍"
    assert "Sunny in Köln" in str(gate.asked(1).json["messages"])


@both
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(gate: Gate, format: str, method: Any) -> None:
    model = chat(gate, format).with_structured_output(Answer, method=method)
    text, fields = '{"name": "Köln", "people": 1087353}', {"name": "Köln", "people": 1087353}
    call = {"id": "call_1", "type": "function", "function": {"name": "Answer", "arguments": text}}
    if format == "OPENAI_CHAT":
        by_tool = samples.chat({"content": None, "tool_calls": [call]}, "tool_calls")
        answer = samples.chat({"content": text}) if method == "json_schema" else by_tool
    else:
        by_tool = samples.message(
            [{"type": "tool_use", "id": "toolu_1", "name": "Answer", "input": fields}], "tool_use"
        )
        answer = samples.message([{"type": "text", "text": text}]) if method == "json_schema" else by_tool
    gate.engine.next(saying(format, answer))

    assert model.invoke("Which city?") == Answer(name="Köln", people=1087353)


def test_embeddings(gate: Gate) -> None:
    model = OpenAIEmbeddings(
        model=gate.model(), base_url=f"{gate.url}/v1", api_key=SecretStr("k"), check_embedding_ctx_length=False
    )

    assert model.embed_documents(["a", "b"]) == [[0.5, -0.5]] * 2
    assert model.embed_query("a") == [0.5, -0.5]
    assert gate.asked().json["input"] == ["a", "b"]
