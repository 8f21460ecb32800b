"""Models: what create, get, update and delete answer. The laws of Update Model are in tests/laws."""

import re
from typing import Any

import httpx
import pytest

from tests.api.paths import LAYERS, SPEC, faults, made, models, projects

OPTIONAL = {
    *("project", "description", "spec", "finetuning_type", "fileset", "base_model", "api_endpoint"),
    *("backend_format", "prompt", "ownership", "pricing", "routing"),
}


def test_a_model_needs_only_a_name(http: httpx.Client, workspace: str) -> None:
    answer = http.post(models(workspace), json={"name": "Llama-3"})
    assert answer.status_code == 201
    model = answer.json()
    assert re.fullmatch(r"model-[1-9A-HJ-NP-Za-km-z]+", model["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", model["created_at"])
    assert model["updated_at"] == model["created_at"]
    expected: dict[str, Any] = dict.fromkeys(OPTIONAL)
    expected |= {key: model[key] for key in ("id", "created_at", "updated_at")}
    expected |= {"name": "Llama-3", "workspace": workspace, "revision": 1}
    expected |= {"trust_remote_code": False, "custom_fields": {}, "model_providers": [], "adapters": []}
    expected |= {"tags": {}, "frozen": False, "spec_origin": None, "trust_decision": None}
    assert model == expected


def test_what_was_created_is_what_is_read(http: httpx.Client, workspace: str) -> None:
    made(http, projects(workspace), name="pr")
    body = {
        "name": "m",
        "project": "pr",
        "description": "",
        "spec": {**SPEC, "minimum_gpus_all_weights": 8, "minimum_gpus_lora": 1},
        "finetuning_type": "lora",
        "trust_remote_code": True,
        "base_model": "meta/llama",
        "api_endpoint": {"url": "https://host:1/v1", "model_id": "llama", "format": "openai"},
        "backend_format": "ANTHROPIC_MESSAGES",
        "prompt": {"system_prompt": "Be brief", "inference_params": {"temperature": 0.5, "min_p": 0.1}},
        "custom_fields": {"a": {"b": [1, 1.5, None, True, "ü"]}},
        "ownership": {"team": "x"},
        "model_providers": [f"{workspace}/p", "other/q"],
    }
    created = http.post(models(workspace), json=body)
    assert created.status_code == 201, created.text
    read = http.get(f"{models(workspace)}/m").json()
    assert read == created.json()
    assert {key: read[key] for key in ("project", "description", "finetuning_type", "base_model")} == {
        key: body[key] for key in ("project", "description", "finetuning_type", "base_model")
    }
    assert (read["spec"]["minimum_gpus_all_weights"], read["spec"]["minimum_gpus_lora"]) == (8, 1)
    assert read["spec"]["is_embedding_model"] is False
    assert read["prompt"]["inference_params"]["min_p"] == 0.1
    assert read["custom_fields"] == body["custom_fields"]


def test_linear_layers_are_shown_to_those_who_ask(http: httpx.Client, workspace: str) -> None:
    path = f"{models(workspace)}/m"
    assert made(http, models(workspace), name="m", spec={**SPEC, "linear_layers": LAYERS})["spec"]["linear_layers"]
    assert http.get(path).json()["spec"]["linear_layers"] is None
    assert http.get(path, params={"verbose": "true"}).json()["spec"]["linear_layers"] == LAYERS
    assert http.patch(path, json={}).json()["spec"]["linear_layers"] is None
    assert http.patch(path, json={}, params={"verbose": "true"}).json()["spec"]["linear_layers"] == LAYERS
    [listed] = http.get(models(workspace)).json()["data"]
    assert "linear_layers" not in listed["spec"]
    [listed] = http.get(models(workspace), params={"verbose": "true"}).json()["data"]
    assert listed["spec"]["linear_layers"] == LAYERS


@pytest.mark.parametrize("value", ["yes", "on", 1, "true", True])
def test_truth_is_spelled_in_several_ways(http: httpx.Client, workspace: str, value: object) -> None:
    assert made(http, models(workspace), name="m", trust_remote_code=value)["trust_remote_code"] is True


def test_create_refuses_a_null_trust(http: httpx.Client, workspace: str) -> None:
    answer = http.post(models(workspace), json={"name": "m", "trust_remote_code": None})
    assert faults(answer) == [(("body", "trust_remote_code"), "bool_type")]


def test_a_name_is_taken_once(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m", description="first")
    again = http.post(models(workspace), json={"name": "m"})
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")
    assert again.headers["x-should-retry"] == "false"
    assert "'m'" in again.json()["detail"]
    assert http.get(f"{models(workspace)}/m").json()["description"] == "first"
    made(http, models(workspace), name="M")  # names are compared exactly


def test_a_model_needs_its_workspace(http: httpx.Client) -> None:
    answer = http.post(models("no-such-workspace"), json={"name": "m"})
    assert faults(answer) == [(("path", "workspace"), "workspace_missing")]
    assert faults(http.post(models("-"), json={"name": "m"})) == [(("path", "workspace"), "workspace_missing")]


def test_references_are_stored_in_one_spelling(http: httpx.Client, workspace: str) -> None:
    model = made(http, models(workspace), name="m", base_model="base", model_providers=["p", "other/p"])
    assert model["base_model"] == f"{workspace}/base"
    assert model["model_providers"] == [f"{workspace}/p", "other/p"]


@pytest.mark.parametrize("providers", [["p", "p"], ["p", "{workspace}/p"]])
def test_a_provider_stands_once_in_the_list(http: httpx.Client, workspace: str, providers: list[str]) -> None:
    body = {"name": "m", "model_providers": [text.format(workspace=workspace) for text in providers]}
    assert faults(http.post(models(workspace), json=body)) == [(("body", "model_providers", 1), "reference")]


@pytest.mark.parametrize("reference", ["a/b/c", "/b", "a/", "a//b", "..", "a/..", "a b", "ä", "a\n", "hf://a"])
def test_references_are_well_formed(http: httpx.Client, workspace: str, reference: str) -> None:
    made(http, models(workspace), name="m")
    path = f"{models(workspace)}/m"
    assert faults(http.patch(path, json={"base_model": reference})) == [(("body", "base_model"), "reference")]
    answer = http.patch(path, json={"model_providers": ["good", reference]})
    assert faults(answer) == [(("body", "model_providers", 1), "reference")]


def test_no_model_is_its_own_ancestor(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="a")
    made(http, models(workspace), name="b", base_model="a")
    made(http, models(workspace), name="c", base_model=f"{workspace}/b")
    for name, base in (("a", "a"), ("a", "b"), ("a", "c"), ("b", f"{workspace}/c")):
        answer = http.patch(f"{models(workspace)}/{name}", json={"base_model": base})
        assert faults(answer) == [(("body", "base_model"), "reference")]
    assert http.get(f"{models(workspace)}/a").json()["base_model"] is None
    own = http.post(models(workspace), json={"name": "self", "base_model": "self"})
    assert faults(own) == [(("body", "base_model"), "reference")]


def test_a_model_can_complete_no_circle_by_being_made_last(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="child", base_model="parent")
    answer = http.post(models(workspace), json={"name": "parent", "base_model": "child"})
    assert faults(answer) == [(("body", "base_model"), "reference")]


@pytest.mark.parametrize("fileset", ["", "nope", "other/nope", "a/b/c", "hf://a/b"])
def test_a_fileset_must_exist(http: httpx.Client, workspace: str, fileset: str) -> None:
    answer = http.post(models(workspace), json={"name": "m", "fileset": fileset})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_reference", "fileset")
    made(http, models(workspace), name="m")
    answer = http.patch(f"{models(workspace)}/m", json={"fileset": fileset, "description": "not stored"})
    assert answer.status_code == 400
    assert http.get(f"{models(workspace)}/m").json()["revision"] == 1


def test_delete(http: httpx.Client, workspace: str) -> None:
    path = f"{models(workspace)}/m"
    first = made(http, models(workspace), name="m")
    answer = http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-steelyard-dangling"] == "0"
    assert [http.request(method, path, json={}).status_code for method in ("GET", "PATCH", "DELETE")] == [404] * 3
    assert http.get(models(workspace)).json()["data"] == []
    again = made(http, models(workspace), name="m")  # the name is free at once, and the record is another one
    assert again["id"] != first["id"]


def test_a_delete_counts_who_still_names_the_model(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="base")
    for name in ("one", "two"):
        made(http, models(workspace), name=name, base_model="base")
    assert http.delete(f"{models(workspace)}/base").headers["x-steelyard-dangling"] == "2"
    assert http.get(f"{models(workspace)}/one").json()["base_model"] == f"{workspace}/base"
    assert http.patch(f"{models(workspace)}/one", json={"description": "still writable"}).status_code == 200
