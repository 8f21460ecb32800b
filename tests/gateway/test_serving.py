"""What a name means: who is asked for it, under which name, and with whose prompt."""

import pytest

from tests.api.paths import made
from tests.filesets.checkpoints import llama, lora, put
from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, RESPONSES, Gate, check_error
from tests.gateway.spaces import Space, last, sent
from tests.gateway.upstreams import Upstream


@pytest.fixture
def space(door: Gate) -> Space:
    return Space(door.http)


# Names.


def test_a_model_is_asked_by_its_whole_name_and_answers_by_it(space: Space, engine: Upstream) -> None:
    model = space.served("m", engine)
    for route in (CHAT, MESSAGES, RESPONSES):
        assert space.asks(model, route)["model"] == model
        assert sent(engine)["model"] == "tiny"


def test_a_bare_name_is_of_the_workspace_of_the_route(door: Gate, space: Space, engine: Upstream) -> None:
    space.served("m", engine)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    answer = door.http.post(f"{space.gate}/openai/-/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["model"]) == (200, f"{space.name}/m")
    assert door.http.post(CHAT, json=body).status_code == 404, "in the short form, of the workspace `default`"
    own = door.model(engine)
    answer = door.http.post(CHAT, json={**body, "model": own.removeprefix("default/")})
    assert (answer.status_code, answer.json()["model"]) == (200, own)


def test_a_route_of_one_workspace_takes_whole_names_of_another(space: Space, engine: Upstream) -> None:
    other = Space(space.http)
    model = other.served("m", engine)
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    assert space.http.post(f"{space.gate}/openai/-/v1/chat/completions", json=body).json()["model"] == model


@pytest.mark.parametrize(
    "name", ["nobody", "nowhere/m", "a/b/c", "", "-/m", "m@prod", "../m", "m&adapters/a", "x" * 5000, "m\n", "\u00fc"]
)
def test_a_name_that_means_nothing(space: Space, name: str) -> None:
    body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    answer = space.http.post(f"{space.gate}/openai/-/v1/chat/completions", json=body)
    assert answer.status_code == (404 if name else 400)
    check_error(answer.json(), CHAT)
    assert len(answer.content) < 2000
    answer = space.http.post(f"{space.gate}/openai/-/v1/messages", json={**body, "max_tokens": 1})
    assert answer.status_code == (404 if name else 400)
    check_error(answer.json(), MESSAGES)


def test_a_model_that_nobody_serves_says_so(space: Space) -> None:
    answer = space.ask(space.model("m"))
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_served")
    check_error(answer.json(), CHAT, [f"{space.name}/m"])


# Aliases.


def test_an_alias_is_the_model_as_it_is(space: Space, engine: Upstream, other: Upstream) -> None:
    space.served("m1", engine, prompt={"system_prompt": "one"})
    space.served("m2", other, prompt={"system_prompt": "two"})
    alias = space.alias("m@prod", "m1")
    assert space.asks(alias)["model"] == alias
    assert sent(engine)["messages"][0] == {"role": "system", "content": "one"}
    space.patch("m1", prompt={"system_prompt": "changed"})
    space.asks(alias)
    assert sent(engine)["messages"][0]["content"] == "changed"
    moved = space.http.patch(f"/apis/models/v2/workspaces/{space.name}/aliases/m@prod", json={"model": "m2"})
    assert moved.status_code == 200
    space.asks(alias)
    assert sent(other)["messages"][0]["content"] == "two"


def test_a_pinned_alias_is_the_model_as_it_was(space: Space, engine: Upstream, other: Upstream) -> None:
    space.served("m", engine, prompt={"system_prompt": "then", "inference_params": {"temperature": 0.5}})
    revision = space.http.get(f"{space.models}/m").json()["revision"]
    alias = space.alias("m@pinned", "m", model_revision=revision)
    space.patch("m", prompt={"system_prompt": "now"}, backend_format="ANTHROPIC_MESSAGES")
    space.asks(alias)
    assert (last(engine).path, sent(engine)["messages"][0]["content"]) == (CHAT, "then")
    assert sent(engine)["temperature"] == 0.5
    space.asks("m")
    assert (last(engine).path, sent(engine)["system"]) == (MESSAGES, "now")
    # Who serves it is who serves it now: nobody else could be asked.
    space.http.patch(f"{space.providers}/p-m", json={"host_url": other.url})
    space.asks(alias)
    assert sent(other)["messages"][0]["content"] == "then"


# Who serves a model.


def test_the_providers_that_the_record_names_serve_it_in_their_order(
    space: Space, engine: Upstream, other: Upstream
) -> None:
    space.provider("first", engine, "m=at-first")
    space.provider("second", other, "m=at-second")
    model = space.model("m", model_providers=["second", "first"], routing={"choice": "ordered"})
    answer = space.ask(model)
    assert answer.headers["x-steelyard-provider"] == f"{space.name}/second"
    assert sent(other)["model"] == "at-second"
    space.patch("m", model_providers=["first"])
    space.asks(model)
    assert sent(engine)["model"] == "at-first"


def test_a_provider_that_is_named_but_does_not_say_how_it_calls_the_model(space: Space, engine: Upstream) -> None:
    space.provider("p", engine)
    model = space.model("m", model_providers=["p"])
    space.asks(model)
    assert sent(engine)["model"] == "m"
    space.patch("m", api_endpoint={"url": "http://127.0.0.1:1/", "model_id": "called-so"})
    space.asks(model)
    assert sent(engine)["model"] == "called-so"


def test_a_model_that_names_nobody_is_served_by_who_says_so(space: Space, engine: Upstream, other: Upstream) -> None:
    model = space.model("m", routing={"retries": 1})
    space.provider("p", engine, "m=tiny")
    space.provider("q", other, f"{space.name}/m=tiny")
    assert space.ask(model).headers["x-steelyard-provider"] == f"{space.name}/p"
    engine.always = faults.failing(500)
    assert space.ask(model).headers["x-steelyard-provider"] == f"{space.name}/q"


def test_of_those_who_say_that_they_serve_it_the_oldest_is_first(space: Space, engine: Upstream) -> None:
    for name in "zmaxq":
        space.provider(name, engine, "m=tiny")
    model = space.model("m", model_providers=[])
    assert space.http.get(f"{space.models}/m").json()["model_providers"] == []
    assert space.ask(model).headers["x-steelyard-provider"] == f"{space.name}/z"


def test_a_provider_of_another_workspace_serves_it_with_its_own_key(space: Space, engine: Upstream) -> None:
    model = space.model("m")
    other = Space(space.http)
    other.secret("key", "of-the-other")
    other.provider("p", engine, f"{model}=tiny", api_key_secret_name="key")
    space.asks(model)
    assert last(engine).header("authorization") == "Bearer of-the-other"


def test_a_provider_that_is_being_deleted_serves_nothing(space: Space, engine: Upstream) -> None:
    model = space.served("m", engine)
    for status in ("DELETING", "DELETED"):
        space.http.put(f"{space.providers}/p-m/status", json={"status": status})
        assert space.ask(model).status_code == 404
    space.http.put(f"{space.providers}/p-m/status", json={"status": "ERROR"})
    assert space.ask(model).status_code == 200, "one that is not well is asked where there is no other"


def test_an_endpoint_makes_a_model_routable_without_a_provider(space: Space, engine: Upstream) -> None:
    endpoint = {"url": f"{engine.url}/base/v1", "model_id": "tiny", "api_key": "the-key"}
    model = space.model("m", api_endpoint=endpoint)
    answer = space.ask(model)
    assert answer.status_code == 200
    assert answer.headers["x-steelyard-provider"] == f"{space.name}/m endpoint"
    assert (last(engine).path, sent(engine)["model"]) == ("/base/v1/chat/completions", "tiny")
    assert last(engine).header("authorization") == "Bearer the-key"
    space.patch("m", backend_format="ANTHROPIC_MESSAGES")
    space.asks(model)
    assert (last(engine).path, last(engine).header("x-api-key")) == ("/base/v1/messages", "the-key")
    assert last(engine).header("authorization") is None
    space.patch("m", api_endpoint={"url": engine.url})
    space.asks(model)
    assert (sent(engine)["model"], last(engine).header("x-api-key")) == ("m", None), "the key went with its URL"


def test_an_endpoint_that_names_an_operation_is_asked_there(space: Space, engine: Upstream) -> None:
    model = space.model("m", api_endpoint={"url": f"{engine.url}/x/chat/completions?api-version=7", "model_id": "t"})
    space.asks(model, RESPONSES)
    assert last(engine).path == "/x/chat/completions?api-version=7"


def test_providers_go_before_the_endpoint(space: Space, engine: Upstream, other: Upstream) -> None:
    model = space.served("m", engine, api_endpoint={"url": other.url, "model_id": "x"})
    space.asks(model)
    space.http.delete(f"{space.providers}/p-m")
    space.asks(model)
    assert (len(engine.requests), len(other.requests)) == (1, 1)


def test_an_endpoint_that_cannot_be_asked_is_a_502_and_not_a_failure_of_ours(space: Space) -> None:
    for url in ("http://169.254.169.254/latest", "http://10.0.0.1/v1", "http://ex\u00e4mple/v1"):
        name = f"m{len(url)}"
        answer = space.http.post(space.models, json={"name": name, "api_endpoint": {"url": url, "model_id": "x"}})
        if answer.status_code == 201:
            refused = space.ask(name)
            assert refused.status_code == 502, (url, refused.text)
            check_error(refused.json(), CHAT)


# Bases and adapters.


def test_a_model_that_nobody_serves_is_served_by_its_base_with_its_own_prompt(space: Space, engine: Upstream) -> None:
    space.served("root", engine, prompt={"system_prompt": "of the root"}, backend_format="ANTHROPIC_MESSAGES")
    space.model("middle", base_model="root", prompt={"system_prompt": "of the middle"})
    model = space.model("leaf", base_model="middle", prompt={"system_prompt": "of the leaf"})
    assert space.asks(model)["model"] == model
    assert sent(engine)["model"] == "tiny"
    assert (last(engine).path, sent(engine)["system"]) == (MESSAGES, "of the leaf"), "in the dialect of who serves it"
    space.patch("leaf", prompt={})
    space.asks(model)
    assert "system" not in sent(engine), "a prompt is not inherited"


def test_the_nearest_base_that_is_served_serves(space: Space, engine: Upstream, other: Upstream) -> None:
    space.served("root", engine)
    space.model("middle", base_model="root")
    model = space.model("leaf", base_model="middle")
    space.asks(model)
    space.provider("late", other, "middle=middle-at-other")
    space.asks(model)
    assert sent(other)["model"] == "middle-at-other"
    space.provider("own", other, "leaf=own")
    space.asks(model)
    assert (sent(other)["model"], len(engine.requests)) == ("own", 1)


def test_a_base_that_is_missing_or_comes_later(space: Space, engine: Upstream) -> None:
    model = space.model("leaf", base_model="elsewhere/root")
    assert space.ask(model).json()["code"] == "model_not_served"
    model = space.model("other-leaf", base_model="late")
    assert space.ask(model).status_code == 404
    space.served("late", engine)
    space.asks(model)


@pytest.fixture
def adapter(space: Space) -> str:
    """The model `base` with the adapter `fine`; the name of both."""
    put(space.http, space.name, "weights", llama())
    put(space.http, space.name, "lora", lora())
    space.model("base", fileset="weights", prompt={"system_prompt": "of the base"})
    made(space.http, f"{space.models}/base/adapters", name="fine", fileset="lora", finetuning_type="lora")
    return f"{space.name}/base&adapters/{space.name}/fine"


def test_an_adapter_is_asked_where_it_is_served(space: Space, adapter: str, engine: Upstream, other: Upstream) -> None:
    space.provider("bare", other, "base=tiny")
    space.provider("tuned", engine, "base=tiny", f"{adapter}=tiny-fine")
    assert space.asks(adapter)["model"] == adapter
    assert sent(engine)["model"] == "tiny-fine"
    assert sent(engine)["messages"][0]["content"] == "of the base"
    assert other.requests == []
    path = f"{space.gate}/model/base&adapters/{space.name}/fine/-/v1/chat/completions"
    for spelled in (path, path.replace("/fine/-/v1/chat", "%2Ffine/-/v1%2Fchat").replace("&", "%26")):
        answer = space.http.post(spelled, json={"messages": [{"role": "user", "content": "hi"}]})
        assert (answer.status_code, answer.json()["model"]) == (200, adapter)
    body = {"model": "base&adapters/fine", "messages": [{"role": "user", "content": "hi"}]}
    assert space.http.post(f"{space.gate}/openai/-/v1/chat/completions", json=body).status_code == 200


def test_an_adapter_that_nobody_serves(space: Space, adapter: str, engine: Upstream) -> None:
    space.provider("bare", engine, "base=tiny")
    answer = space.ask(adapter)
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_served")
    space.patch("base", api_endpoint={"url": engine.url, "model_id": "tiny"})
    assert space.ask(adapter).status_code == 404
    assert engine.requests == [], "the base without the adapter is another model"


def test_an_adapter_that_is_switched_off(space: Space, adapter: str, engine: Upstream) -> None:
    space.provider("tuned", engine, f"{adapter}=tiny-fine")
    path = f"/apis/models/v2/workspaces/{space.name}/adapters/fine"
    assert space.http.patch(path, json={"enabled": False}).status_code == 200
    answer = space.ask(adapter)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")
    check_error(answer.json(), CHAT, ["switched off"])
    assert space.http.patch(path, json={"enabled": True}).status_code == 200
    assert space.ask(adapter).status_code == 200
    assert space.http.delete(path).status_code == 204
    assert space.ask(adapter).status_code == 404


def test_an_adapter_of_another_model_is_none_of_this(space: Space, adapter: str, engine: Upstream) -> None:
    space.model("plain")
    space.provider("mistaken", engine, f"{space.name}/plain&adapters/{space.name}/fine=tiny")
    assert adapter
    assert space.ask(f"{space.name}/plain&adapters/{space.name}/fine").status_code == 404
