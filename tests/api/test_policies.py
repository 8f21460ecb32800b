"""What the settings allow: servers that were started with other policies than the default one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.api.paths import (
    SPEC,
    WORKSPACES,
    faults,
    limits,
    made,
    models,
    projects,
    prompts,
    providers,
    secrets,
    virtual_models,
)
from tests.servers import running

Started = Callable[[str], httpx.Client]
PLUGIN = {**SPEC, "tool_call_config": {"tool_call_parser": "hermes", "tool_call_plugin": "evil.py"}}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Starts a server with one setting that is not at its default, once for each."""
    clients: dict[str, httpx.Client] = {}
    with ExitStack() as stack:

        def start(setting: str) -> httpx.Client:
            if setting not in clients:
                server = stack.enter_context(running(tmp_path_factory.mktemp("policy") / "data", "--set", setting))
                clients[setting] = stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
            return clients[setting]

        yield start


def test_a_plugin_is_refused_by_default(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"
    for answer in (
        http.post(models(workspace), json={"name": "n", "spec": PLUGIN}),
        http.patch(item, json={"spec": PLUGIN, "description": "no"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert answer.json()["field"] == "spec.tool_call_config.tool_call_plugin"
    assert http.get(item).json()["revision"] == 1
    assert http.get(f"{models(workspace)}/n").status_code == 404
    for harmless in (None, ""):
        spec = {**SPEC, "tool_call_config": {"tool_call_parser": "hermes", "tool_call_plugin": harmless}}
        assert http.patch(item, json={"spec": spec}).status_code == 200


def test_a_plugin_where_it_is_allowed(started: Started) -> None:
    http = started("models.tool_call_plugin.enabled=true")
    made(http, models("default"), name="m", spec=PLUGIN)
    item = f"{models('default')}/m"
    assert http.get(item).json()["spec"]["tool_call_config"]["tool_call_plugin"] == "evil.py"
    assert http.patch(item, json={"spec": PLUGIN}).json()["revision"] == 1


def test_trust_where_it_is_switched_off(started: Started) -> None:
    http = started("models.trust_remote_code.enabled=false")
    answer = http.post(models("default"), json={"name": "m", "trust_remote_code": True})
    assert (answer.status_code, answer.json()["field"]) == (403, "trust_remote_code")
    made(http, models("default"), name="m", trust_remote_code=False)
    item = f"{models('default')}/m"
    assert http.patch(item, json={"trust_remote_code": "yes", "description": "no"}).status_code == 403
    assert http.get(item).json()["revision"] == 1
    for harmless in (False, None):
        assert http.patch(item, json={"trust_remote_code": harmless}).status_code == 200


def test_trust_stays_and_can_be_taken_back_when_it_is_switched_off_later(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data, item = tmp_path_factory.mktemp("trust") / "data", f"{models('default')}/m"
    with running(data) as server, httpx.Client(base_url=server.url) as http:
        made(http, models("default"), name="m", trust_remote_code=True)
    off = ("--set", "models.trust_remote_code.enabled=false")
    with running(data, *off) as server, httpx.Client(base_url=server.url) as http:
        assert http.patch(item, json={"description": "d"}).json()["trust_remote_code"] is True
        assert http.patch(item, json={"trust_remote_code": True}).status_code == 200  # no change
        assert http.patch(item, json={"trust_remote_code": False}).json()["trust_remote_code"] is False
        assert http.patch(item, json={"trust_remote_code": True}).status_code == 403


def test_protected_references(started: Started) -> None:
    http = started("protect_references=true")
    made(http, WORKSPACES, name="other")
    made(http, projects("default"), name="pr")
    made(http, models("default"), name="base", project="pr")
    made(http, models("default"), name="child", base_model="base")
    made(http, models("other"), name="far", base_model="default/child")
    made(http, prompts("default"), name="p", project="pr")
    made(http, models("other"), name="near")
    refused = {
        f"{models('default')}/base": ["model default/child"],
        f"{models('default')}/child": ["model other/far"],
        f"{projects('default')}/pr": ["model default/base", "prompt default/p"],
    }
    for item, referrers in refused.items():
        answer = http.delete(item)
        assert (answer.status_code, answer.json()["code"]) == (409, "still_referenced")
        assert answer.json()["referrers"] == referrers
        assert answer.headers["x-should-retry"] == "false"
        assert all(name in answer.json()["detail"] for name in referrers)
        assert http.get(item).status_code == 200
    made(http, models("other"), name="mine")
    made(http, models("default"), name="user", base_model="other/mine")
    answer = http.delete(f"{WORKSPACES}/other")
    assert (answer.status_code, answer.json()["referrers"]) == (409, ["model default/user"])
    assert http.get(f"{models('other')}/far").status_code == 200
    assert http.delete(f"{models('default')}/user").status_code == 204
    assert http.delete(f"{WORKSPACES}/other").status_code == 200
    path = models("default")
    for item in (f"{path}/child", f"{path}/base", f"{prompts('default')}/p", f"{projects('default')}/pr"):
        assert http.delete(item).is_success


def test_strict_references(started: Started) -> None:
    http = started("strict_references=true")
    path = models("default")
    for body, place in (
        ({"base_model": "none"}, ("body", "base_model")),
        ({"base_model": "other/none"}, ("body", "base_model")),
        ({"model_providers": ["none"]}, ("body", "model_providers", 0)),
    ):
        assert faults(http.post(path, json={"name": "m", **body})) == [(place, "reference_missing")]
    made(http, path, name="m")
    made(http, path, name="base")
    item = f"{path}/m"
    assert faults(http.patch(item, json={"base_model": "none"})) == [(("body", "base_model"), "reference_missing")]
    assert http.patch(item, json={"base_model": "base"}).status_code == 200
    assert http.delete(f"{path}/base").headers["x-steelyard-dangling"] == "1"
    # What is there already is not asked for again: the model stays writable, and can be sent back.
    assert http.patch(item, json={"description": "d", "base_model": "default/base"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"unknown": {"deep": [1]}, "another": None},
        {"api_endpoint": {"url": "https://h", "unknown": 1}},
        {"spec": {**SPEC, "unknown": 1, "linear_layers": [{"name": "q", "in_features": 1, "out_features": 1, "x": 1}]}},
        {"prompt": {"unknown": 1, "inference_params": {"kept": 1}}},
    ],
)
def test_unknown_fields_where_they_are_ignored(started: Started, body: dict[str, Any]) -> None:
    http = started("unknown_fields=ignore")
    path = models("default")
    created = http.post(path, json={"name": "m", **body})
    assert created.status_code == 201, created.text
    assert "unknown" not in created.text
    patched = http.patch(f"{path}/m", json={**body, "description": "d"})
    assert (patched.status_code, patched.json()["description"]) == (200, "d")
    assert "unknown" not in patched.text
    assert faults(http.patch(f"{path}/m", json={**body, "description": 5})) == [
        (("body", "description"), "string_type")
    ]
    assert http.delete(f"{path}/m").status_code == 204


def test_a_deeper_json_where_it_is_allowed(started: Started) -> None:
    http = started("limits.json_depth=128")
    made(http, models("default"), name="m")
    item, depth = f"{models('default')}/m", 128
    body = '{"custom_fields":' + '{"a":' * (depth - 1) + "%d" + "}" * depth
    for number, revision in ((1, 2), (1, 2), (2, 3)):
        answer = http.patch(item, content=body % number, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["revision"]) == (200, revision)
    assert http.get(item).json()["revision"] == 3
    assert http.get(models("default")).status_code == 200


def test_strict_references_of_what_the_gateway_reads(started: Started) -> None:
    http = started("strict_references=true")
    made(http, models("default"), name="here")
    virtual, limit = virtual_models("default"), limits("default")
    for path, body, place in (
        (virtual, {"default_model_entity": "none"}, ("default_model_entity",)),
        (virtual, {"default_model_entity": "none@prod"}, ("default_model_entity",)),
        (virtual, {"models": [{"model": "here"}, {"model": "none"}]}, ("models", 1, "model")),
        (virtual, {"fallbacks": ["here", "here&adapters/none"]}, ("fallbacks", 1)),
        (limit, {"model": "none", "requests_per_minute": 1}, ("model",)),
    ):
        assert faults(http.post(path, json={"name": "nn", **body})) == [(("body", *place), "reference_missing")]
    made(http, virtual, name="nn", models=[{"model": "here"}], fallbacks=[])
    made(http, limit, name="nn", model="here", requests_per_minute=1)
    assert http.delete(f"{models('default')}/here").headers["x-steelyard-dangling"] == "2"
    # What is there already is not asked for again.
    assert http.patch(f"{virtual}/nn", json={"sticky": {"by": "user"}}).status_code == 200
    assert http.patch(f"{limit}/nn", json={"requests_per_minute": 2}).status_code == 200


def test_protected_references_of_what_the_gateway_reads(started: Started) -> None:
    http = started("protect_references=true")
    made(http, WORKSPACES, name="guarded")
    made(http, secrets("guarded"), name="key", value="s3cret")
    for name in ("served", "fallback"):
        made(http, models("guarded"), name=name)
    provider = {"host_url": "https://api.example.com", "discover": False, "api_key_secret_name": "key"}
    served = [{"model_entity_id": "served", "served_model_name": "x"}]
    made(http, providers("guarded"), name="p", **provider, served_models=served)
    made(http, virtual_models("guarded"), name="chat", default_model_entity="served", fallbacks=["fallback"])
    made(http, limits("guarded"), name="lim", model="fallback", requests_per_minute=1)
    for item, referrers in {
        f"{secrets('guarded')}/key": ["model-provider guarded/p"],
        f"{models('guarded')}/served": ["model-provider guarded/p", "virtual-model guarded/chat"],
        f"{models('guarded')}/fallback": ["virtual-model guarded/chat", "limit guarded/lim"],
        f"{providers('guarded')}/p": ["model guarded/served"],
    }.items():
        answer = http.delete(item)
        assert (answer.status_code, answer.json().get("referrers")) == (409, referrers)
    assert http.get(f"{models('guarded')}/served").json()["model_providers"] == ["guarded/p"]


def test_private_addresses_where_they_are_allowed(started: Started) -> None:
    http = started("outbound.allowed_networks=127.0.0.0/8")
    made(http, providers("default"), name="p", host_url="http://127.0.0.1:8000/v1", discover=False)
    made(http, models("default"), name="m", api_endpoint={"url": "http://127.0.0.1:8000/v1"})
    refused = http.patch(f"{providers('default')}/p", json={"host_url": "http://10.0.0.1"})
    assert faults(refused) == [(("body", "host_url"), "outbound_refused")]
