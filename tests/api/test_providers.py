"""Providers: how they are made, replaced and told how they fare, and what follows in the models that they serve."""

from typing import Any

import httpx
import pytest

from tests.api.paths import WORKSPACES, faults, made, models, projects, providers, secrets

URL = "https://api.example.com/v1"
QUIET: dict[str, Any] = {"host_url": URL, "discover": False}
"""A provider that the server does not ask, so that only the test changes it."""


def served(*names: str) -> list[dict[str, str]]:
    """What a provider says that it serves."""
    return [{"model_entity_id": name, "served_model_name": f"up/{name}"} for name in names]


def tell(http: httpx.Client, workspace: str, name: str, **said: Any) -> dict[str, Any]:
    """A provider after its status was put."""
    answer = http.put(f"{providers(workspace)}/{name}/status", json=said)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def lists(http: httpx.Client, workspace: str, *names: str) -> list[list[str]]:
    """The `model_providers` of models."""
    return [http.get(f"{models(workspace)}/{name}").json()["model_providers"] for name in names]


def test_a_provider_with_only_an_address(http: httpx.Client, workspace: str) -> None:
    provider = made(http, providers(workspace), name="p", host_url=URL)
    assert provider["id"].startswith("model-provider-")
    assert (provider["status"], provider["status_message"]) == ("CREATED", "Model provider created")
    assert (provider["served_models"], provider["weight"], provider["discover"]) == ([], 1, True)
    nulls = {key for key, value in provider.items() if value is None}
    assert nulls == {
        *("project", "description", "api_key_secret_name", "auth_header_format", "model_deployment_id"),
        *("enabled_models", "limits", "timeouts", "auth_context"),
        *(f"{which}_extra_{what}" for which in ("default", "required") for what in ("headers", "body")),
    }
    assert http.get(f"{providers(workspace)}/p").json() == provider
    assert http.post(providers(workspace), json={"name": "p", "host_url": URL}).status_code == 409


def test_a_caller_may_say_the_status_of_a_new_one(http: httpx.Client, workspace: str) -> None:
    ready = made(http, providers(workspace), name="r", **QUIET, status="READY")
    assert (ready["status"], ready["status_message"]) == ("READY", "")
    told = made(http, providers(workspace), name="t", **QUIET, status_message="by hand")
    assert (told["status"], told["status_message"]) == ("CREATED", "by hand")


FULL: dict[str, Any] = {
    "description": "d",
    "enabled_models": ["a"],
    "default_extra_headers": {"X-Team": "t"},
    "required_extra_body": {"top_k": 1},
    "auth_header_format": "X-Api-Key: {{ auth_secret }}",
    "model_deployment_id": "dep",
    "weight": 5,
    "limits": {"max_concurrency": 1, "max_queue": None, "queue_seconds": 2.5},
    "timeouts": {"connect_seconds": 1, "first_byte_seconds": 2, "between_chunks_seconds": 3, "total_seconds": 4},
    "discover": False,
}


def test_a_put_replaces_all_but_status_what_is_served_and_project(http: httpx.Client, workspace: str) -> None:
    made(http, projects(workspace), name="pr")
    item = f"{providers(workspace)}/p"
    made(http, providers(workspace), name="p", host_url=URL, project="pr", **FULL)
    tell(http, workspace, "p", status="ERROR", status_message="down", served_models=served("m"))

    bare = http.put(item, json={"host_url": "https://other.example.com"}).json()

    assert (bare["revision"], bare["host_url"]) == (3, "https://other.example.com")
    assert (bare["status"], bare["status_message"], bare["project"]) == ("ERROR", "down", "pr")
    assert bare["served_models"] == [{"model_entity_id": f"{workspace}/m", "served_model_name": "up/m"}]
    assert [bare[key] for key in FULL] == [None, None, None, None, None, None, 1, None, None, True]
    told = http.put(item, json={"host_url": URL, "status": "READY", **FULL}).json()
    assert (told["status"], told["status_message"]) == ("READY", "")
    assert {key: told[key] for key in FULL} == FULL
    again = http.put(item, json=http.get(item).json())
    assert (again.status_code, again.json()["revision"]) == (200, told["revision"])


def test_a_put_creates_what_is_not_there(http: httpx.Client, workspace: str) -> None:
    item = f"{providers(workspace)}/p"
    assert faults(http.put(item, json={"description": "d"})) == [(("body", "host_url"), "missing")]
    assert http.put(item, json={"host_url": URL}, headers={"If-Match": '"x.1"'}).status_code == 412
    created = http.put(item, json={"host_url": URL}, headers={"If-None-Match": "*"})
    assert (created.status_code, created.json()["revision"], created.json()["status"]) == (200, 1, "CREATED")
    assert created.json()["status_message"] == "Model provider created"
    assert http.put(item, json={"host_url": URL}, headers={"If-None-Match": "*"}).status_code == 412
    assert faults(http.put(item, json={"host_url": URL, "name": "q"})) == [(("body", "name"), "read_only")]
    bad_name = http.put(f"{providers(workspace)}/a%20b", json={"host_url": URL})
    assert faults(bad_name) == [(("body", "name"), "name")]
    assert http.put(item, content=b"{}", headers={"Content-Type": "application/merge-patch+json"}).status_code == 415


