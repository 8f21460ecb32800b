"""What is sent to who serves a model: bodies, headers and prompts of the records, keys, and nothing else of them."""

from typing import Any

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, RESPONSES, Gate, check_error
from tests.gateway.spaces import Space, last, sent
from tests.gateway.upstreams import Upstream


@pytest.fixture
def space(door: Gate) -> Space:
    return Space(door.http)


# What is sent.


def test_bodies_of_the_record_go_before_and_behind_the_callers(space: Space, engine: Upstream) -> None:
    space.model("m")
    space.provider(
        "p",
        engine,
        "m=tiny",
        default_extra_body={"temperature": 0.1, "top_k": 5, "nested": {"a": 1}},
        required_extra_body={"seed": 7, "user": "gateway"},
    )
    space.asks("m", temperature=0.9, seed=1, nested={"b": 2})
    body = sent(engine)
    assert (body["temperature"], body["top_k"], body["nested"]) == (0.9, 5, {"b": 2})
    assert (body["seed"], body["user"], body["model"]) == (7, "gateway", "tiny")


def test_headers_of_the_record_go_before_and_behind_the_callers(space: Space, engine: Upstream) -> None:
    space.model("m")
    space.secret("key", "s3cret")
    space.provider(
        "p",
        engine,
        "m=tiny",
        default_extra_headers={"OpenAI-Beta": "default", "X-Tenant": "t"},
        required_extra_headers={"Anthropic-Beta": "required"},
        api_key_secret_name="key",
        auth_header_format="X-Own-Key: v={{ auth_secret }};",
    )
    caller = {
        **{"OpenAI-Beta": "mine", "Anthropic-Beta": "mine", "Authorization": "Bearer mine", "Cookie": "c=1"},
        **{"X-Api-Key": "mine", "X-NMP-Principal-Id": "admin", "X-Forwarded-For": "1.2.3.4", "X-Own-Key": "mine"},
        **{"X-Unknown": "1", "User-Agent": "mine", "Accept-Encoding": "br", "Referer": "x", "X-Request-Id": "call-9"},
    }
    space.asks("m", headers=caller)
    seen = {name.lower(): value for name, value in last(engine).headers}
    assert len(seen) == len(last(engine).headers), "each once"
    assert seen["x-own-key"] == "v=s3cret;"
    assert (seen["openai-beta"], seen["x-tenant"], seen["anthropic-beta"]) == ("mine", "t", "required")
    assert (seen["accept-encoding"], seen["content-type"]) == ("identity", "application/json")
    assert not {"authorization", "cookie", "x-api-key", "x-nmp-principal-id", "x-forwarded-for"} & seen.keys()
    assert not {"x-unknown", "referer", "origin"} & seen.keys()
    assert seen["user-agent"].startswith("steelyard/")


def test_custom_fields_and_other_parts_of_the_record_stay_here(space: Space, engine: Upstream) -> None:
    canary = "canary-7f3a"
    space.served(
        "m",
        engine,
        description=canary,
        custom_fields={"temperature": 2, canary: canary},
        ownership={canary: canary},
        prompt={"system_prompt": "hello"},
    )
    space.asks("m")
    assert canary not in last(engine).body.decode() + str(last(engine).headers)
    assert "temperature" not in sent(engine)


def test_a_prompt_reaches_each_dialect(space: Space, engine: Upstream) -> None:
    prompt = {
        "system_prompt": "S",
        "icl_few_shot_examples": "E",
        "system_prompt_template": "<{{ system_prompt }}|{{ icl_few_shot_examples }}|{{ 7*7 }}>",
        "inference_params": {"temperature": 0.25, "max_tokens": 9, "seed": 3},
    }
    space.served("m", engine, prompt=prompt)
    space.asks("m", CHAT)
    assert sent(engine)["messages"][0] == {"role": "system", "content": "<S|E|{{ 7*7 }}>"}
    assert (sent(engine)["temperature"], sent(engine)["seed"], sent(engine)["max_tokens"]) == (0.25, 3, 9)
    for route in (MESSAGES, RESPONSES):
        space.asks("m", route)
        assert sent(engine)["messages"][0]["content"] == "<S|E|{{ 7*7 }}>"
        assert (sent(engine)["temperature"], sent(engine)["seed"]) == (0.25, 3)
    space.asks("m", "/v1/completions", prompt="Once")
    assert sent(engine)["prompt"] == "<S|E|{{ 7*7 }}>\n\nOnce"
    space.asks("m", "/v1/embeddings", input="x")
    assert sent(engine).keys() == {"model", "input", "messages", "stream"}
    space.patch("m", backend_format="ANTHROPIC_MESSAGES")
    space.asks("m", CHAT)
    assert (sent(engine)["system"], sent(engine)["max_tokens"]) == ("<S|E|{{ 7*7 }}>", 9)


# Secrets.


def test_a_missing_secret_is_a_424_at_once_and_a_new_one_in_force_at_once(space: Space, engine: Upstream) -> None:
    space.model("m")
    space.secret("key", "one")
    space.provider("p", engine, "m=tiny", api_key_secret_name="key")
    space.asks("m")
    assert space.http.patch(f"{space.secrets}/key", json={"value": "two"}).status_code == 200
    space.asks("m")
    assert last(engine).header("authorization") == "Bearer two"
    assert space.http.delete(f"{space.secrets}/key").status_code == 204
    answer = space.ask("m")
    assert (answer.status_code, answer.json()["code"]) == (424, "secret_missing")
    check_error(answer.json(), CHAT, ["'key'"])
    raw = space.http.get(f"{space.gate}/provider/p/-/v1/models")
    assert raw.status_code == 424
    assert len(engine.requests) == 2
    space.secret("key", "three")
    space.asks("m")
    assert last(engine).header("authorization") == "Bearer three"


@pytest.mark.parametrize("route", [CHAT, MESSAGES])
def test_keys_are_in_no_answer(space: Space, engine: Upstream, route: str) -> None:
    canary = "sk-canary-51f0c2d9"
    space.secret("key", canary)
    space.model("m", routing={"retries": 0})
    space.provider("p", engine, "m=tiny", api_key_secret_name="key", required_extra_headers={"X-Extra": canary})
    space.model("e", api_endpoint={"url": engine.url, "model_id": "tiny", "api_key": canary}, routing={"retries": 0})
    answers: list[Any] = []
    for model in ("m", "e"):
        for fault in (None, faults.failing(401), faults.failing(500), faults.RESET, faults.BAD_JSON, faults.NOT_HTTP):
            engine.settle()
            if fault is not None:
                engine.always = fault
            answers += [space.ask(model, route), space.ask(model, route, stream=True)]
    answers += [
        space.http.get(f"{space.gate}/provider/p/-/v1/models"),
        space.http.get(f"{space.gate}/openai/-/v1/models"),
    ]
    for path in (f"{space.models}/e", space.models, f"/apis/steelyard/v1/workspaces/{space.name}/usage"):
        answers.append(space.http.get(path))
    for answer in answers:
        assert canary not in answer.text + str(answer.headers)
    assert canary in str(last(engine).headers), "the engine has seen it"
