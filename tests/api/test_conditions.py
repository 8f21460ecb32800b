"""ETag, If-Match and If-None-Match (RFC 9110, 13.1) on every kind of record."""

from typing import Any

import httpx
import pytest

from tests.api.paths import WORKSPACES, faults, made, models, projects, prompts

STALE = '"model-gone.1"'


def _models(workspace: str) -> tuple[str, str]:
    return models(workspace), "PATCH"


def _prompts(workspace: str) -> tuple[str, str]:
    return prompts(workspace), "PUT"


def _projects(workspace: str) -> tuple[str, str]:
    return projects(workspace), "PUT"


def _workspaces(workspace: str) -> tuple[str, str]:
    return WORKSPACES, "PUT"


KINDS = pytest.mark.parametrize("kind", [_models, _prompts, _projects, _workspaces])


@pytest.fixture
def name(workspace: str) -> str:
    """A name that is free, also among the workspaces."""
    return f"new-{workspace}"


@KINDS
def test_a_record_has_one_tag_until_it_changes(http: httpx.Client, workspace: str, name: str, kind: Any) -> None:
    path, update = kind(workspace)
    created = http.post(path, json={"name": name})
    item = f"{path}/{name}"
    tag = created.headers["etag"]
    assert tag == f'"{created.json()["id"]}.1"'
    assert http.get(item).headers["etag"] == tag
    assert http.request(update, item, json={}).headers["etag"] == tag
    changed = http.request(update, item, json={"description": "new"})
    assert changed.headers["etag"] == f'"{created.json()["id"]}.2"'
    assert http.get(item).headers["etag"] == changed.headers["etag"]


@KINDS
def test_a_reader_that_has_it_is_told_so(http: httpx.Client, workspace: str, name: str, kind: Any) -> None:
    path, update = kind(workspace)
    tag = http.post(path, json={"name": name}).headers["etag"]
    item = f"{path}/{name}"
    for value in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = http.get(item, headers={"If-None-Match": value})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert http.get(item, headers={"If-None-Match": '"other"'}).status_code == 200
    http.request(update, item, json={"description": "new"})
    assert http.get(item, headers={"If-None-Match": tag}).status_code == 200
    assert http.get(item, headers={"If-Match": tag}).status_code == 412


@KINDS
def test_an_update_of_what_is_no_more_is_refused(http: httpx.Client, workspace: str, name: str, kind: Any) -> None:
    path, update = kind(workspace)
    old = http.post(path, json={"name": name}).headers["etag"]
    item = f"{path}/{name}"
    first = http.request(update, item, json={"description": "first"}, headers={"If-Match": old})
    assert first.status_code == 200
    for value in (old, STALE, f"W/{first.headers['etag']}", f"{old}, {STALE}"):
        second = http.request(update, item, json={"description": "second"}, headers={"If-Match": value})
        assert (second.status_code, second.json()["code"]) == (412, "precondition_failed")
        assert second.headers["etag"] == second.json()["current_etag"] == first.headers["etag"]
    assert http.get(item).json()["description"] == "first"
    for value in (f"{STALE}, {first.headers['etag']}", "*"):
        assert http.request(update, item, json={"description": "x"}, headers={"If-Match": value}).status_code == 200


@KINDS
def test_a_delete_of_what_changed_is_refused(http: httpx.Client, workspace: str, name: str, kind: Any) -> None:
    path, update = kind(workspace)
    old = http.post(path, json={"name": name}).headers["etag"]
    item = f"{path}/{name}"
    now = http.request(update, item, json={"description": "new"}).headers["etag"]
    refused = http.delete(item, headers={"If-Match": old})
    assert (refused.status_code, refused.headers["etag"]) == (412, now)
    assert http.get(item).status_code == 200
    assert http.delete(item, headers={"If-Match": now}).is_success
    assert http.get(item).status_code == 404


@KINDS
def test_a_create_can_ask_that_nothing_is_there(http: httpx.Client, workspace: str, name: str, kind: Any) -> None:
    path, _ = kind(workspace)
    first = http.post(path, json={"name": name}, headers={"If-None-Match": "*"})
    assert first.status_code == 201
    again = http.post(path, json={"name": name}, headers={"If-None-Match": "*"})
    assert (again.status_code, again.headers["etag"]) == (412, first.headers["etag"])
    absent = http.post(path, json={"name": f"{name}x"}, headers={"If-Match": "*"})
    assert (absent.status_code, absent.json()["code"]) == (412, "precondition_failed")
    assert http.get(f"{path}/{name}x").status_code == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("value", ["", "bare", '"open', '"a" "b"', "W/", '"a", *'])
def test_what_is_no_entity_tag_is_named(
    http: httpx.Client, workspace: str, method: str, header: str, value: str
) -> None:
    made(http, models(workspace), name="m")
    answer = http.request(method, f"{models(workspace)}/m", json={"description": "no"}, headers={header: value})
    assert faults(answer) == [(("header", header), "entity_tag")]
    assert http.get(f"{models(workspace)}/m").json()["revision"] == 1


def test_a_change_of_what_is_not_there(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/none"
    assert http.patch(item, json={}).status_code == 404
    assert http.patch(item, json={}, headers={"If-Match": "*"}).status_code == 412
    assert http.patch(item, json={}, headers={"If-None-Match": "*"}).status_code == 404


def test_a_name_that_is_used_again_has_another_tag(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    old = http.post(models(workspace), json={"name": "m"}).headers["etag"]
    http.delete(item)
    new = http.post(models(workspace), json={"name": "m"}).headers["etag"]
    assert new != old
    assert http.patch(item, json={"description": "x"}, headers={"If-Match": old}).status_code == 412
