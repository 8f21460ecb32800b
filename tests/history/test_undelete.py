"""A delete can be taken back, with all that went with it; a purge cannot."""

import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.api.paths import LAYERS, SPEC, WORKSPACES, faults, made, models, projects, prompts
from tests.change.records import SORTS, Sort
from tests.servers import Server

EVENTS = "/apis/steelyard/v1/events"
TABLES = ("records", "revisions", "deleted", "links", "contents")


def undelete(http: httpx.Client, item: str) -> httpx.Response:
    return http.post(f"{item}:undelete")


def stored(server: Server, text: str) -> list[tuple[str, int]]:
    """The tables of the database that hold `text`, each with the number of its rows that do."""
    with closing(sqlite3.connect(server.data_dir / "steelyard.db")) as database:
        found = []
        for table in TABLES:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            anywhere = " OR ".join(f"instr({column}, ?1) > 0" for column in columns)
            number = database.execute(f"SELECT COUNT(*) FROM {table} WHERE {anywhere}", (text,)).fetchone()[0]
            found.append((table, number))
    return [(table, number) for table, number in found if number]


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_a_record_comes_back_as_it_was_and_its_history_goes_on(http: httpx.Client, workspace: str, sort: Sort) -> None:
    name = f"back-{workspace}-{sort!r}"
    item = f"{sort.path(workspace)}/{name}"
    made(http, sort.path(workspace), name=name, description="1")
    tags = [http.patch(item, json={"description": "2"}).headers["etag"]]
    before = http.get(item).json()
    http.delete(item)
    assert http.get(item).status_code == 404
    answer = undelete(http, item)
    tags.append(answer.headers["etag"])
    after = http.get(item).json()
    stamps = {"revision": 4, "updated_at": after["updated_at"]}
    assert (answer.status_code, answer.json(), after) == (200, after, {**before, **stamps})
    tags.append(http.patch(item, json={"description": "3"}).headers["etag"])
    assert len(set(tags)) == 3, "a tag is never given twice"
    history = http.get(f"{item}/revisions").json()["data"]
    assert [one["action"] for one in history] == ["update", "undelete", "delete", "update", "create"]
    assert [one["revision"] for one in history] == [5, 4, 3, 2, 1]
    assert http.get(item, params={"revision": 1}).json()["description"] == "1"


def test_what_a_record_holds_comes_back_too(http: httpx.Client, workspace: str) -> None:
    endpoint = {"url": "https://a", "api_key": "sk-1"}
    body = {"spec": {**SPEC, "linear_layers": LAYERS}, "api_endpoint": endpoint, "base_model": "base"}
    made(http, models(workspace), name="m", **body)
    made(http, models(workspace), name="base")
    item = f"{models(workspace)}/m"
    http.delete(item)
    assert http.delete(f"{models(workspace)}/base").headers["x-steelyard-dangling"] == "0"
    undelete(http, item)
    undelete(http, f"{models(workspace)}/base")
    found = http.get(item, params={"verbose": "true"}).json()
    assert (found["spec"]["linear_layers"], found["api_endpoint"]["api_key_set"]) == (LAYERS, True)
    assert http.delete(f"{models(workspace)}/base").headers["x-steelyard-dangling"] == "1"


