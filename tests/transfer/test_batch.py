"""Many writes in one request: all or nothing, or each for itself."""

from typing import Any

import httpx
import pytest

from tests.api.paths import faults, made, models, projects, prompts
from tests.feed.following import all_pages, latest

Operation = dict[str, Any]


def op(verb: str, name: str, body: Any = None, kind: str = "model", **more: Any) -> Operation:
    return {"op": verb, "kind": kind, "name": name, "body": body, **more}


def batch(
    http: httpx.Client, workspace: str, *operations: Operation, atomic: bool = True, **query: str
) -> httpx.Response:
    path = f"/apis/steelyard/v1/workspaces/{workspace}:batch"
    return http.post(path, json={"operations": list(operations), "atomic": atomic}, params=query)


def names(http: httpx.Client, workspace: str) -> list[str]:
    return [record["name"] for record in http.get(models(workspace), params={"sort": "name"}).json()["data"]]


def test_every_verb_and_kind_in_one_transaction(http: httpx.Client, workspace: str) -> None:
    gone = made(http, models(workspace), name="gone")
    http.delete(f"{models(workspace)}/gone")
    made(http, models(workspace), name="old", description="1")
    http.patch(f"{models(workspace)}/old", json={"description": "2"})
    start = latest(http)
    answer = batch(
        http,
        workspace,
        op("create", "pro", {"description": "new"}, "project"),
        op("create", "m", {"project": "pro"}),
        op("update", "m", {"custom_fields": {"a": 1}}),
        op("update", "m", {"custom_fields": {"b": 2}}, dialect="merge"),
        op("update", "m", {"custom_fields": {"c": 3}}, update_mask="custom_fields.c,description"),
        op("update", "m", [{"op": "remove", "path": "/custom_fields/a"}], dialect="json_patch"),
        op("apply", "p", {"messages": []}, "prompt"),
        op("undelete", "gone"),
        op("revert", "old", revision=1),
        op("delete", "pro", kind="project"),
        reason="all at once",
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["applied"] == 10
    assert [result["status"] for result in body["results"]] == [201, 201, 200, 200, 200, 200, 201, 201, 200, 204]
    model = http.get(f"{models(workspace)}/m")
    assert (model.json()["custom_fields"], model.json()["project"]) == ({"b": 2, "c": 3}, None)
    assert body["results"][5]["etag"] == model.headers["etag"].replace(".6", ".5")
    assert body["results"][7]["record"]["id"] == gone["id"]
    assert http.get(f"{models(workspace)}/old").json()["description"] == "1"
    events = all_pages(http, start, workspace=workspace)
    assert len(events) == 11
    assert {event["reason"] for event in events} == {"all at once"}


def test_one_that_fails_takes_all_back_and_is_named(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="there")
    start = latest(http)
    for failing, status in (
        (op("create", "there", {}), 409),
        (op("update", "nobody", {}), 404),
        (op("update", "there", {"description": 5}), 422),
        (op("update", "there", {"project": "nowhere"}), 422),
        (op("update", "there", {}, if_match='"model-x.1"'), 412),
        (op("create", "there", {}, if_none_match="*"), 412),
        (op("delete", "nobody"), 404),
        (op("revert", "there", revision=9), 404),
        (op("revert", "there"), 422),
        (op("create", "other", {"name": "not-other"}), 422),
    ):
        answer = batch(http, workspace, op("create", "a", {}), failing, op("create", "b", {}))
        assert (answer.status_code, answer.json()["operation"]) == (status, 1), answer.text
        assert names(http, workspace) == ["there"]
    assert latest(http) == start


def test_each_operation_has_its_own_condition(http: httpx.Client, workspace: str) -> None:
    tags = [http.post(models(workspace), json={"name": name}).headers["etag"] for name in "ab"]
    good = [op("update", name, {"description": "1"}, if_match=tag) for name, tag in zip("ab", tags, strict=True)]
    assert batch(http, workspace, *good).status_code == 200
    stale = batch(http, workspace, op("update", "a", {"description": "2"}), good[1])
    assert (stale.status_code, stale.json()["operation"], stale.json()["changed_fields"]) == (412, 1, ["description"])
    assert [http.get(f"{models(workspace)}/{name}").json()["description"] for name in "ab"] == ["1", "1"]


def test_without_atomic_each_is_for_itself(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="there")
    answer = batch(
        http,
        workspace,
        op("create", "a", {}),
        op("create", "there", {}),
        op("update", "a", {"descripton": "x"}),
        op("update", "a", {"description": "x"}),
        op("delete", "nobody"),
        atomic=False,
    )
    body = answer.json()
    assert (answer.status_code, body["applied"]) == (200, 2)
    assert [result["status"] for result in body["results"]] == [201, 409, 422, 200, 404]
    assert [result.get("error", {}).get("code") for result in body["results"]] == [
        None,
        "already_exists",
        "invalid_input",
        None,
        "not_found",
    ]
    assert names(http, workspace) == ["a", "there"]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_thousand_are_taken_and_one_more_is_not(http: httpx.Client, workspace: str, atomic: bool) -> None:
    operations = [op("create", f"m-{number:04}", {"description": "x" * 500}) for number in range(1001)]
    assert batch(http, workspace, *operations, atomic=atomic).status_code == 422
    assert names(http, workspace) == []
    answer = batch(http, workspace, *operations[:1000], atomic=atomic)
    assert (answer.status_code, answer.json()["applied"]) == (200, 1000)
    assert http.get(models(workspace)).json()["pagination"]["total_results"] == 1000


def test_apply_makes_a_record_exactly_what_it_says(http: httpx.Client, workspace: str) -> None:
    wanted = {"description": "1", "custom_fields": {"a": 1}}
    results = []
    for body in (wanted, wanted, {"custom_fields": {"b": 2}}):
        (result,) = batch(http, workspace, op("apply", "m", body)).json()["results"]
        results.append((result["status"], result["changed"], result["record"]["revision"]))
    assert results == [(201, True, 1), (200, False, 1), (200, True, 2)]
    found = http.get(f"{models(workspace)}/m").json()
    assert (found["description"], found["custom_fields"]) == (None, {"b": 2})


def test_a_dry_run_shows_each_and_does_nothing(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="base")
    operations = [
        op("create", "pro", {}, "project"),
        op("create", "m", {"project": "pro", "base_model": "base"}),
        op("update", "base", {"description": "x"}),
        op("delete", "base"),
    ]
    start = latest(http)
    shown = batch(http, workspace, *operations, dry_run="true").json()
    assert (names(http, workspace), latest(http)) == (["base"], start)
    previews = [result["dry_run"] for result in shown["results"]]
    assert previews[1]["affected"]["missing"] == [], "what comes before in the batch counts"
    assert previews[2]["diff"] == [{"path": "description", "before": None, "after": "x"}]
    assert [one["reference"] for one in previews[3]["affected"]["dangling"]] == [f"{workspace}/m"]
    done = batch(http, workspace, *operations).json()
    assert [result["status"] for result in done["results"]] == [result["status"] for result in shown["results"]]
    assert names(http, workspace) == ["m"]


@pytest.mark.parametrize(
    "operation",
    [
        op("create", "w", {}, "workspace"),
        op("create", "w", {}, "cat"),
        op("sum", "w", {}),
        op("create", "", {}),
        {**op("create", "w", {}), "ifmatch": "x"},
        op("create", "w", []),
        op("update", "w", {}, if_match="no-tag"),
    ],
)
def test_what_is_no_operation_is_refused(http: httpx.Client, workspace: str, operation: Operation) -> None:
    assert batch(http, workspace, op("create", "a", {}), operation).status_code == 422
    assert names(http, workspace) == []


def test_no_operations_are_no_batch(http: httpx.Client, workspace: str) -> None:
    assert faults(batch(http, workspace)) == [(("body", "operations"), "too_short")]
    assert batch(http, "nowhere-at-all", op("create", "a", {})).status_code == 422


def test_a_secret_in_a_batch_is_not_in_its_answer(http: httpx.Client, workspace: str) -> None:
    endpoint = {"url": "https://a", "api_key": "sk-canary-batch"}
    create = op("create", "m", {"api_endpoint": endpoint})
    for answer in (batch(http, workspace, create, dry_run="true"), batch(http, workspace, create)):
        assert answer.status_code == 200
        assert "sk-canary" not in answer.text
    assert "sk-canary" not in batch(http, workspace, create, op("create", "p", {}, "prompt"), atomic=False).text
    assert http.get(f"{prompts(workspace)}/p").status_code == 200
    assert http.get(projects(workspace)).json()["data"] == []


def test_without_atomic_a_key_makes_each_operation_happen_once(http: httpx.Client, workspace: str) -> None:
    path = f"/apis/steelyard/v1/workspaces/{workspace}:batch"
    body: dict[str, Any] = {
        "atomic": False,
        "operations": [op("create", "a", {}), op("update", "late", {"description": "x"})],
    }
    headers = {"Idempotency-Key": "one"}
    first = http.post(path, json=body, headers=headers).json()
    assert [result["status"] for result in first["results"]] == [201, 404]
    http.patch(f"{models(workspace)}/a", json={"description": "later"})
    again = http.post(path, json=body, headers=headers).json()
    assert again["results"][0] == first["results"][0], "the first answer, not a conflict"
    made(http, models(workspace), name="late")
    third = http.post(path, json=body, headers=headers).json()
    assert [result["status"] for result in third["results"]] == [201, 200], "what failed may be tried again"
    assert http.post(path, json={**body, "operations": body["operations"][:1]}, headers=headers).status_code == 422
