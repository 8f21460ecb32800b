"""The SDK and the `nemo` command ask models: by the client that the SDK makes, by its resources, by `nemo chat`."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from nemo_platform import AsyncNeMoPlatform, NeMoPlatform, NotFoundError  # type: ignore[import-not-found,unused-ignore]

from tests.clients.conftest import Nemo
from tests.gateway.replies import WORDS
from tests.gateway.upstreams import Upstream, upstream

TEXT = "".join(WORDS)
CHAT = "v1/chat/completions"
HELLO: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[Upstream]:
    with upstream() as engine:
        yield engine


@pytest.fixture
def engine(shared_engine: Upstream) -> Iterator[Upstream]:
    """An engine that serves `tiny`."""
    shared_engine.settle()
    yield shared_engine
    shared_engine.settle()


@pytest.fixture
def provider(sdk: NeMoPlatform, engine: Upstream) -> Any:
    """The engine as a provider with a key, whose model has been discovered."""
    sdk.secrets.create(name="key", value="sk-engine")
    provider = sdk.inference.providers.create(name="here", host_url=engine.url, api_key_secret_name="key")
    assert sdk.models.wait_for_provider("here", timeout=20)
    engine.requests.clear()
    return provider


@pytest.fixture
def chat(sdk: NeMoPlatform) -> Iterator[openai.OpenAI]:
    """OpenAI's client, as the SDK makes it."""
    with sdk.models.get_openai_client() as client:
        yield client.with_options(max_retries=0)


def _body(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **more}


@pytest.mark.usefixtures("provider")
def test_a_provider_is_discovered_and_its_model_answers(
    sdk: NeMoPlatform, engine: Upstream, chat: openai.OpenAI
) -> None:
    name = f"{sdk.workspace}/tiny"
    assert sdk.models.wait_for_gateway("here", timeout=5)
    found = sdk.inference.providers.retrieve("here")
    assert (found.status, [one.served_model_name for one in found.served_models]) == ("READY", ["tiny"])
    assert sdk.models.retrieve("tiny").model_providers == [f"{sdk.workspace}/here"]
    assert [one.id for one in sdk.inference.models.list().data] == [name]
    assert sdk.inference.models.get("tiny").id == name
    assert [one.id for one in chat.models.list()] == [name]

    whole = chat.chat.completions.create(model=name, messages=HELLO)
    streamed = list(chat.chat.completions.create(model="tiny", messages=HELLO, stream=True))

    assert (whole.model, whole.choices[0].message.content) == (name, TEXT)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == TEXT
    assert {seen.header("authorization") for seen in engine.requests} == {"Bearer sk-engine"}


