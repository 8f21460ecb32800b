"""Tags of models, and models whose spec, fileset and trust are frozen."""

import httpx
import pytest

from tests.api.paths import LAYERS, models
from tests.api.paths import SPEC as BARE_SPEC

SPEC = {**BARE_SPEC, "linear_layers": LAYERS}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.mark.parametrize(
    "query",
    [
        {"filter[tags][env]": "prod"},
        {"filter[tags.env]": "prod"},
        {"filter": 'tags.env:"prod"'},
        {"filter": '{"tags.env": {"$in": ["prod", "stage"]}}'},
    ],
)
def test_models_are_found_by_their_tags(http: httpx.Client, workspace: str, query: dict[str, str]) -> None:
    for name, tags in (("a", {"env": "prod"}), ("b", {"env": "dev"}), ("c", {})):
        assert http.post(models(workspace), json={"name": name, "tags": tags}).status_code == 201

    assert [m["name"] for m in http.get(models(workspace), params=query).json()["data"]] == ["a"]


def test_tags_replace_whole_or_merge_as_the_dialect_says(http: httpx.Client, workspace: str) -> None:
    http.post(models(workspace), json={"name": "m", "tags": {"env": "prod", "team": "search"}})

    merged = http.patch(f"{models(workspace)}/m", content='{"tags": {"env": null, "cost": "12"}}', headers=MERGE)
    replaced = http.patch(f"{models(workspace)}/m", json={"tags": {"env": "dev"}})

    assert merged.json()["tags"] == {"team": "search", "cost": "12"}
    assert replaced.json()["tags"] == {"env": "dev"}


@pytest.mark.parametrize("tags", [{"a b": "x"}, {"": "x"}, {"k": 5}, {"k": "x" * 256}, {"k" * 64: "x"}, {"k\n": "x"}])
def test_tags_that_cannot_be(http: httpx.Client, workspace: str, tags: dict[str, object]) -> None:
    refused = http.post(models(workspace), json={"name": "m", "tags": tags})

    assert (refused.status_code, refused.json()["detail"][0]["loc"][:2]) == (422, ["body", "tags"])


@pytest.fixture
def frozen(http: httpx.Client, workspace: str) -> str:
    """The path of a frozen model that is trusted."""
    http.post(models(workspace), json={"name": "m", "spec": SPEC, "trust_remote_code": True})
    assert http.post(f"{models(workspace)}/m:freeze").json()["frozen"] is True
    return f"{models(workspace)}/m"


def test_a_frozen_model_keeps_its_spec(http: httpx.Client, frozen: str) -> None:
    changes = [
        http.patch(frozen, json={"spec": {**SPEC, "num_layers": 3}}),
        http.patch(frozen, content='{"spec": {"context_size": 4096}}', headers=MERGE),
        http.patch(frozen, params={"update_mask": "spec.precision"}, json={"spec": {"precision": "fp8"}}),
        http.patch(frozen, content='{"spec": null}', headers=MERGE),
    ]

    assert [(change.status_code, change.json()["code"]) for change in changes] == [(409, "frozen")] * 4


def test_the_rest_of_a_frozen_model_can_change(http: httpx.Client, frozen: str) -> None:
    document = http.get(frozen, params={"verbose": True}).json()
    echoed = http.patch(frozen, json={**document, "description": "echo"})
    merged = http.patch(frozen, content='{"description": "merge"}', headers=MERGE)

    assert (echoed.status_code, merged.status_code) == (200, 200)
    assert http.get(frozen, params={"verbose": True}).json()["spec"] == document["spec"]


def test_trust_can_be_taken_from_a_frozen_model_but_not_given(http: httpx.Client, frozen: str) -> None:
    taken = http.patch(frozen, json={"trust_remote_code": False})
    given = http.patch(frozen, json={"trust_remote_code": True})

    assert (taken.status_code, given.status_code, given.json()["code"]) == (200, 409, "frozen")


def test_a_frozen_model_is_not_reverted_to_another_spec(http: httpx.Client, workspace: str) -> None:
    http.post(models(workspace), json={"name": "m", "spec": SPEC})
    http.patch(f"{models(workspace)}/m", json={"spec": {**SPEC, "num_layers": 3}})
    http.post(f"{models(workspace)}/m:freeze")

    assert http.post(f"{models(workspace)}/m:revert", json={"revision": 1}).json()["code"] == "frozen"


def test_freezing_stands_in_the_history_and_can_be_undone(http: httpx.Client, frozen: str) -> None:
    again = http.post(f"{frozen}:freeze")
    thawed = http.post(f"{frozen}:unfreeze", headers={"X-Steelyard-Reason": "wrong checkpoint"})
    actions = [revision["action"] for revision in http.get(f"{frozen}/revisions").json()["data"]]

    assert again.json()["revision"] == 2, "freezing what is frozen changes nothing"
    assert (thawed.json()["frozen"], actions) == (False, ["unfreeze", "freeze", "create"])
    assert http.patch(frozen, json={"spec": {**SPEC, "num_layers": 3}}).status_code == 200


def test_no_change_says_that_a_model_is_frozen(http: httpx.Client, workspace: str) -> None:
    http.post(models(workspace), json={"name": "m"})

    assert http.patch(f"{models(workspace)}/m", json={"frozen": True}).status_code == 422
    assert http.patch(f"{models(workspace)}/m", content='{"frozen": true}', headers=MERGE).status_code == 422