def test_a_patch_keeps_what_it_does_not_name(http: httpx.Client, workspace: str) -> None:
    item = f"{providers(workspace)}/p"
    made(http, providers(workspace), name="p", host_url=URL, **FULL)
    assert http.patch(item, json={"weight": 7, "description": None}).json()["description"] == "d"
    merged = http.patch(
        item,
        json={"description": None, "limits": {"max_concurrency": 9}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).json()
    assert (merged["description"], merged["weight"]) == (None, 7)
    assert merged["limits"] == {**FULL["limits"], "max_concurrency": 9}
    masked = http.patch(item, params={"update_mask": "timeouts,auth_header_format"}, json={})
    assert (masked.json()["timeouts"], masked.json()["auth_header_format"]) == (None, None)
    assert faults(http.patch(item, json={"auth_context": {"principal_id": "x"}})) == [
        (("body", "auth_context"), "read_only")
    ]
    assert faults(http.patch(item, params={"update_mask": "host_url"}, json={})) == [(("body", "host_url"), "required")]


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ({"status": "READY"}, "READY", ""),
        ({"status": "ERROR", "status_message": "no route"}, "ERROR", "no route"),
        ({"status_message": "still looking"}, "CREATED", "still looking"),
        ({"status": None, "status_message": None}, "CREATED", "Model provider created"),
        ({}, "CREATED", "Model provider created"),
    ],
)
def test_a_message_belongs_to_its_status(
    http: httpx.Client, workspace: str, said: dict[str, Any], status: str, message: str
) -> None:
    made(http, providers(workspace), name="p", **QUIET)
    told = tell(http, workspace, "p", **said)
    assert (told["status"], told["status_message"]) == (status, message)


def test_a_status_that_is_no_news_writes_nothing(http: httpx.Client, workspace: str) -> None:
    made(http, providers(workspace), name="p", **QUIET)
    first = tell(http, workspace, "p", status="READY", served_models=served("m", "n"), model_deployment_id="dep")
    assert tell(http, workspace, "p", status="READY", served_models=served("m", "n")) == first
    assert tell(http, workspace, "p", served_models=None) == first
    assert tell(http, workspace, "p", served_models=[])["served_models"] == []


def test_wrong_statuses(http: httpx.Client, workspace: str) -> None:
    path = f"{providers(workspace)}/p/status"
    assert http.put(path, json={"status": "READY"}).status_code == 404
    made(http, providers(workspace), name="p", **QUIET)
    assert faults(http.put(path, json={"state": "READY"})) == [(("body", "state"), "unknown_field")]
    assert faults(http.put(path, json={"host_url": URL})) == [(("body", "host_url"), "unknown_field")]
    twice = http.put(path, json={"served_models": [*served("m"), *served(f"{workspace}/m")]})
    assert faults(twice) == [(("body", "served_models", 1, "model_entity_id"), "reference")]
    assert http.put(path, json={"status": "READY"}, headers={"If-Match": '"x.1"'}).status_code == 412
    shown = http.put(path, params={"dry_run": "true"}, json={"status": "READY"}).json()
    assert [change["path"] for change in shown["dry_run"]["diff"]] == ["status", "status_message"]
    assert http.get(f"{providers(workspace)}/p").json()["revision"] == 1


def test_models_know_who_serves_them(http: httpx.Client, workspace: str) -> None:
    for name in ("m", "n", "o"):
        made(http, models(workspace), name=name, model_providers=["by-hand"])
    made(http, providers(workspace), name="p", **QUIET)
    one, hand = f"{workspace}/p", f"{workspace}/by-hand"

    tell(http, workspace, "p", served_models=served("m", "n", "nobody", "o&adapters/w/x"))
    assert lists(http, workspace, "m", "n", "o") == [[hand, one], [hand, one], [hand]]
    tell(http, workspace, "p", served_models=served("n", "o"))
    assert lists(http, workspace, "m", "n", "o") == [[hand], [hand, one], [hand, one]]
    # What a person has taken away is not put back as long as nothing is new about it.
    http.patch(f"{models(workspace)}/n", json={"model_providers": []})
    tell(http, workspace, "p", served_models=served("n", "o"), status="READY")
    assert lists(http, workspace, "n", "o") == [[], [hand, one]]
    history = http.get(f"{models(workspace)}/o/revisions").json()["data"]
    assert (history[0]["changed"], history[0]["reason"]) == (["model_providers"], f"{one} serves it")