def test_the_urls_that_the_sdk_makes_are_base_urls(sdk: NeMoPlatform, provider: Any, engine: Upstream) -> None:
    by_model = sdk.models.get_model_entity_route_openai_url(sdk.models.retrieve("tiny"))
    by_provider = sdk.models.get_provider_route_openai_url(provider)

    for url, model in ((by_model, "whatever"), (by_provider, "tiny")):
        with openai.OpenAI(base_url=url, api_key="not-needed", max_retries=0) as client:
            assert client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content == TEXT
            streamed = client.chat.completions.create(model=model, messages=HELLO, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == TEXT
    assert {seen.json["model"] for seen in engine.requests} == {"tiny"}
    assert {seen.path for seen in engine.requests} == {"/v1/chat/completions"}


@pytest.mark.usefixtures("provider")
def test_resources_that_write_the_rest_of_the_path_percent_encoded(sdk: NeMoPlatform, engine: Upstream) -> None:
    gateway = sdk.inference.gateway

    answers: list[Any] = [
        gateway.openai.post(CHAT, body=_body(f"{sdk.workspace}/tiny")),
        gateway.model.post(CHAT, name="tiny", body={"messages": HELLO}),
        gateway.provider.post(CHAT, name="here", body=_body("tiny")),
    ]

    assert [one["choices"][0]["message"]["content"] for one in answers] == [TEXT] * 3
    assert {seen.path for seen in engine.requests} == {"/v1/chat/completions"}
    listed: Any = gateway.provider.get("v1/models", name="here")
    assert [one["id"] for one in listed["data"]] == ["tiny"]
    with gateway.openai.with_streaming_response.post(CHAT, body=_body("tiny", stream=True)) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    with pytest.raises(NotFoundError, match="'nobody'"):
        gateway.model.post(CHAT, name="nobody", body={"messages": HELLO})


async def test_the_asynchronous_sdk(async_sdk: AsyncNeMoPlatform, provider: Any) -> None:
    url = async_sdk.models.get_provider_route_openai_url(provider)
    async with openai.AsyncOpenAI(base_url=url, api_key="not-needed") as client:
        answer = await client.chat.completions.create(model="tiny", messages=HELLO)
    said: Any = await async_sdk.inference.gateway.model.post(CHAT, name="tiny", body={"messages": HELLO})

    assert answer.choices[0].message.content == said["choices"][0]["message"]["content"] == TEXT


def test_a_virtual_model_is_made_asked_changed_and_deleted(
    sdk: NeMoPlatform, engine: Upstream, chat: openai.OpenAI
) -> None:
    for name in ("one", "two"):
        sdk.models.create(name=name, api_endpoint={"url": engine.url, "model_id": f"engine-{name}"})
    one, two = f"{sdk.workspace}/one", f"{sdk.workspace}/two"
    made = sdk.inference.virtual_models.create(name="best", default_model_entity=one)
    assert (made.name, made.default_model_entity, made.autoprovisioned) == ("best", one, False)
    assert [vm.name for vm in sdk.inference.virtual_models.list()] == ["best"]

    def asked() -> str:
        answer = chat.chat.completions.create(model="best", messages=HELLO)
        assert answer.model == f"{sdk.workspace}/best"
        return f"{engine.requests[-1].path} {engine.requests[-1].json['model']}"

    assert asked() == "/v1/chat/completions engine-one"
    sdk.inference.virtual_models.patch("best", default_model_entity=two)
    assert asked() == "/v1/chat/completions engine-two"
    sdk.inference.virtual_models.patch("best", models=[{"model": two, "backend_format": "ANTHROPIC_MESSAGES"}])
    assert asked() == "/v1/messages engine-two"
    assert sdk.inference.virtual_models.retrieve("best").models[0].backend_format == "ANTHROPIC_MESSAGES"
    sdk.inference.virtual_models.delete("best")

    with pytest.raises(openai.NotFoundError, match="'best'"):
        chat.chat.completions.create(model="best", messages=HELLO)
    with pytest.raises(NotFoundError):
        sdk.inference.virtual_models.retrieve("best")


def test_a_status_names_what_an_engine_serves_that_lists_nothing(
    sdk: NeMoPlatform, engine: Upstream, chat: openai.OpenAI
) -> None:
    sdk.models.create(name="mine")
    sdk.inference.providers.create(name="here", host_url=f"{engine.url}/v1", extra_body={"discover": False})
    with pytest.raises(openai.NotFoundError, match="not served"):
        chat.chat.completions.create(model="mine", messages=HELLO)
    served = [{"model_entity_id": f"{sdk.workspace}/mine", "served_model_name": "tiny"}]

    sdk.inference.providers.update_status("here", served_models=served, status="READY")

    assert chat.chat.completions.create(model="mine", messages=HELLO).choices[0].message.content == TEXT
    assert engine.requests[-1].json["model"] == "tiny"


@pytest.mark.usefixtures("provider")
def test_nemo_chats(nemo: Nemo, workspace: str, engine: Upstream) -> None:
    spoken = nemo("chat", f"{workspace}/tiny", "hi", "--system-message", "Be kind.", "--max-tokens", "9")
    assert spoken.returncode == 0, spoken.stderr
    assert spoken.stdout.strip() == TEXT
    asked = engine.requests[-1].json
    assert (asked["max_tokens"], asked["stream"]) == (9, True)
    assert [one["content"] for one in asked["messages"]] == ["Be kind.", "hi"]

    by_provider = nemo("chat", "tiny", "hi", "--provider", "here", "--workspace", workspace, "-f", "json")
    assert by_provider.returncode == 0, by_provider.stderr
    assert TEXT in json.dumps(json.loads(by_provider.stdout), ensure_ascii=False)


@pytest.mark.usefixtures("provider")
def test_nemo_asks_the_gateways_routes(nemo: Nemo, workspace: str) -> None:
    asked = ("inference", "gateway", "model", "post", CHAT, "tiny", "--workspace", workspace)
    answer = nemo(*asked, "--body", json.dumps({"messages": HELLO}), "-f", "json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"] == TEXT
    ready = nemo("wait", "inference", "provider", "here", "--workspace", workspace, "--timeout", "5")
    assert ready.returncode == 0, ready.stdout + ready.stderr
