"""A 412 explains itself: what is there now, which fields differ from what the caller saw, who changed them and why."""

import httpx
import pytest

from tests.api.paths import made, models, projects
from tests.change.records import SORTS, Sort


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_it_says_what_has_changed_since(http: httpx.Client, workspace: str, sort: Sort) -> None:
    name = f"conflict-{workspace}-{sort!r}"
    item = f"{sort.path(workspace)}/{name}"
    seen = http.post(sort.path(workspace), json={"name": name, "description": "1"}).headers["etag"]
    headers = {"X-Steelyard-Reason": "because", "X-Request-ID": "who-was-it"}
    now = http.patch(item, json={"description": "2"}, headers=headers)
    answer = http.patch(item, json={"description": "mine"}, headers={"If-Match": seen})
    assert (answer.status_code, answer.headers["etag"]) == (412, now.headers["etag"])
    body = answer.json()
    assert (body["code"], body["current_etag"]) == ("precondition_failed", now.headers["etag"])
    assert (body["seen_revision"], body["current_revision"], body["changed_fields"]) == (1, 2, ["description"])
    (change,) = body["changes"]
    assert (change["revision"], change["reason"], change["changed"]) == (2, "because", ["description"])
    assert change["at"] == now.json()["updated_at"]
    assert "actor" in change
    assert http.get(item).json()["description"] == "2"


def test_it_names_fields_that_differ_and_not_those_that_were_changed_back(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    seen = http.post(models(workspace), json={"name": "m", "description": "1"}).headers["etag"]
    for body in ({"description": "2"}, {"custom_fields": {"a": 1}}, {"description": "1"}):
        http.patch(item, json=body)
    said = http.delete(item, headers={"If-Match": seen}).json()
    assert said["changed_fields"] == ["custom_fields"]
    assert [change["revision"] for change in said["changes"]] == [4, 3, 2]


def test_of_several_tags_the_newest_counts(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    tags = [http.post(models(workspace), json={"name": "m"}).headers["etag"]]
    tags += [http.patch(item, json={"description": text}).headers["etag"] for text in "abc"]
    said = http.patch(item, json={}, headers={"If-Match": ", ".join(tags[:-1])}).json()
    assert (said["seen_revision"], len(said["changes"])) == (3, 1)


def test_no_secret_is_in_it(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    endpoint = {"url": "https://a", "api_key": "sk-canary-412"}
    seen = http.post(models(workspace), json={"name": "m"}).headers["etag"]
    http.patch(item, json={"api_endpoint": endpoint})
    answer = http.patch(item, json={}, headers={"If-Match": seen})
    assert answer.json()["changed_fields"] == ["api_endpoint"]
    assert "sk-" not in answer.text
    assert "v2." not in answer.text


def test_a_tag_that_was_never_this_records_gets_only_the_present_one(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    created = http.post(models(workspace), json={"name": "m"})
    id = created.json()["id"]
    for tag in ('"model-other.1"', f'"{id}.99"', f'"{id}.x"', f'W/"{id}.1"', f'"{id}.0"'):
        said = http.patch(item, json={}, headers={"If-Match": tag}).json()
        assert said["current_etag"] == created.headers["etag"]
        assert "changes" not in said


def test_a_conflict_is_told_by_every_write_that_takes_a_condition(http: httpx.Client, workspace: str) -> None:
    path = projects(workspace)
    seen = http.post(path, json={"name": "pro"}).headers["etag"]
    made(http, models(workspace), name="m", project="pro")
    http.patch(f"{path}/pro", json={"description": "2"})
    stale = {"If-Match": seen}
    for answer in (
        http.patch(f"{path}/pro", json={}, headers=stale),
        http.put(f"{path}/pro", json={}, headers=stale),
        http.delete(f"{path}/pro", headers=stale),
        http.delete(f"{path}/pro", headers=stale, params={"purge": "true"}),
        http.post(f"{path}/pro:revert", json={"revision": 1}, headers=stale),
    ):
        assert (answer.status_code, answer.json()["changed_fields"]) == (412, ["description"])
    assert http.get(f"{models(workspace)}/m").json()["project"] == "pro"
