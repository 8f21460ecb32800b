"""`GET …/models/{name}/lineage`: ancestors through aliases, descendants, adapters, and who is not here."""

from typing import Any

import httpx
import pytest

from steelyard.records.lineage import Relative, graph
from steelyard.records.names import Reference
from tests.insight.checkpoints import MODELS, make_fileset, make_model, safetensors, tiny_files


def lineage(http: httpx.Client, workspace: str, name: str, **query: Any) -> dict[str, Any]:
    answer = http.get(f"{MODELS.format(workspace=workspace)}/{name}/lineage", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def seen(found: dict[str, Any]) -> set[tuple[Any, ...]]:
    return {(node["name"], node["depth"], node["relation"], node["state"]) for node in found["nodes"]}


def test_a_family(http: httpx.Client, workspace: str) -> None:
    make_model(http, workspace, "base", base_model="meta-llama/Llama-3")
    make_model(http, workspace, "tuned", base_model="base", finetuning_type="all_weights")
    make_model(http, workspace, "aligned", base_model="tuned", finetuning_type="dpo")
    make_model(http, workspace, "other", base_model="base")

    found = lineage(http, workspace, "tuned")

    assert seen(found) == {
        ("tuned", 0, "self", "here"),
        ("base", 1, "ancestor", "here"),
        ("aligned", 1, "descendant", "here"),
        ("Llama-3", 2, "ancestor", "external"),
    }
    assert [node["depth"] for node in found["nodes"]] == [0, 1, 1, 2]
    assert {(edge["from"]["name"], edge["to"]["name"]) for edge in found["edges"]} == {
        ("tuned", "base"),
        ("base", "Llama-3"),
        ("aligned", "tuned"),
    }
    assert next(node for node in found["nodes"] if node["name"] == "aligned")["finetuning_type"] == "dpo"


def test_an_alias_between_two_models_is_told_and_is_no_step(http: httpx.Client, workspace: str) -> None:
    aliases = f"/apis/models/v2/workspaces/{workspace}/aliases"
    make_model(http, workspace, "base")
    http.post(aliases, json={"name": "base@prod", "model": "base"}).raise_for_status()
    make_model(http, workspace, "tuned", base_model="base@prod")

    up, down = lineage(http, workspace, "tuned"), lineage(http, workspace, "base")

    assert seen(up) == {("tuned", 0, "self", "here"), ("base", 1, "ancestor", "here")}
    assert seen(down) == {("base", 0, "self", "here"), ("tuned", 1, "descendant", "here")}
    assert up["edges"] == down["edges"]
    assert up["edges"][0]["via"] == f"{workspace}/base@prod"


def test_what_is_named_and_not_here_is_missing(http: httpx.Client, workspace: str) -> None:
    make_model(http, workspace, "one", base_model="gone")
    make_model(http, workspace, "two", base_model="gone@prod")

    assert ("gone", 1, "ancestor", "missing") in seen(lineage(http, workspace, "one"))
    (_, node) = lineage(http, workspace, "two")["nodes"]
    assert (node["name"], node["kind"], node["state"]) == ("gone@prod", "alias", "missing")


def test_adapters_and_their_filesets(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_fileset(http, workspace, "lora", {"adapter_model.safetensors": safetensors({"x": [1]})})
    make_model(http, workspace, "base", fileset="tiny")
    body = {"name": "polite", "fileset": "lora", "finetuning_type": "lora", "model": "base"}
    http.post(f"/apis/models/v2/workspaces/{workspace}/adapters", json=body).raise_for_status()

    found = lineage(http, workspace, "base")

    node = found["nodes"][1]
    assert (node["kind"], node["relation"], node["fileset"]) == ("adapter", "adapter", f"{workspace}/lora")
    assert found["nodes"][0]["fileset"] == f"{workspace}/tiny"
    assert [edge["relation"] for edge in found["edges"]] == ["model"]
    assert len(lineage(http, workspace, "base", direction="up")["nodes"]) == 1


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"direction": "up"}, {"m3", "m2", "m1", "m0"}),
        ({"direction": "down"}, {"m3", "m4", "m5"}),
        ({"depth": 1}, {"m2", "m3", "m4"}),
        ({"depth": 2, "direction": "up"}, {"m1", "m2", "m3"}),
    ],
)
def test_depth_and_direction(http: httpx.Client, workspace: str, query: dict[str, Any], names: set[str]) -> None:
    make_model(http, workspace, "m0")
    for number in range(1, 6):
        make_model(http, workspace, f"m{number}", base_model=f"m{number - 1}")

    assert {node["name"] for node in lineage(http, workspace, "m3", **query)["nodes"]} == names


@pytest.mark.parametrize("query", [{"depth": 0}, {"depth": 33}, {"direction": "sideways"}])
def test_bounds(http: httpx.Client, workspace: str, query: dict[str, Any]) -> None:
    make_model(http, workspace, "m0")

    assert http.get(f"{MODELS.format(workspace=workspace)}/m0/lineage", params=query).status_code == 422


def _relative(name: str, depth: int, near: str) -> Relative:
    here = ("model", Reference("w", near))
    return Relative("down", depth, "model", Reference("w", name), here, None, True, True, None, None)


START = {"kind": "model", "workspace": "w", "name": "a", "depth": 0}


def test_a_circle_is_walked_once() -> None:
    found = graph(START, [_relative("b", 1, "a"), _relative("a", 2, "b"), _relative("b", 3, "a")], 10)

    assert [node["name"] for node in found["nodes"]] == ["a", "b"]
    assert found["truncated"] is False


def test_too_many_are_cut_with_the_nearest_kept() -> None:
    found = graph(START, [_relative("far", 2, "near"), _relative("near", 1, "a")], 2)

    assert [node["name"] for node in found["nodes"]] == ["a", "near"]
    assert found["truncated"] is True
