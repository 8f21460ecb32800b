"""`transformers serve` behind the gateway: it takes its model from our registry, and is found by discovery."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from huggingface_hub import HfApi

from tests.engines.conftest import WORDS, engine, free_port
from tests.gateway.upstreams import until

HELLO: Any = [{"role": "user", "content": "weigh the goods"}]
WORKSPACE = "engines"
MODEL = f"{WORKSPACE}/tiny-llama"
MOST = 12


@pytest.fixture(scope="module")
def served(
    http: httpx.Client, server_url: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the engine, whose model is a checkpoint that our registry holds."""
    home = tmp_path_factory.mktemp("transformers")
    assert http.post("/apis/entities/v2/workspaces", json={"name": WORKSPACE}).status_code == 201
    hub = f"{server_url}/apis/files/v2/hf"
    api = HfApi(endpoint=hub)
    api.create_repo(MODEL)
    api.upload_folder(repo_id=MODEL, folder_path=checkpoint)
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", MODEL]
    environ = {"HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    options = ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with engine([*command, *options], environ, home / "log", f"{url}/health"):
        provider = {"name": "transformers", "host_url": url}
        path = f"/apis/models/v2/workspaces/{WORKSPACE}"
        assert http.post(f"{path}/providers", json=provider).status_code == 201
        until(lambda: http.get(f"{path}/providers/transformers").json()["status"] == "READY")
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
    body = {"model": MODEL, "messages": HELLO, "max_tokens": MOST}
    answer = httpx.post(f"{served}/v1/chat/completions", json=body, timeout=60).json()
    text: str = answer["choices"][0]["message"]["content"]
    assert len(text.split()) == MOST
    assert set(text.split()) <= set(WORDS)
    return text


def test_discovery_has_made_its_model(served: str, http: httpx.Client) -> None:
    provider = http.get(f"/apis/models/v2/workspaces/{WORKSPACE}/providers/transformers").json()
    model = http.get(f"/apis/models/v2/workspaces/{WORKSPACE}/models/tiny-llama").json()

    assert provider["served_models"] == [{"model_entity_id": MODEL, "served_model_name": MODEL}]
    assert model["model_providers"] == [f"{WORKSPACE}/transformers"]
    assert model["backend_format"] == "OPENAI_CHAT"


def test_chat(chat: openai.OpenAI, words: str) -> None:
    whole = chat.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=MOST)
    chunks = list(chat.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=MOST, stream=True))

    assert whole.choices[0].message.content == words
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == words
    # It calls its model by another name, with the revision; the caller sees the name that it has asked for.
    assert {whole.model, *(chunk.model for chunk in chunks)} == {MODEL}
    assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == MOST


def test_responses_are_translated(chat: openai.OpenAI, words: str) -> None:
    asked: Any = {"model": MODEL, "input": HELLO, "max_output_tokens": MOST}
    whole = chat.responses.create(**asked)
    with chat.responses.stream(**asked) as stream:
        events: Any = list(stream)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    streamed = events[-1].response

    assert whole.output_text == streamed.output_text == text == words
    assert events[-1].type == "response.incomplete"
    for made in (whole, streamed):
        assert (made.status, made.model) == ("incomplete", MODEL)
        assert made.incomplete_details is not None
        assert made.incomplete_details.reason == "max_output_tokens"
        assert made.usage is not None
        assert made.usage.output_tokens == MOST


def test_messages_are_translated(messages: anthropic.Anthropic, words: str) -> None:
    whole = messages.messages.create(model=MODEL, max_tokens=MOST, messages=HELLO)
    with messages.messages.stream(model=MODEL, max_tokens=MOST, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()

    assert text == words
    for made in (whole, streamed):
        assert [block.text for block in made.content if block.type == "text"] == [words]
        assert (made.model, made.stop_reason, made.usage.output_tokens) == (MODEL, "max_tokens", MOST)


def test_the_prompt_of_the_record_changes_what_is_said(chat: openai.OpenAI, http: httpx.Client, words: str) -> None:
    path = f"/apis/models/v2/workspaces/{WORKSPACE}/models/tiny-llama"
    prompt = {"system_prompt": "let them pass", "inference_params": {"max_tokens": 5}}
    assert http.patch(path, json={"prompt": prompt}).status_code == 200
    try:
        with_prompt = chat.chat.completions.create(model=MODEL, messages=HELLO)
        asked = [{"role": "system", "content": "let them pass"}, *HELLO]
    finally:
        assert http.patch(path, json={"prompt": {}}).status_code == 200
    without: Any = chat.chat.completions.create(model=MODEL, messages=asked, max_tokens=5)

    assert with_prompt.choices[0].message.content == without.choices[0].message.content
    assert with_prompt.usage is not None
    assert with_prompt.usage == without.usage
    assert with_prompt.usage.completion_tokens == 5


def test_its_own_routes_are_reached_through_the_provider(served: str, server_url: str, words: str) -> None:
    route = f"{server_url}/apis/inference-gateway/v2/workspaces/{WORKSPACE}/provider/transformers/-/v1"
    with openai.OpenAI(base_url=route, api_key="k", max_retries=0, timeout=60) as client:
        response = client.responses.create(model=MODEL, input=HELLO, max_output_tokens=MOST, stream=False)
        streamed = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=MOST, stream=True)
        chunks = list(streamed)

    assert response.output_text == words
    assert {chunk.model for chunk in chunks} == {f"{MODEL}@main"}  # as the engine has said it


def test_its_refusal_is_told(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="Unexpected fields"):
        chat.chat.completions.create(model=MODEL, messages=HELLO, extra_body={"no_such_field": 1})


def test_a_client_that_leaves_stops_the_tokens(chat: openai.OpenAI, words: str) -> None:
    stream = chat.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=400, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()

    # The engine goes on with the next request, and says the same as before.
    again = chat.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=MOST)
    assert again.choices[0].message.content == words
