"""A dry run predicts exactly what the real write then does, and does nothing: every write, dialect and kind."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.records.diff import same
from tests.api.paths import WORKSPACES, made, models, projects, prompts
from tests.change.records import MEDIA_TYPES, MODELS, SORTS, STAMPS, Sort

TIMES = ("created_at", "updated_at", "trust_decision")
"""What holds the time of the write."""
FOLLOWS = {"frozen", "adapters", "spec_origin", "trust_decision"}
"""What the server writes in a record when something else of it changes."""
EVENTS = "/apis/steelyard/v1/events"
_numbers = count(1)


@dataclass(frozen=True)
class Request:
    """One write, to be sent twice: for show and for good."""

    method: str
    path: str
    body: Any = None
    dialect: str = "fields"
    query: dict[str, str] = field(default_factory=dict)

    def send(self, http: httpx.Client, **query: str) -> httpx.Response:
        headers = {"Content-Type": MEDIA_TYPES[self.dialect]}
        if self.body is None:
            return http.request(self.method, self.path, params={**self.query, **query})
        return http.request(self.method, self.path, params={**self.query, **query}, json=self.body, headers=headers)


def state(http: httpx.Client, path: str) -> list[Any]:
    """All that could have moved: the record, its history, and the feed."""
    latest = http.get(EVENTS, params={"after": "latest"}).json()["next_cursor"]
    record, history = http.get(path), http.get(f"{path}/revisions")
    return [latest, record.status_code, record.content, record.headers.get("etag"), history.content]


def predicted(http: httpx.Client, item: str, request: Request) -> httpx.Response:
    """Sends a write for show, then for good, and holds the one against the other. Answers the real one."""
    start = state(http, item)
    before = http.get(item, params={"verbose": "true"})
    shown = request.send(http, dry_run="true")
    assert state(http, item) == start, "a dry run leaves nothing behind"
    done = request.send(http)
    assert (shown.status_code // 100, shown.is_success) == (done.status_code // 100, done.is_success), shown.text
    if not done.is_success:
        assert shown.json() == done.json()
        assert state(http, item) == start
        return done
    told = shown.json()
    preview = told.pop("dry_run")
    after = http.get(item, params={"verbose": "true"})
    gone = after.status_code == 404
    if not gone:
        ignored = {*TIMES, *(["id"] if request.path != item and not before.is_success else [])}
        answered = done.json()
        assert same(*({key: one[key] for key in one if key not in ignored} for one in (told, answered)))
    old, new = ({} if one.status_code == 404 else one.json() for one in (before, after))
    fields = {*old, *new} - {*STAMPS} | ({*old, *new} & FOLLOWS)
    differing = {key for key in fields if not same(old.get(key), new.get(key))}
    assert {difference["path"].partition(".")[0] for difference in preview["diff"]} == differing
    if old and new:
        assert new["revision"] - old["revision"] == bool(differing)
        if differing:
            newest = http.get(f"{item}/revisions", params={"page_size": 1}).json()["data"][0]
            assert set(newest["changed"]) == differing
    return done


def _writes(sort: Sort, item: str, data: st.DataObject) -> Request:
    """Any write of a record: well-formed or not, with effect or without."""
    record, patch = sort.records, sort.patches
    fields = st.sampled_from(sorted(sort.fields))
    choices = [
        record.map(lambda body: Request("PATCH", item, body)),
        patch.map(lambda body: Request("PATCH", item, body, "merge")),
        st.tuples(record, st.lists(fields, min_size=1, max_size=3)).map(
            lambda drawn: Request("PATCH", item, drawn[0], query={"update_mask": ",".join(drawn[1])})
        ),
        record.map(
            lambda body: Request(
                "PATCH",
                item,
                [{"op": "replace", "path": f"/{key}", "value": value} for key, value in body.items()],
                "json_patch",
            )
        ),
        fields.map(lambda key: Request("PATCH", item, [{"op": "remove", "path": f"/{key}"}], "json_patch")),
        st.just(Request("PATCH", item, [{"op": "test", "path": "/description", "value": "?"}], "json_patch")),
        st.integers(1, 6).map(lambda number: Request("POST", f"{item}:revert", {"revision": number})),
        st.just(Request("DELETE", item)),
        st.just(Request("POST", f"{item}:undelete")),
        st.just(Request("PATCH", item, {"descripton": "typo"})),
    ]
    if sort.puts:
        choices.append(record.map(lambda body: Request("PUT", item, body)))
    collection, _, name = item.rpartition("/")
    choices.append(record.map(lambda body: Request("POST", collection, {**body, "name": name})))
    return data.draw(st.one_of(choices))


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_a_dry_run_predicts_what_any_write_then_does(http: httpx.Client, workspace: str, sort: Sort) -> None:
    @settings(max_examples=15 if sort is MODELS else 5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        name = f"dry-{next(_numbers)}"
        item = f"{sort.path(workspace)}/{name}"
        create = Request("POST", sort.path(workspace), {**data.draw(sort.records), "name": name})
        assert predicted(http, item, create).status_code == 201
        for _ in range(data.draw(st.integers(1, 6))):
            predicted(http, item, _writes(sort, item, data))

    holds()


def shown(http: httpx.Client, method: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
    """What a dry run says beside the record."""
    answer = Request(method, path, body, query={"dry_run": "true", **query}).send(http)
    assert answer.status_code == 200, answer.text
    preview: dict[str, Any] = answer.json()["dry_run"]
    return preview


def test_what_would_be_missing(http: httpx.Client, workspace: str) -> None:
    body = {"name": "m", "base_model": "nobody", "model_providers": ["gone/p"]}
    affected = shown(http, "POST", models(workspace), body)["affected"]
    assert affected["missing"] == [
        {"kind": "model", "reference": f"{workspace}/nobody", "field": "base_model"},
        {"kind": "model-provider", "reference": "gone/p", "field": "model_providers"},
    ]
    made(http, models(workspace), name="nobody")
    affected = shown(http, "POST", models(workspace), body)["affected"]
    assert [missing["reference"] for missing in affected["missing"]] == ["gone/p"]


def test_what_would_dangle(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="base")
    made(http, models(workspace), name="tuned", base_model="base")
    preview = shown(http, "DELETE", f"{models(workspace)}/base")
    dangling = [{"kind": "model", "reference": f"{workspace}/tuned", "field": "base_model"}]
    assert (preview["affected"]["dangling"], preview["affected"]["routes"]) == (dangling, [f"{workspace}/base"])
    assert http.delete(f"{models(workspace)}/base").headers["x-steelyard-dangling"] == "1"
    assert shown(http, "DELETE", f"{models(workspace)}/tuned")["affected"]["dangling"] == []


def test_who_would_be_released_from_a_project(http: httpx.Client, workspace: str) -> None:
    made(http, projects(workspace), name="pro")
    made(http, models(workspace), name="m", project="pro")
    made(http, prompts(workspace), name="p", project="pro")
    released = shown(http, "DELETE", f"{projects(workspace)}/pro")["affected"]["released"]
    assert sorted(released) == [f"{workspace}/m", f"{workspace}/p"]
    assert http.get(f"{models(workspace)}/m").json()["project"] == "pro"


def test_what_would_go_with_a_workspace(http: httpx.Client, workspace: str) -> None:
    home = f"dry-home-{next(_numbers)}"
    made(http, WORKSPACES, name=home)
    made(http, models(home), name="base")
    made(http, prompts(home), name="p")
    made(http, models(workspace), name="tuned", base_model=f"{home}/base")
    affected = shown(http, "DELETE", f"{WORKSPACES}/{home}")["affected"]
    assert affected["removed"] == 2
    assert [(one["kind"], one["reference"]) for one in affected["dangling"]] == [("model", f"{workspace}/tuned")]
    assert http.get(f"{models(home)}/base").status_code == 200
    assert http.delete(f"{WORKSPACES}/{home}").headers["x-steelyard-dangling"] == "1"


def test_which_requests_would_go_another_way(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"
    for change in ({"api_endpoint": {"url": "https://b"}}, {"backend_format": "ANTHROPIC_MESSAGES"}):
        assert shown(http, "PATCH", item, change)["affected"]["routes"] == [f"{workspace}/m"]
    for change in ({"description": "x"}, {}):
        assert shown(http, "PATCH", item, change)["affected"]["routes"] == []


def test_the_difference_names_paths_and_masks_secrets(http: httpx.Client, workspace: str) -> None:
    made(
        http,
        models(workspace),
        name="m",
        custom_fields={"a": {"b": 1}},
        api_endpoint={"url": "https://a", "api_key": "sk-old"},
    )
    change = {"custom_fields": {"a": {"b": 2}}, "api_endpoint": {"api_key": "sk-canary-1"}}
    answer = Request("PATCH", f"{models(workspace)}/m", change, "merge", {"dry_run": "true"}).send(http)
    assert answer.json()["dry_run"]["diff"] == [
        {"path": "custom_fields.a.b", "before": 1, "after": 2},
        {"path": "api_endpoint.api_key", "before": "********", "after": "********", "secret_changed": True},
    ]
    assert "sk-" not in answer.text


def test_a_dry_run_asks_what_the_real_write_asks(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"
    stale = http.patch(item, params={"dry_run": "true"}, json={}, headers={"If-Match": '"model-x.1"'})
    assert stale.status_code == 412
    assert http.post(models(workspace), params={"dry_run": "true"}, json={"name": "m"}).status_code == 409
    assert http.patch(f"{item}-2", params={"dry_run": "true"}, json={}).status_code == 404
    assert http.delete(f"{WORKSPACES}/default", params={"dry_run": "true"}).status_code == 409
