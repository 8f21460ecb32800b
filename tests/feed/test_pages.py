"""The feed by the page: every change once, in order; filtered; and enough to rebuild the registry from."""

from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.paths import WORKSPACES, made, models, projects, prompts
from tests.change.records import OWN_WORKSPACES, SORTS
from tests.feed.following import EVENTS, Event, all_pages, latest, page

_numbers = count(1)


def test_each_change_is_told_once_in_order_with_who_and_why(http: httpx.Client, workspace: str) -> None:
    start, item = latest(http), f"{models(workspace)}/m"
    made(http, models(workspace), name="m", description="1")
    changed = http.patch(item, json={"description": "2"}, params={"reason": "why"}, headers={"X-Request-ID": "asked"})
    http.patch(item, json={"description": "2"})
    http.patch(item, json={"description": 5})
    http.patch(item, json={"description": "3"}, params={"dry_run": "true"})
    http.post(f"{item}:revert", json={"revision": 1})
    http.delete(item)
    http.post(f"{item}:undelete")
    found = all_pages(http, start, workspace=workspace)
    names = ["model.create", "model.update", "model.revert", "model.delete", "model.undelete"]
    assert [event["event"] for event in found] == names
    assert [event["revision"] for event in found] == [1, 2, 3, 4, 5]
    cursors = [int(event["cursor"]) for event in found]
    assert cursors == sorted(set(cursors))
    second = found[1]
    assert (second["record"], second["changed"], second["reason"]) == (changed.json(), ["description"], "why")
    assert (second["request_id"], second["id"]) == (changed.headers["x-request-id"], changed.json()["id"])
    assert found[3]["record"] is None


def test_pages_of_any_size_tell_the_same(http: httpx.Client, workspace: str) -> None:
    start = latest(http)
    for number in range(7):
        made(http, models(workspace), name=f"m-{number}")
    whole, end = page(http, after=start, limit=1000)
    for size in (1, 2, 6, 7, 8):
        assert all_pages(http, start, limit=size) == whole
    assert page(http, after=end) == ([], end)


def test_a_cursor_waits_for_what_is_not_there_yet(http: httpx.Client, workspace: str) -> None:
    cursor = latest(http)
    assert page(http, after=cursor) == ([], cursor)
    made(http, models(workspace), name="m")
    (event,), following = page(http, after=cursor)
    assert (event["name"], event["cursor"]) == ("m", following)
    assert following == latest(http)


def test_filters_by_workspace_and_kind(http: httpx.Client, workspace: str) -> None:
    start, home = latest(http), f"feed-{workspace}"
    made(http, WORKSPACES, name=home)
    made(http, projects(home), name="pro")
    made(http, models(home), name="m", project="pro")
    made(http, prompts(workspace), name="p")
    http.delete(f"{projects(home)}/pro")

    def seen(**query: Any) -> list[str]:
        return [f"{event['event']} {event['name']}" for event in all_pages(http, start, limit=2, **query)]

    own = [f"workspace.create {home}", "project.create pro", "model.create m", "model.update m", "project.delete pro"]
    assert seen(workspace=home) == own
    assert seen(workspace=workspace) == ["prompt.create p"]
    assert seen(kind="model") == ["model.create m", "model.update m"]
    assert seen(kind="model,prompt") == seen(kind=["model", "prompt"])
    assert seen(kind="prompt", workspace=home) == []
    assert seen() == [*own[:3], "prompt.create p", *own[3:]]
    events = {f"{event['kind']}.{event['name']}": event for event in all_pages(http, start)}
    assert events["model.m"]["cause"] == events["project.pro"]["id"], "whose delete it was"


@pytest.mark.parametrize("query", [{"after": "x"}, {"after": "-1"}, {"kind": "cat"}, {"limit": 0}, {"limit": 100_000}])
def test_what_makes_no_sense_is_refused(http: httpx.Client, query: dict[str, Any]) -> None:
    assert http.get(EVENTS, params=query).status_code == 422


def rebuilt(events: list[Event]) -> dict[tuple[str, str, str], Any]:
    """The registry that the events make of nothing."""
    found: dict[tuple[str, str, str], Any] = {}
    for event in events:
        place = (event["kind"], event["workspace"], event["name"])
        if event["record"] is None:
            found.pop(place, None)
        else:
            found[place] = event["record"]
    return found


def listed(http: httpx.Client, home: str = "-") -> dict[tuple[str, str, str], Any]:
    """The registry, or one workspace of it, as it is: every record of every kind, read for itself."""
    found: dict[tuple[str, str, str], Any] = {}
    for sort in SORTS:
        query: dict[str, Any] = {"page_size": 1000, "sort": "name"}
        while True:
            body = http.get(sort.path(home), params=query).json()
            for record in body["data"]:
                if sort is OWN_WORKSPACES and home not in {"-", record["name"]}:
                    continue
                where = record.get("workspace", "")
                whole = http.get(f"{sort.path(where)}/{record['name']}", params={"verbose": "true"})
                found[sort.kind.name, where, record["name"]] = whole.json()
            if body["pagination"]["next_cursor"] is None:
                break
            query["cursor"] = body["pagination"]["next_cursor"]
    return found


def _act(http: httpx.Client, data: st.DataObject, homes: list[str]) -> None:
    """One write, which may be refused."""
    home = data.draw(st.sampled_from(homes))
    sort = data.draw(st.sampled_from(SORTS))
    name = home if sort.kind.name == "workspace" else data.draw(st.sampled_from(["one", "two"]))
    item = f"{sort.path(home)}/{name}"
    body = data.draw(sort.records)
    verb = data.draw(st.sampled_from(["create", "create", "update", "merge", "delete", "undelete", "revert", "purge"]))
    if verb == "create":
        project = {"project": "one"} if sort.kind.name in {"model", "prompt"} and data.draw(st.booleans()) else {}
        http.post(sort.path(home), json={**body, **project, "name": name})
    elif verb == "update":
        http.patch(item, json=body)
    elif verb == "merge":
        http.patch(item, json=data.draw(sort.patches), headers={"Content-Type": "application/merge-patch+json"})
    elif verb == "revert":
        http.post(f"{item}:revert", json={"revision": data.draw(st.integers(1, 4))})
    elif verb == "undelete":
        http.post(f"{item}:undelete")
    else:
        http.delete(item, params={"purge": "true"} if verb == "purge" else {})


def test_replaying_the_feed_from_zero_rebuilds_the_whole_registry(http: httpx.Client) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        homes = [f"replay-{next(_numbers)}" for _ in range(2)]
        for home in homes:
            made(http, WORKSPACES, name=home)
        for _ in range(data.draw(st.integers(5, 25))):
            _act(http, data, homes)
        for home in homes:
            events = all_pages(http, "0", limit=1000, workspace=home)
            cursors = [int(event["cursor"]) for event in events]
            assert cursors == sorted(set(cursors))
            assert rebuilt(events) == listed(http, home)

    holds()


def test_the_whole_registry_of_this_session_can_be_rebuilt(http: httpx.Client) -> None:
    """Whatever the tests before this one have done to the shared server."""
    ours = {"model", "prompt", "project", "workspace"}
    replayed = {
        place: record for place, record in rebuilt(all_pages(http, "0", limit=1000)).items() if place[0] in ours
    }
    there = listed(http)
    assert sorted(replayed) == sorted(there)
    for place, record in there.items():
        assert replayed[place] == record, place
