"""Aliases: names for models that can be moved, usable wherever a model is named."""

import httpx
import pytest

from tests.api.paths import models


def aliases(workspace: str, name: str = "") -> str:
    return f"/apis/models/v2/workspaces/{workspace}/aliases" + (f"/{name}" if name else "")


@pytest.fixture
def two_models(http: httpx.Client, workspace: str) -> str:
    """A workspace with the models `v1` and `v2`."""
    for name in ("v1", "v2"):
        assert http.post(models(workspace), json={"name": name, "description": name}).status_code == 201
    return workspace


def make(http: httpx.Client, workspace: str, **fields: object) -> httpx.Response:
    return http.post(aliases(workspace), json={"name": "llama@prod", "model": "v1", **fields})


def test_a_model_is_read_by_its_alias(http: httpx.Client, two_models: str) -> None:
    created = make(http, two_models)
    assert (created.status_code, created.json()["model"]) == (201, f"{two_models}/v1")

    read = http.get(f"{models(two_models)}/llama@prod")

    assert (read.status_code, read.json()["name"]) == (200, "v1")
    assert read.headers["etag"] == http.get(f"{models(two_models)}/v1").headers["etag"]


def test_a_moved_alias_names_the_other_model_at_once(http: httpx.Client, two_models: str) -> None:
    etag = make(http, two_models).headers["etag"]

    moved = http.patch(aliases(two_models, "llama@prod"), json={"model": "v2"}, headers={"If-Match": etag})
    lost = http.patch(aliases(two_models, "llama@prod"), json={"model": "v1"}, headers={"If-Match": etag})

    assert (moved.status_code, moved.json()["revision"], lost.status_code) == (200, 2, 412)
    assert http.get(f"{models(two_models)}/llama@prod").json()["name"] == "v2"


def test_the_moves_of_an_alias_are_its_history(http: httpx.Client, two_models: str) -> None:
    make(http, two_models)
    http.patch(aliases(two_models, "llama@prod"), json={"model": "v2"}, headers={"X-Steelyard-Reason": "v2 is better"})

    newest = http.get(aliases(two_models, "llama@prod") + "/revisions").json()["data"][0]

    assert newest["reason"] == "v2 is better"
    assert (newest["before"], newest["after"]) == ({"model": f"{two_models}/v1"}, {"model": f"{two_models}/v2"})
    assert http.post(aliases(two_models, "llama@prod:revert"), json={"revision": 1}).json()["model"].endswith("/v1")


def test_an_alias_may_stand_for_a_revision(http: httpx.Client, two_models: str) -> None:
    assert make(http, two_models, model_revision=1).status_code == 201
    http.patch(f"{models(two_models)}/v1", json={"description": "new"})

    read = http.get(f"{models(two_models)}/llama@prod").json()
    written = http.patch(f"{models(two_models)}/llama@prod", json={"description": "newer"})

    assert (read["description"], read["revision"]) == ("v1", 1)
    assert (written.status_code, written.json()["code"]) == (409, "pinned")
    assert http.get(f"{models(two_models)}/v1").json()["description"] == "new"


def test_a_model_is_updated_through_an_alias_that_stands_for_it_as_it_is(http: httpx.Client, two_models: str) -> None:
    make(http, two_models)

    assert http.patch(f"{models(two_models)}/llama@prod", json={"description": "new"}).json()["name"] == "v1"
    assert http.get(f"{models(two_models)}/v1").json()["description"] == "new"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": "v3"}, "model"),
        ({"model": "other@prod"}, "model"),
        ({"model": "a/b/c"}, "model"),
        ({"model_revision": 7}, "model_revision"),
        ({"model_revision": 0}, "model_revision"),
        ({"name": "prod"}, "name"),
        ({"name": "a@b@c"}, "name"),
        ({"name": "llama@prod\n"}, "name"),
        ({"model": None}, "model"),
    ],
)
def test_what_an_alias_cannot_be(http: httpx.Client, two_models: str, fields: dict[str, object], field: str) -> None:
    refused = make(http, two_models, **fields)

    assert refused.status_code == 422, refused.text
    assert refused.json()["detail"][0]["loc"][:2] == ["body", field]


def test_an_alias_always_has_a_model(http: httpx.Client, two_models: str) -> None:
    make(http, two_models)
    merge = {"Content-Type": "application/merge-patch+json"}

    cleared = http.patch(aliases(two_models, "llama@prod"), content='{"model": null}', headers=merge)

    assert (cleared.status_code, cleared.json()["detail"][0]["loc"]) == (422, ["body", "model"])


def test_an_alias_can_be_a_base_model_and_a_model_never_its_own_ancestor_by_it(
    http: httpx.Client, two_models: str
) -> None:
    make(http, two_models)
    tuned = http.patch(f"{models(two_models)}/v2", json={"base_model": "llama@prod"})
    assert tuned.json()["base_model"] == f"{two_models}/llama@prod"

    moved = http.patch(aliases(two_models, "llama@prod"), json={"model": "v2"})
    circle = http.patch(f"{models(two_models)}/v1", json={"base_model": "v2"})

    assert (moved.status_code, circle.status_code) == (422, 422)
    assert "ancestor" in moved.text and "ancestor" in circle.text


def test_deleting_an_alias_counts_those_who_still_name_it(http: httpx.Client, two_models: str) -> None:
    make(http, two_models)
    http.patch(f"{models(two_models)}/v2", json={"base_model": "llama@prod"})

    assert http.delete(aliases(two_models, "llama@prod")).headers["x-steelyard-dangling"] == "1"
    assert http.get(f"{models(two_models)}/llama@prod").status_code == 404


def test_the_aliases_of_a_model_are_found_by_filter(http: httpx.Client, two_models: str) -> None:
    make(http, two_models)
    make(http, two_models, name="llama@dev", model="v2")

    found = http.get(aliases(two_models), params={"filter[model]": "v1"}).json()["data"]

    assert [alias["name"] for alias in found] == ["llama@prod"]