def test_a_name_that_was_taken_meanwhile_is_a_conflict(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    first = made(http, models(workspace), name="m")
    assert undelete(http, item).status_code == 409
    http.delete(item)
    second = made(http, models(workspace), name="m")
    answer = undelete(http, item)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    assert http.get(item).json() == second
    http.delete(item)
    assert undelete(http, item).json()["id"] == second["id"], "the last one that had the name"
    assert first["id"] != second["id"]


def test_what_was_never_there_is_not_found(http: httpx.Client, workspace: str) -> None:
    assert undelete(http, f"{models(workspace)}/never").status_code == 404


def test_a_workspace_comes_back_with_all_that_went_with_it(http: httpx.Client, workspace: str) -> None:
    home = f"home-{workspace}"
    made(http, WORKSPACES, name=home)
    made(http, projects(home), name="pro")
    made(http, models(home), name="m", project="pro", spec={**SPEC, "linear_layers": LAYERS})
    made(http, prompts(home), name="p", project="pro")
    made(http, models(home), name="early")
    http.delete(f"{models(home)}/early")
    items = [f"{WORKSPACES}/{home}", f"{projects(home)}/pro", f"{models(home)}/m", f"{prompts(home)}/p"]
    before = [http.get(item).json() for item in items]
    assert http.delete(items[0]).status_code == 200
    assert [http.get(item).status_code for item in items] == [404] * 4
    assert faults(undelete(http, items[2])) == [(("path", "workspace"), "workspace_missing")]
    assert undelete(http, items[0]).status_code == 200
    after = [http.get(item).json() for item in items]
    for old, new in zip(before, after, strict=True):
        assert new == {**old, "revision": old["revision"] + 2, "updated_at": new["updated_at"]}
    assert http.get(f"{models(home)}/early").status_code == 404, "it was deleted for itself"
    assert undelete(http, f"{models(home)}/early").status_code == 200
    assert http.get(models(home), params={"page_size": 1}).json()["pagination"]["total_results"] == 2
    cause = http.get(f"{items[2]}/revisions").json()["data"][0]["cause"]
    assert cause == before[0]["id"]


def test_the_members_of_a_project_are_in_it_again(http: httpx.Client, workspace: str) -> None:
    made(http, projects(workspace), name="pro")
    made(http, projects(workspace), name="other")
    for name in ("stays", "moves", "goes"):
        made(http, models(workspace), name=name, project="pro")
    made(http, prompts(workspace), name="p", project="pro")
    http.delete(f"{projects(workspace)}/pro")
    http.patch(f"{models(workspace)}/moves", json={"project": "other"})
    http.patch(f"{models(workspace)}/stays", json={"description": "changed meanwhile"})
    http.delete(f"{models(workspace)}/goes")
    assert undelete(http, f"{projects(workspace)}/pro").status_code == 200
    stays = http.get(f"{models(workspace)}/stays").json()
    assert (stays["project"], stays["description"]) == ("pro", "changed meanwhile")
    assert http.get(f"{prompts(workspace)}/p").json()["project"] == "pro"
    assert http.get(f"{models(workspace)}/moves").json()["project"] == "other"
    assert http.get(f"{models(workspace)}/goes").status_code == 404


def test_a_project_that_is_deleted_twice_takes_hold_only_of_its_last_members(
    http: httpx.Client, workspace: str
) -> None:
    made(http, projects(workspace), name="pro")
    made(http, models(workspace), name="m", project="pro")
    for _ in range(2):
        http.delete(f"{projects(workspace)}/pro")
        undelete(http, f"{projects(workspace)}/pro")
    assert http.get(f"{models(workspace)}/m").json()["project"] == "pro"
    http.patch(f"{models(workspace)}/m", json={"project": ""})
    http.delete(f"{projects(workspace)}/pro")
    undelete(http, f"{projects(workspace)}/pro")
    assert http.get(f"{models(workspace)}/m").json()["project"] is None


@pytest.mark.parametrize("path", [models, prompts])
def test_what_a_record_needs_must_be_there_when_it_comes_back(http: httpx.Client, workspace: str, path: Any) -> None:
    made(http, projects(workspace), name="pro")
    made(http, path(workspace), name="m", project="pro")
    http.delete(f"{path(workspace)}/m")
    http.delete(f"{projects(workspace)}/pro")
    item = f"{path(workspace)}/m"
    assert faults(undelete(http, item)) == [(("body", "project"), "project_missing")]
    assert http.get(item).status_code == 404
    undelete(http, f"{projects(workspace)}/pro")
    assert undelete(http, item).json()["project"] == "pro"


def test_a_model_does_not_come_back_as_its_own_ancestor(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="a", base_model="b")
    http.delete(f"{models(workspace)}/a")
    made(http, models(workspace), name="b", base_model="a")
    assert faults(undelete(http, f"{models(workspace)}/a")) == [(("body", "base_model"), "reference")]


@pytest.mark.parametrize("when", ["at once", "when it is deleted already"])
@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_a_purge_leaves_nothing(http: httpx.Client, server: Server, workspace: str, sort: Sort, when: str) -> None:
    name = f"purged-{workspace}-{sort!r}"
    item, canary = f"{sort.path(workspace)}/{name}", f"canary-of-{name}"
    body: dict[str, Any] = {"name": name, "description": canary}
    if sort.kind.contents:
        body["spec"] = {**SPEC, "linear_layers": [{**LAYERS[0], "name": canary}]}
    made(http, sort.path(workspace), **body)
    http.patch(item, json={"description": f"{canary}-2"})
    assert stored(server, canary)
    if when != "at once":
        http.delete(item)
    assert http.delete(item, params={"purge": "true"}).is_success
    for path in (item, f"{item}/revisions", f"{item}/revisions/1...2", f"{item}?revision=1"):
        assert http.get(path).status_code == 404
    assert undelete(http, item).status_code == 404
    assert http.delete(item, params={"purge": "true"}).status_code == 404
    assert canary not in http.get(EVENTS, params={"after": "0", "limit": 1000, "kind": sort.kind.name}).text
    assert stored(server, canary) == []
    assert http.post(sort.path(workspace), json={"name": name}).json()["revision"] == 1


def test_a_purge_moves_the_feed_on(http: httpx.Client, workspace: str) -> None:
    """Whoever follows the feed hears of a purge, and misses nothing that comes after it."""
    for purged in ("last", "deleted before"):
        item = f"{models(workspace)}/m"
        made(http, models(workspace), name="m")
        if purged == "deleted before":
            http.delete(item)
        cursor = http.get(EVENTS, params={"after": "latest"}).json()["next_cursor"]
        http.delete(item, params={"purge": "true"})
        made(http, models(workspace), name=f"after-{purged.split()[0]}")
        events = http.get(EVENTS, params={"after": cursor}).json()["data"]
        assert [event["event"] for event in events] == ["model.purge", "model.create"]
        assert all(int(event["cursor"]) > int(cursor) for event in events)
        assert (events[0]["record"], events[0]["name"]) == (None, "m")


def test_a_purge_of_a_workspace_takes_all_that_was_ever_in_it(
    http: httpx.Client, server: Server, workspace: str
) -> None:
    home = f"purge-{workspace}"
    made(http, WORKSPACES, name=home)
    for name in ("early", "late"):
        made(http, models(home), name=name, description=f"canary-in-{home}")
    http.delete(f"{models(home)}/early")
    assert http.delete(f"{WORKSPACES}/{home}", params={"purge": "true"}).status_code == 200
    assert stored(server, f"canary-in-{home}") == []
    assert undelete(http, f"{WORKSPACES}/{home}").status_code == 404
    made(http, WORKSPACES, name=home)
    assert undelete(http, f"{models(home)}/early").status_code == 404


def test_conditions_hold_for_the_ways_back(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    made(http, models(workspace), name="m")
    assert http.delete(item, params={"purge": "true"}, headers={"If-Match": '"model-x.1"'}).status_code == 412
    http.delete(item)
    assert http.post(f"{item}:undelete", headers={"If-Match": "*"}).status_code == 412
    assert http.delete(item, params={"purge": "true"}, headers={"If-Match": "*"}).status_code == 412
    assert http.post(f"{item}:undelete", headers={"If-None-Match": "*"}).status_code == 200
