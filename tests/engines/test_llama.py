"""llama.cpp's own server behind the gateway. It speaks both dialects, so each is held against the other."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.engines.conftest import WORDS, engine, free_port
from tests.engines.ggufs import write_gguf
from tests.gateway.upstreams import until

HELLO: Any = [{"role": "user", "content": "weigh the goods"}]
WORKSPACE = "llamas"
PATH = f"/apis/models/v2/workspaces/{WORKSPACE}"
MOST = 12
GREEDY = {"temperature": 0}
both = pytest.mark.parametrize("model", [f"{WORKSPACE}/tiny-gguf", f"{WORKSPACE}/as-messages"])


@pytest.fixture(scope="module")
def served(http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the engine, whose model is found by discovery; `as-messages` is the same in the other dialect."""
    folder = tmp_path_factory.mktemp("llama")
    write_gguf(folder / "tiny.gguf", WORDS)
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("llama_server.py")), str(folder / "tiny.gguf"), str(port)]
    url = f"http://127.0.0.1:{port}"
    with engine(command, {}, folder / "log", f"{url}/health"):
        assert http.post("/apis/entities/v2/workspaces", json={"name": WORKSPACE}).status_code == 201
        assert http.post(f"{PATH}/providers", json={"name": "llama", "host_url": url}).status_code == 201
        until(lambda: http.get(f"{PATH}/providers/llama").json()["status"] == "READY")
        endpoint = {"url": url, "model_id": "tiny.gguf"}
        body = {"name": "as-messages", "api_endpoint": endpoint, "backend_format": "ANTHROPIC_MESSAGES"}
        assert http.post(f"{PATH}/models", json=body).status_code == 201
        yield url


@pytest.fixture
def chat(served: str, server_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="k", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def messages(served: str, server_url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server_url, api_key="k", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def words(served: str) -> str:
    """What the engine itself answers, asked without us."""
    body = {"model": "tiny.gguf", "messages": HELLO, "max_tokens": MOST, **GREEDY}
    answer = httpx.post(f"{served}/v1/chat/completions", json=body, timeout=60).json()
    text: str = answer["choices"][0]["message"]["content"]
    assert len(text.split()) == MOST
    assert set(text.split()) <= set(WORDS)
    return text


@both
def test_chat(chat: openai.OpenAI, words: str, model: str) -> None:
    asked: Any = {"model": model, "messages": HELLO, "max_tokens": MOST, **GREEDY}
    whole = chat.chat.completions.create(**asked)
    *chunks, last = chat.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})

    assert whole.choices[0].message.content == words
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == words
    assert {whole.model, last.model, *(chunk.model for chunk in chunks)} == {model}
    assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "length"
    for usage in (whole.usage, last.usage):
        assert usage is not None
        # Whichever dialect counts them, and whatever was read from the engine's cache.
        assert (usage.prompt_tokens > MOST, usage.completion_tokens) == (True, MOST)
    assert whole.usage is not None
    assert last.usage is not None
    assert whole.usage.prompt_tokens == last.usage.prompt_tokens


@both
def test_responses(chat: openai.OpenAI, words: str, model: str) -> None:
    asked: Any = {"model": model, "input": HELLO, "max_output_tokens": MOST, **GREEDY}
    whole = chat.responses.create(**asked)
    *events, last = chat.responses.create(**asked, stream=True)

    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert whole.output_text == last.response.output_text == "".join(deltas) == words
    assert len(deltas) > 1
    assert (last.type, whole.status) == ("response.incomplete", "incomplete")
    assert whole.usage is not None
    assert whole.usage.output_tokens == MOST


@both
def test_messages(messages: anthropic.Anthropic, words: str, model: str) -> None:
    asked: Any = {"model": model, "max_tokens": MOST, "messages": HELLO, "extra_body": GREEDY}
    whole = messages.messages.create(**asked)
    with messages.messages.stream(**asked) as stream:
        pieces = list(stream.text_stream)
        streamed = stream.get_final_message()

    assert "".join(pieces) == words
    assert len(pieces) > 1
    for made in (whole, streamed):
        assert [block.text for block in made.content if block.type == "text"] == [words]
        assert (made.model, made.stop_reason, made.usage.output_tokens) == (model, "max_tokens", MOST)


class Goods(BaseModel):
    """What the grammar makes of random weights."""

    heavy: bool


def test_structured_output_is_what_the_schema_says(chat: openai.OpenAI, messages: anthropic.Anthropic) -> None:
    model = f"{WORKSPACE}/tiny-gguf"
    by_chat = chat.chat.completions.parse(model=model, messages=HELLO, response_format=Goods, max_tokens=99, **GREEDY)
    by_responses = chat.responses.parse(model=model, input=HELLO, text_format=Goods, max_output_tokens=99, **GREEDY)
    by_messages = messages.messages.parse(
        model=model, max_tokens=99, messages=HELLO, output_format=Goods, extra_body=GREEDY
    )

    assert isinstance(by_chat.choices[0].message.parsed, Goods)
    assert by_responses.output_parsed == by_messages.parsed_output == by_chat.choices[0].message.parsed


def test_completions(chat: openai.OpenAI) -> None:
    asked: Any = {"model": f"{WORKSPACE}/tiny-gguf", "prompt": "weigh the", "max_tokens": MOST, **GREEDY}
    whole = chat.completions.create(**asked)
    streamed = [chunk.choices[0].text for chunk in chat.completions.create(**asked, stream=True) if chunk.choices]

    assert whole.choices[0].text == "".join(streamed)
    assert len(whole.choices[0].text.split()) == MOST


@both
def test_its_refusals_are_told(chat: openai.OpenAI, messages: anthropic.Anthropic, model: str) -> None:
    long: Any = [{"role": "user", "content": "goods " * 3000}]
    with pytest.raises(openai.BadRequestError, match="context"):
        chat.chat.completions.create(model=model, messages=long, stream=True)
    with pytest.raises(anthropic.BadRequestError, match="context"):
        messages.messages.create(model=model, max_tokens=MOST, messages=long)


def test_embeddings_that_it_does_not_make(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="does not support embeddings") as raised:
        chat.embeddings.create(model=f"{WORKSPACE}/tiny-gguf", input="goods")
    assert raised.value.status_code == 501


@both
def test_a_client_that_leaves_frees_its_place(chat: openai.OpenAI, words: str, model: str) -> None:
    """It has two places; four clients that leave in the middle keep none of them."""
    asked: Any = {"model": model, "messages": HELLO, **GREEDY}
    for _ in range(4):
        stream = chat.chat.completions.create(**asked, max_tokens=400, stream=True)
        next(iter(stream))
        stream.close()

    assert chat.chat.completions.create(**asked, max_tokens=MOST).choices[0].message.content == words
