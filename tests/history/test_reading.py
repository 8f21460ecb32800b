"""Reading the history of a record: its revisions, its past, and what differs between two of its states."""

import copy
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.records.diff import same
from steelyard.records.patch import Said
from tests.api.paths import LAYERS, SPEC, faults, made, models
from tests.change.records import MODELS, SORTS, ServedRecord, Sort, fields_of
from tests.change.test_rfc7396 import rfc7396, without_nulls

CANARY = "sk-canary-history"


def revisions(http: httpx.Client, item: str, **query: Any) -> list[dict[str, Any]]:
    answer = http.get(f"{item}/revisions", params=query)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_each_change_leaves_a_revision_that_says_what_and_why(http: httpx.Client, workspace: str, sort: Sort) -> None:
    record = ServedRecord(http, workspace, sort, {"description": "1"})
    said = {"X-Steelyard-Reason": "in the header", "X-Request-ID": "asked-once"}
    changed = http.patch(record.path, json={"description": "2"}, headers=said)
    http.patch(record.path, json={"description": "3"}, params={"reason": "in the query"})
    http.patch(record.path, json={"description": "3"})  # no change, no revision
    http.delete(record.path)
    gone, third, second, first = revisions(http, record.path)
    assert [one["action"] for one in (first, second, third, gone)] == ["create", "update", "update", "delete"]
    assert [one["revision"] for one in (first, second, third, gone)] == [1, 2, 3, 4]
    assert (first["before"], first["after"]["description"]) == (None, "1")
    assert (second["before"], second["after"]) == ({"description": "1"}, {"description": "2"})
    assert (second["changed"], second["reason"], third["reason"]) == (["description"], "in the header", "in the query")
    assert second["request_id"] == changed.headers["x-request-id"]
    assert second["at"] == changed.json()["updated_at"]
    assert (gone["after"], second["actor"]) == (None, None)


def test_a_reason_of_more_than_a_thousand_characters_is_refused(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")
    answer = http.patch(f"{models(workspace)}/m", json={}, headers={"X-Steelyard-Reason": "x" * 1001})
    assert faults(answer) == [(("header", "X-Steelyard-Reason"), "string_too_long")]


@pytest.fixture
def ten(http: httpx.Client, workspace: str) -> str:
    """A model with ten revisions; its number says which it is."""
    made(http, models(workspace), name="ten", custom_fields={"number": 1})
    item = f"{models(workspace)}/ten"
    for number in range(2, 11):
        assert http.patch(item, json={"custom_fields": {"number": number}}).json()["revision"] == number
    return item


@pytest.mark.parametrize("size", [1, 3, 5, 10, 100])
def test_pages_and_walks_show_each_revision_once_newest_first(http: httpx.Client, ten: str, size: int) -> None:
    pages: list[dict[str, Any]] = []
    for page in range(1, -(-10 // size) + 1):
        pages += revisions(http, ten, page=page, page_size=size)
    walked: list[dict[str, Any]] = []
    query: dict[str, Any] = {"page_size": size}
    while True:
        body = http.get(f"{ten}/revisions", params=query).json()
        assert body["pagination"]["total_results"] == 10
        walked += body["data"]
        if body["pagination"]["next_cursor"] is None:
            break
        query["cursor"] = body["pagination"]["next_cursor"]
    assert pages == walked
    assert [one["revision"] for one in walked] == list(range(10, 0, -1))
    for one in walked[:-1]:
        assert one["before"] == {"custom_fields": {"number": one["revision"] - 1}}
        assert one["after"] == {"custom_fields": {"number": one["revision"]}}
    assert revisions(http, ten, page=99) == []


def test_a_walk_is_not_moved_by_what_is_written_meanwhile(http: httpx.Client, ten: str) -> None:
    first = http.get(f"{ten}/revisions", params={"page_size": 4}).json()
    http.patch(ten, json={"custom_fields": {"number": 11}})
    second = revisions(http, ten, page_size=4, cursor=first["pagination"]["next_cursor"])
    assert [one["revision"] for one in [*first["data"], *second]] == [10, 9, 8, 7, 6, 5, 4, 3]


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"cursor": "-1"}, {"cursor": "5", "page": 2}, {"page_size": 0}, {"page": 0}]
)
def test_what_is_no_page_is_refused(http: httpx.Client, ten: str, query: dict[str, Any]) -> None:
    assert http.get(f"{ten}/revisions", params=query).status_code == 422


def test_the_record_at_a_revision_and_at_a_time(http: httpx.Client, ten: str) -> None:
    history = revisions(http, ten)
    now = http.get(ten)
    for one in history:
        by_number = http.get(ten, params={"revision": one["revision"]})
        by_time = http.get(ten, params={"at": one["at"]})
        assert by_number.content == by_time.content
        assert by_number.json() == {
            **now.json(),
            "custom_fields": {"number": one["revision"]},
            "revision": one["revision"],
            "updated_at": one["at"],
        }
        assert by_number.headers["etag"] == now.headers["etag"].replace(".10", f".{one['revision']}")
    assert http.get(ten, params={"at": "2999-01-01T00:00:00Z"}).content == now.content
    with_zone = history[0]["at"].replace("Z", "+00:00")
    assert http.get(ten, params={"at": with_zone}).content == now.content
    assert (
        http.get(ten, params={"revision": 3}, headers={"If-None-Match": by_number.headers["etag"]}).status_code == 200
    )


