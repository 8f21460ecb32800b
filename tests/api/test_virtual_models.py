"""Virtual models and limits: changed by what a body names, listed, and linked to the models that they name."""

from typing import Any

import httpx
import pytest

from tests.api.paths import faults, limits, made, models, projects, virtual_models

MERGE = {"Content-Type": "application/merge-patch+json"}


def test_a_virtual_model_with_only_a_name(http: httpx.Client, workspace: str) -> None:
    made_one = made(http, virtual_models(workspace), name="chat")
    assert made_one["id"].startswith("virtual-model-")
    assert made_one["entity_id"] == made_one["id"]
    lists = ("models", "request_middleware", "response_middleware", "post_response_middleware", "fallbacks")
    assert [made_one[name] for name in lists] == [[]] * 5
    assert made_one["autoprovisioned"] is False
    nulls = {key for key, value in made_one.items() if value is None}
    assert nulls == {
        *("project", "default_model_entity", "override_proxy", "sticky"),
        *("parent", "created_by", "updated_by"),
    }
    item = f"{virtual_models(workspace)}/chat"
    assert http.get(item).json() == made_one
    assert http.put(item, json={}).status_code == 405
    assert faults(http.post(virtual_models(workspace), json={"name": "Chat"})) == [(("body", "name"), "name")]


def test_a_patch_changes_what_it_names(http: httpx.Client, workspace: str) -> None:
    item = f"{virtual_models(workspace)}/chat"
    made(http, projects(workspace), name="pr")
    body = {"default_model_entity": "m", "sticky": {"by": "user"}, "fallbacks": ["f"], "project": "pr"}
    made(http, virtual_models(workspace), name="chat", **body)

    changed = http.patch(item, json={"models": [{"model": "m", "backend_format": "ANTHROPIC_MESSAGES"}]}).json()
    assert changed["models"] == [{"model": f"{workspace}/m", "backend_format": "ANTHROPIC_MESSAGES", "weight": None}]
    assert (changed["default_model_entity"], changed["fallbacks"]) == (f"{workspace}/m", [f"{workspace}/f"])
    assert (changed["sticky"], changed["project"]) == ({"by": "user", "header": None}, "pr")

    cleared = http.patch(item, json={"default_model_entity": None, "override_proxy": None, "sticky": None}).json()
    assert (cleared["default_model_entity"], cleared["sticky"], cleared["project"]) == (None, None, "pr")
    for field in ("models", "fallbacks", "request_middleware", "response_middleware", "post_response_middleware"):
        assert faults(http.patch(item, json={field: None})) == [(("body", field), "list_type")]
    merged = http.patch(item, json={"models": None, "project": None}, headers=MERGE).json()
    assert (merged["models"], merged["project"]) == ([], None)
    back = http.patch(item, json=http.get(item).json())
    assert (back.status_code, back.json()["revision"]) == (200, merged["revision"])


def test_parts_that_do_not_go_together_are_refused_after_a_change_too(http: httpx.Client, workspace: str) -> None:
    item = f"{virtual_models(workspace)}/chat"
    made(http, virtual_models(workspace), name="chat", default_model_entity="m", fallbacks=["f"])
    assert faults(http.patch(item, json={"default_model_entity": "f"})) == [(("body", "fallbacks", 0), "reference")]
    assert faults(http.patch(item, json={"models": [{"model": "x", "weight": 0}]})) == [(("body", "models"), "weights")]
    assert http.get(item).json()["revision"] == 1


def test_only_the_server_provisions(http: httpx.Client, workspace: str) -> None:
    path = virtual_models(workspace)
    refused = http.post(path, json={"name": "chat", "autoprovisioned": True})
    assert faults(refused) == [(("body", "autoprovisioned"), "read_only")]
    made(http, path, name="chat", autoprovisioned=False)
    assert http.patch(f"{path}/chat", json={"autoprovisioned": False}).json()["revision"] == 1
    assert faults(http.patch(f"{path}/chat", json={"autoprovisioned": True})) == [
        (("body", "autoprovisioned"), "read_only")
    ]


def test_a_proxy_of_another_kind_is_refused(http: httpx.Client, workspace: str) -> None:
    refused = http.post(virtual_models(workspace), json={"name": "chat", "override_proxy": "plugin.proxy"})
    assert faults(refused) == [(("body", "override_proxy"), "override_proxy")]
    assert made(http, virtual_models(workspace), name="chat", override_proxy=None)["override_proxy"] is None


def test_lists_have_twenty_on_a_page_and_are_filtered(http: httpx.Client, workspace: str) -> None:
    path = virtual_models(workspace)
    for number in range(21):
        made(http, path, name=f"chat-{number:02}", default_model_entity="a" if number % 2 else "b")

    page = http.get(path).json()

    assert (page["pagination"]["page_size"], page["pagination"]["total_pages"]) == (20, 2)
    assert (page["sort"], page["filter"]) == ("-created_at", None)
    assert page["data"][0]["name"] == "chat-20"
    assert page["data"][0]["parent"] is None
    named = http.get(path, params={"filter[default_model_entity]": "a", "sort": "name", "page_size": 200}).json()
    assert [one["name"] for one in named["data"]] == [f"chat-{number:02}" for number in range(1, 21, 2)]
    assert named["filter"] == {"default_model_entity": {"$eq": f"{workspace}/a"}}
    assert http.get(path, params={"filter[workspace]": "another"}).json()["data"] == []
    bad = http.get(path, params={"exclude_autoprovisioned": "perhaps"})
    assert faults(bad) == [(("query", "exclude_autoprovisioned"), "bool_parsing")]


