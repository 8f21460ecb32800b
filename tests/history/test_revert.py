"""Going back to a revision: one change, which makes the record what it was, validated as of now."""

import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.records.diff import same
from steelyard.records.patch import Said
from tests.api.paths import LAYERS, SPEC, faults, made, models, projects, prompts
from tests.change.records import MODELS, SORTS, ServedRecord, Sort, fields_of
from tests.servers import Server


def revert(http: httpx.Client, item: str, number: Any, **query: str) -> httpx.Response:
    return http.post(f"{item}:revert", json={"revision": number}, params=query)


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_it_makes_the_record_equal_to_what_it_was(http: httpx.Client, workspace: str, sort: Sort) -> None:
    @settings(max_examples=12 if sort is MODELS else 4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(sort.records, min_size=1, max_size=5), st.data())
    def holds(states: list[dict[str, Any]], data: st.DataObject) -> None:
        record = ServedRecord(http, workspace, sort, states[0])
        for state in states[1:]:
            record.change(Said(state, mask="*"))
        for _ in range(2):
            newest = record.get()
            number = data.draw(st.integers(1, newest["revision"]))
            was = http.get(record.path, params={"revision": number, "verbose": "true"}).json()
            assert revert(http, record.path, number).status_code == 200
            now = record.get()
            assert same(fields_of(now), fields_of(was))
            moved = not same(fields_of(newest), fields_of(was))
            assert now["revision"] == newest["revision"] + moved
            assert (now["updated_at"] > newest["updated_at"]) == moved

    holds()


def test_it_is_itself_a_revision_with_a_reason(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m", description="1")
    item = f"{models(workspace)}/m"
    http.patch(item, json={"description": "2"})
    assert revert(http, item, 1, reason="it was better").headers["etag"].endswith('.3"')
    newest = http.get(f"{item}/revisions").json()["data"][0]
    assert (newest["action"], newest["reason"], newest["changed"]) == ("revert", "it was better", ["description"])
    assert revert(http, item, 2).json()["description"] == "2", "and can be taken back itself"


def test_a_key_comes_back_with_its_url(http: httpx.Client, server: Server, workspace: str) -> None:
    def token() -> str | None:
        with closing(sqlite3.connect(server.data_dir / "steelyard.db")) as database:
            sql = (
                "SELECT json_extract(fields, '$.api_endpoint.api_key') FROM records WHERE workspace = ? AND name = 'm'"
            )
            found: str | None = database.execute(sql, (workspace,)).fetchone()[0]
            return found

    made(http, models(workspace), name="m", api_endpoint={"url": "https://a", "api_key": "sk-canary-a"})
    first, item = token(), f"{models(workspace)}/m"
    http.patch(item, json={"api_endpoint": {"url": "https://b", "api_key": "sk-canary-b"}})
    assert token() != first
    answer = revert(http, item, 1)
    assert answer.json()["api_endpoint"] == {
        "url": "https://a",
        "model_id": None,
        "api_key": None,
        "format": None,
        "api_key_set": True,
    }
    assert token() == first
    assert "sk-" not in answer.text


def test_layers_come_back(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m", spec={**SPEC, "linear_layers": LAYERS})
    item = f"{models(workspace)}/m"
    http.patch(item, json={"spec": {**SPEC, "linear_layers": []}})
    revert(http, item, 1)
    assert http.get(item, params={"verbose": "true"}).json()["spec"]["linear_layers"] == LAYERS


@pytest.mark.parametrize("path", [models, prompts])
def test_what_is_gone_by_now_cannot_be_gone_back_to(http: httpx.Client, workspace: str, path: Any) -> None:
    made(http, projects(workspace), name="pro")
    made(http, path(workspace), name="m", project="pro")
    http.delete(f"{projects(workspace)}/pro")
    item = f"{path(workspace)}/m"
    before = http.get(item).json()
    assert before["project"] is None
    assert faults(revert(http, item, 1)) == [(("body", "project"), "project_missing")]
    assert http.get(item).json() == before
    made(http, projects(workspace), name="pro")
    assert revert(http, item, 1).json()["project"] == "pro"


def test_a_model_cannot_become_its_own_ancestor_by_going_back(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="a", base_model="b")
    http.patch(f"{models(workspace)}/a", json={"base_model": ""})
    made(http, models(workspace), name="b", base_model="a")
    assert faults(revert(http, f"{models(workspace)}/a", 1)) == [(("body", "base_model"), "reference")]


def test_conditions_and_dry_runs_hold_for_it(http: httpx.Client, workspace: str) -> None:
    first = http.post(models(workspace), json={"name": "m", "description": "1"})
    item = f"{models(workspace)}/m"
    http.patch(item, json={"description": "2"})
    stale = http.post(f"{item}:revert", json={"revision": 1}, headers={"If-Match": first.headers["etag"]})
    assert (stale.status_code, stale.json()["changed_fields"]) == (412, ["description"])
    shown = revert(http, item, 1, dry_run="true").json()
    assert shown["dry_run"]["diff"] == [{"path": "description", "before": "2", "after": "1"}]
    assert http.get(item).json()["description"] == "2"


@pytest.mark.parametrize(
    "body", [{}, [], {"revision": "1"}, {"revision": 0}, {"revision": True}, {"revision": 1, "x": 1}]
)
def test_what_names_no_revision_is_refused(http: httpx.Client, workspace: str, body: Any) -> None:
    made(http, models(workspace), name="m")
    assert http.post(f"{models(workspace)}/m:revert", json=body).status_code == 422


def test_a_revision_that_is_not_there_is_not_found(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"
    assert revert(http, item, 2).status_code == 404
    assert revert(http, f"{item}-x", 1).status_code == 404
    http.delete(item)
    assert revert(http, item, 1).status_code == 404, "what is deleted is undeleted first"
    http.post(f"{item}:undelete")
    assert revert(http, item, 2).status_code == 404, "at the delete there was nothing"
    assert revert(http, item, 1).status_code == 200