def test_what_a_person_wrote_stays_where_the_provider_never_served(http: httpx.Client, workspace: str) -> None:
    made(http, providers(workspace), name="p", **QUIET)
    made(http, models(workspace), name="m", model_providers=["p"])
    made(http, models(workspace), name="n")
    tell(http, workspace, "p", served_models=served("n"))
    tell(http, workspace, "p", served_models=[])
    assert lists(http, workspace, "m", "n") == [[f"{workspace}/p"], []]


def test_every_way_to_say_what_is_served_reaches_the_models(http: httpx.Client, workspace: str) -> None:
    item, here = f"{providers(workspace)}/p", [f"{workspace}/p"]
    made(http, models(workspace), name="m")
    made(http, providers(workspace), name="p", **QUIET, served_models=served("m"))
    assert lists(http, workspace, "m") == [here]
    assert http.patch(item, json={"served_models": []}).json()["revision"] == 2
    assert lists(http, workspace, "m") == [[]]
    assert http.put(item, json={"host_url": URL, "served_models": served("m")}).status_code == 200
    assert lists(http, workspace, "m") == [here]
    assert http.post(f"{item}:revert", json={"revision": 2}).status_code == 200
    assert lists(http, workspace, "m") == [[]]


def test_a_model_of_another_workspace_may_be_served(http: httpx.Client, workspace: str) -> None:
    other = f"{workspace}-b"
    made(http, WORKSPACES, name=other)
    made(http, models(other), name="m")
    made(http, providers(workspace), name="p", **QUIET)
    tell(http, workspace, "p", served_models=served(f"{other}/m"))
    assert lists(http, other, "m") == [[f"{workspace}/p"]]
    assert http.delete(f"{WORKSPACES}/{workspace}").status_code == 200
    assert lists(http, other, "m") == [[]]
    assert http.post(f"{WORKSPACES}/{workspace}:undelete").status_code == 200
    assert lists(http, other, "m") == [[f"{workspace}/p"]]


def test_all_providers_of_a_workspace_come_back_with_it(http: httpx.Client, workspace: str) -> None:
    other = f"{workspace}-b"
    made(http, WORKSPACES, name=other)
    for name in ("p", "q"):
        made(http, providers(other), name=name, **QUIET)
    named = [f"{other}/q", f"{workspace}/mine", f"{other}/p"]
    made(http, models(workspace), name="m", model_providers=named)
    gone = http.delete(f"{WORKSPACES}/{other}")
    assert (gone.status_code, gone.headers["x-steelyard-dangling"]) == (200, "0")
    assert lists(http, workspace, "m") == [[f"{workspace}/mine"]]
    http.post(f"{WORKSPACES}/{other}:undelete")
    assert lists(http, workspace, "m") == [named]


def test_a_deleted_provider_leaves_every_list_and_comes_back_to_its_place(http: httpx.Client, workspace: str) -> None:
    item, one = f"{providers(workspace)}/p", f"{workspace}/p"
    made(http, providers(workspace), name="p", **QUIET)
    for name in ("m", "hand"):
        made(http, models(workspace), name=name, model_providers=["p", "z"])
    tell(http, workspace, "p", served_models=served("m"))
    tell(http, workspace, "p", served_models=[])
    http.patch(f"{models(workspace)}/m", json={"model_providers": ["p", "z"]})
    shown = http.delete(item, params={"dry_run": "true"}).json()["dry_run"]
    assert sorted(shown["affected"]["released"]) == [f"{workspace}/hand", f"{workspace}/m"]

    gone = http.delete(item)

    assert (gone.status_code, gone.headers["x-steelyard-dangling"]) == (204, "0")
    assert lists(http, workspace, "m", "hand") == [[f"{workspace}/z"], [f"{workspace}/z"]]
    assert http.get(item).status_code == 404
    assert http.post(f"{item}:undelete").status_code == 200
    assert lists(http, workspace, "m", "hand") == [[one, f"{workspace}/z"], [one, f"{workspace}/z"]]


def test_an_undelete_does_not_bring_back_what_was_served_long_ago(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")
    made(http, providers(workspace), name="p", **QUIET)
    tell(http, workspace, "p", served_models=served("m"))
    tell(http, workspace, "p", served_models=[])
    http.delete(f"{providers(workspace)}/p")
    http.post(f"{providers(workspace)}/p:undelete")
    assert lists(http, workspace, "m") == [[]]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://localhost:8000",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706433/",
        "http://0177.0.0.1/",
    ],
)
def test_addresses_that_policy_refuses(http: httpx.Client, workspace: str, url: str) -> None:
    refused = http.post(providers(workspace), json={"name": "p", "host_url": url})
    assert faults(refused) == [(("body", "host_url"), "outbound_refused")]
    made(http, providers(workspace), name="p", **QUIET)
    item = f"{providers(workspace)}/p"
    for answer in (http.put(item, json={"host_url": url}), http.patch(item, json={"host_url": url})):
        assert faults(answer) == [(("body", "host_url"), "outbound_refused")]
    made(http, models(workspace), name="m")
    endpoint = http.patch(f"{models(workspace)}/m", json={"api_endpoint": {"url": url}})
    assert faults(endpoint) == [(("body", "api_endpoint", "url"), "outbound_refused")]