def test_a_deleted_model_leaves_names_that_lead_nowhere(http: httpx.Client, workspace: str) -> None:
    for name in ("m", "f"):
        made(http, models(workspace), name=name)
    made(http, virtual_models(workspace), name="chat", models=[{"model": "m"}], fallbacks=["f"])
    made(http, virtual_models(workspace), name="plain", default_model_entity="m")
    made(http, limits(workspace), name="lim", model="m", requests_per_minute=1)
    assert http.delete(f"{models(workspace)}/m").headers["x-steelyard-dangling"] == "3"
    assert http.delete(f"{models(workspace)}/f").headers["x-steelyard-dangling"] == "1"
    shown = http.patch(f"{virtual_models(workspace)}/chat", params={"dry_run": "true"}, json={"fallbacks": []}).json()
    assert shown["dry_run"]["affected"]["missing"] == [
        {"kind": "model", "reference": f"{workspace}/m", "field": "models"}
    ]
    assert shown["dry_run"]["affected"]["routes"] == [f"{workspace}/chat"]


def test_a_limit(http: httpx.Client, workspace: str) -> None:
    path = limits(workspace)
    limit = made(http, path, name="Team.1", model="m", budget={"amount": 50, "period": "month"})
    assert limit["id"].startswith("limit-")
    assert (limit["model"], limit["enabled"], limit["per_key"]) == (f"{workspace}/m", True, False)
    assert limit["budget"] == {"amount": 50.0, "currency": "USD", "period": "month"}
    item = f"{path}/Team.1"
    assert faults(http.patch(item, json={"budget": None})) == [(("body",), "required")]
    changed = http.patch(item, json={"budget": None, "model": None, "tokens_per_minute": 9, "per_key": True}).json()
    assert (changed["budget"], changed["model"], changed["tokens_per_minute"]) == (None, None, 9)
    assert faults(http.post(path, json={"name": "nothing", "model": "m"})) == [(("body",), "required")]
    listed = http.get(path, params={"filter[per_key]": "true"}).json()["data"]
    assert [(one["name"], "budget" in one) for one in listed] == [("Team.1", False)]
    assert http.delete(item).status_code == 204
    assert http.post(f"{item}:undelete").json()["tokens_per_minute"] == 9
    assert len(http.get(f"{item}/revisions").json()["data"]) == 4


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        (
            {"pricing": {"input": 0.5, "output": 1.5}},
            {
                "currency": "USD",
                "input": 0.5,
                "cached_input": None,
                "cache_write": None,
                "output": 1.5,
                "request": None,
            },
        ),
        (
            {"routing": {"choice": "weighted", "cache_seconds": 60}},
            {"choice": "weighted", "retries": None, "hedge_seconds": None, "cache_seconds": 60},
        ),
    ],
)
def test_a_model_says_what_it_costs_and_how_it_is_routed(
    http: httpx.Client, workspace: str, fields: dict[str, Any], stored: dict[str, Any]
) -> None:
    (name,) = fields
    assert made(http, models(workspace), name="m", **fields)[name] == stored
    item = f"{models(workspace)}/m"
    assert http.patch(item, json={name: None}).json()["revision"] == 1
    (shown,) = http.get(models(workspace)).json()["data"]
    assert shown[name] == {key: value for key, value in stored.items() if value is not None}
    assert http.patch(item, json={name: None}, headers=MERGE).json()[name] is None


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"pricing": {"currency": "euro"}}, ("pricing", "currency")),
        ({"pricing": {"input": -1}}, ("pricing", "input")),
        ({"pricing": {"inputs": 1}}, ("pricing", "inputs")),
        ({"routing": {"choice": "random"}}, ("routing", "choice")),
        ({"routing": {"retries": 11}}, ("routing", "retries")),
        ({"routing": {"hedge_seconds": 0}}, ("routing", "hedge_seconds")),
        ({"routing": {"cache_seconds": 86_401}}, ("routing", "cache_seconds")),
        ({"prompt": {"inference_params_as": "both"}}, ("prompt", "inference_params_as")),
    ],
)
def test_wrong_prices_and_routes(
    http: httpx.Client, workspace: str, fields: dict[str, Any], place: tuple[str, ...]
) -> None:
    answer = http.post(models(workspace), json={"name": "m", **fields})
    assert [fault for fault, _ in faults(answer)] == [("body", *place)]


def test_parameters_of_a_prompt_are_defaults_or_overrides(http: httpx.Client, workspace: str) -> None:
    prompt = {"system_prompt": "Be brief.", "inference_params": {"temperature": 0}, "inference_params_as": "overrides"}
    model = made(http, models(workspace), name="m", prompt=prompt)
    assert model["prompt"]["inference_params_as"] == "overrides"
    assert made(http, models(workspace), name="n", prompt={})["prompt"]["inference_params_as"] is None