def test_what_was_never_there_is_not_found(http: httpx.Client, ten: str) -> None:
    for query in ("revision=11", "at=2001-01-01T00:00:00Z"):
        assert http.get(f"{ten}?{query}").status_code == 404
    for query in ("revision=0", "revision=x", "at=yesterday", "revision=1&at=2999-01-01"):
        assert http.get(f"{ten}?{query}").status_code == 422
    assert http.get(f"{ten}-not/revisions").status_code == 404
    assert http.get(f"{ten}-not", params={"revision": 1}).status_code == 404
    for span, status in (("1...11", 404), ("1..2", 422), ("0...1", 422), ("a...b", 422), ("1...", 422)):
        assert http.get(f"{ten}/revisions/{span}").status_code == status


def test_the_past_of_what_is_deleted_can_be_read(http: httpx.Client, ten: str) -> None:
    http.delete(ten)
    assert http.get(ten).status_code == 404
    assert http.get(ten, params={"revision": 4}).json()["custom_fields"] == {"number": 4}
    assert http.get(ten, params={"revision": 11}).status_code == 404, "at the delete it was not there"
    assert http.get(ten, params={"at": "2999-01-01T00:00:00Z"}).status_code == 404
    assert http.get(f"{ten}/revisions/2...9").json()["merge_patch"] == {"custom_fields": {"number": 9}}


def test_a_secret_stands_in_no_history(http: httpx.Client, workspace: str) -> None:
    endpoint = {"url": "https://a", "api_key": f"{CANARY}-1"}
    made(http, models(workspace), name="m", api_endpoint=endpoint)
    item = f"{models(workspace)}/m"
    http.patch(item, json={"api_endpoint": {**endpoint, "api_key": f"{CANARY}-2"}})
    http.patch(item, json={"api_endpoint": {"url": "https://a"}})
    http.delete(item)
    said = [http.get(f"{item}/revisions").text, http.get(f"{item}/revisions/1...2").text]
    said += [http.get(item, params={"revision": number, "verbose": "true"}).text for number in (1, 2, 3)]
    said += [
        http.get(f"{item}/revisions/1...3").text,
        http.get("/apis/steelyard/v1/events", params={"workspace": workspace}).text,
    ]
    for text in said:
        assert CANARY not in text
        assert "v2." not in text, "nor the sealed form of it"
    keyless, with_key = http.get(item, params={"revision": 3}).json(), http.get(item, params={"revision": 1}).json()
    assert [one["api_endpoint"]["api_key_set"] for one in (with_key, keyless)] == [True, False]
    (difference,) = http.get(f"{item}/revisions/1...2").json()["diff"]
    assert difference == {
        "path": "api_endpoint.api_key",
        "before": "********",
        "after": "********",
        "secret_changed": True,
    }
    assert http.get(f"{item}/revisions/1...3").json()["merge_patch"] == {"api_endpoint": {"api_key": None}}


def test_a_null_in_an_object_of_the_caller_is_a_difference(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m", custom_fields={"a": None, "b": 1})
    item = f"{models(workspace)}/m"
    assert http.patch(item, json={"custom_fields": {"b": 1}}).json()["revision"] == 2
    (difference,) = http.get(f"{item}/revisions/1...2").json()["diff"]
    assert difference == {"path": "custom_fields.a", "before": None, "after": None}


def test_layers_stand_in_the_past_too(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m", spec={**SPEC, "linear_layers": LAYERS})
    item = f"{models(workspace)}/m"
    http.patch(item, json={"spec": {**SPEC, "linear_layers": []}})
    past = {verbose: http.get(item, params={"revision": 1, "verbose": verbose}).json() for verbose in ("true", "false")}
    assert (past["true"]["spec"]["linear_layers"], past["false"]["spec"]["linear_layers"]) == (LAYERS, None)
    assert http.get(f"{item}/revisions/2...1").json()["merge_patch"] == {"spec": {"linear_layers": LAYERS}}


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_the_patch_between_two_revisions_leads_from_one_to_the_other(
    http: httpx.Client, workspace: str, sort: Sort
) -> None:
    @settings(max_examples=10 if sort is MODELS else 4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(sort.records, min_size=2, max_size=4))
    def holds(states: list[dict[str, Any]]) -> None:
        record = ServedRecord(http, workspace, sort, states[0])
        seen = [record.get()]
        for state in states[1:]:
            after = record.change(Said(state, mask="*"))
            if after["revision"] > len(seen):
                seen.append(after)
        for first, one in enumerate(seen, 1):
            for second, other in enumerate(seen, 1):
                _check(http, record, (first, one), (second, other))

    holds()


def _check(http: httpx.Client, record: ServedRecord, one: tuple[int, Any], other: tuple[int, Any]) -> None:
    (first, before), (second, after) = one, other
    compared = http.get(f"{record.path}/revisions/{first}...{second}").json()
    assert (compared["from"], compared["to"]) == (first, second)
    reached = rfc7396(fields_of(before), compared["merge_patch"])
    assert same(without_nulls(_shown(reached)), without_nulls(_shown(fields_of(after))))
    assert bool(compared["diff"]) != same(fields_of(before), fields_of(after))
    for difference in compared["diff"]:
        if difference["path"] == "spec.linear_layers":
            continue  # shown by its digest
        assert same(_at(before, difference["path"]), _shown(difference["before"]))
        assert same(_at(after, difference["path"]), _shown(difference["after"]))


def _at(document: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(document, list) or document is None:
            return None
        document = document.get(step)
    return _shown(copy.deepcopy(document))


def _shown(value: Any) -> Any:
    """Without the parts that diffs and answers show in different ways."""
    if not isinstance(value, dict):
        layers = isinstance(value, list) and value and isinstance(value[0], dict) and "in_features" in value[0]
        return None if layers else value
    if set(value) == {"sha256"}:
        return None
    return {key: _shown(item) for key, item in value.items() if key not in {"linear_layers", "api_key_set"}}