def test_a_refusal_names_the_setting(http: httpx.Client, workspace: str) -> None:
    refused = http.post(providers(workspace), json={"name": "p", "host_url": "http://127.0.0.1:8000"})
    assert "outbound.allowed_hosts" in refused.json()["detail"][0]["msg"]


@pytest.mark.parametrize("name", ["nothing", "other/key", "a b"])
def test_a_secret_is_one_of_the_same_workspace(http: httpx.Client, workspace: str, name: str) -> None:
    for answer in (
        http.post(providers(workspace), json={"name": "p", "host_url": URL, "api_key_secret_name": name}),
        http.put(f"{providers(workspace)}/p", json={"host_url": URL, "api_key_secret_name": name}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_reference")
        assert answer.json()["field"] == "api_key_secret_name"
    assert http.get(f"{providers(workspace)}/p").status_code == 404


def test_a_provider_keeps_the_name_of_a_deleted_secret(http: httpx.Client, workspace: str) -> None:
    made(http, secrets(workspace), name="key", value="s3cret")
    made(http, providers(workspace), name="p", **QUIET, api_key_secret_name="key")
    gone = http.delete(f"{secrets(workspace)}/key")
    assert (gone.status_code, gone.headers["x-steelyard-dangling"]) == (204, "1")
    item = f"{providers(workspace)}/p"
    assert http.get(item).json()["api_key_secret_name"] == "key"
    assert http.patch(item, json={"description": "d"}).status_code == 200
    assert http.patch(item, json={"api_key_secret_name": ""}).json()["api_key_secret_name"] is None


def test_lists_are_filtered_and_sorted(http: httpx.Client, workspace: str) -> None:
    for name, status in (("a", "READY"), ("b", "ERROR"), ("c", "READY"), ("d", "LOST")):
        made(http, providers(workspace), name=name, host_url=f"https://{name}.example.com", status=status)

    def names(**query: Any) -> list[str]:
        answer = http.get(providers(workspace), params=query)
        assert answer.status_code == 200, answer.text
        return [provider["name"] for provider in answer.json()["data"]]

    assert names() == ["a", "b", "c", "d"]
    down, up = names(sort="-status"), names(sort="status")
    assert (sorted(down[:2]), down[2:]) == (["a", "c"], ["d", "b"])
    assert up == down[::-1]
    assert names(sort="status", page_size=2, page=2) == up[2:]
    assert names(**{"filter[status]": "READY"}) == ["a", "c"]
    assert names(filter='host_url~"b.example" OR status:"LOST"') == ["b", "d"]
    assert names(filter='{"status": {"$in": ["READY", "LOST"]}, "name": {"$gt": "a"}}') == ["c", "d"]
    assert names(**{"filter[workspace]": "another"}) == []
    assert names(**{"filter[api_key_secret_name]": "true"}) == []
    assert faults(http.get(providers(workspace), params={"sort": "host_url"}))[0][0] == ("query", "sort")
    assert faults(http.get(models(workspace), params={"sort": "status"}))[0][0] == ("query", "sort")
    walk = http.get(providers(workspace), params={"sort": "status", "page_size": 1}).json()
    assert walk["pagination"]["next_cursor"] is None
    assert "filter" not in walk
    assert "description" not in walk["data"][0]


def test_a_batch_makes_a_model_and_who_serves_it(http: httpx.Client, workspace: str) -> None:
    operations = [
        {"op": "create", "kind": "model", "name": "m", "body": {}},
        {
            "op": "create",
            "kind": "model-provider",
            "name": "p",
            "body": {"host_url": URL, "served_models": served("m"), "discover": False},
        },
        {"op": "apply", "kind": "model-provider", "name": "p", "body": {"host_url": URL, "weight": 3}},
    ]
    answer = http.post(f"/apis/steelyard/v1/workspaces/{workspace}:batch", json={"operations": operations})
    assert answer.status_code == 200, answer.text
    # To apply what does not speak of what is observed leaves that alone.
    provider = answer.json()["results"][2]["record"]
    assert (provider["weight"], provider["discover"]) == (3, True)
    assert provider["served_models"][0]["model_entity_id"] == f"{workspace}/m"
    assert lists(http, workspace, "m") == [[f"{workspace}/p"]]
