"""Secrets go in and do not come out: they are made, changed, removed and listed without their values."""

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import running

CANARY = "sk-canary-5f1d"
OTHER = "sk-other-91ab"


def secrets(workspace: str) -> str:
    return f"/apis/secrets/v2/workspaces/{workspace}/secrets"


def made(http: httpx.Client, workspace: str, **fields: Any) -> httpx.Response:
    answer = http.post(secrets(workspace), json={"name": "token", "value": CANARY, **fields})
    assert answer.status_code == 201, answer.text
    return answer


def test_a_secret_is_answered_without_its_value(http: httpx.Client, workspace: str) -> None:
    answer = made(http, workspace, description="for the hub")
    shown = answer.json()
    assert shown["id"].startswith("platform-secret-")
    assert (shown["name"], shown["workspace"], shown["description"]) == ("token", workspace, "for the hub")
    assert set(shown) == {"id", "name", "workspace", "created_at", "updated_at", "revision", "description"}
    assert http.get(f"{secrets(workspace)}/token").json() == shown
    listed = http.get(secrets(workspace)).json()
    assert listed["data"] == [shown]
    assert listed["pagination"]["page_size"] == 10


def test_the_newest_comes_first(http: httpx.Client, workspace: str) -> None:
    for name in ("a", "b", "C.d_e"):
        made(http, workspace, name=name)
    assert [one["name"] for one in http.get(secrets(workspace)).json()["data"]] == ["C.d_e", "b", "a"]


def test_a_name_is_taken_once_and_a_value_is_needed(http: httpx.Client, workspace: str) -> None:
    made(http, workspace)
    assert http.post(secrets(workspace), json={"name": "token", "value": OTHER}).status_code == 409
    for body in ({"name": "x"}, {"name": "x", "value": ""}, {"name": "x", "value": None}, {"name": "x", "value": 5}):
        assert http.post(secrets(workspace), json=body).status_code == 422
    answer = http.post(secrets(workspace), json={"name": "x", "value": "********"})
    assert answer.status_code == 422, "the mask stands for a value that is kept, and there is none"


def test_a_patch_keeps_what_it_does_not_say(http: httpx.Client, workspace: str) -> None:
    path = f"{secrets(workspace)}/token"
    made(http, workspace)
    assert http.patch(path, json={"value": CANARY}).json()["revision"] == 1, "the same value is no change"
    assert http.patch(path, json={"value": None, "description": None}).json()["revision"] == 1
    changed = http.patch(path, json={"description": "new"}).json()
    assert (changed["description"], changed["revision"]) == ("new", 2)
    assert http.patch(path, json={"value": OTHER}).json()["revision"] == 3
    assert http.patch(path, json={"value": ""}).status_code == 422


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ("application/merge-patch+json", {"value": None}, 422),
        ("application/merge-patch+json", {"description": "d"}, 200),
        ("application/json-patch+json", [{"op": "remove", "path": "/value"}], 422),
        ("application/json-patch+json", [{"op": "copy", "from": "/value", "path": "/description"}], 200),
    ],
)
def test_no_dialect_takes_the_value_away_or_out(
    http: httpx.Client, workspace: str, media: str, body: Any, status: int
) -> None:
    made(http, workspace)
    answer = http.request("PATCH", f"{secrets(workspace)}/token", json=body, headers={"content-type": media})
    assert answer.status_code == status, answer.text
    assert CANARY not in answer.text
    assert http.patch(f"{secrets(workspace)}/token", json={"value": CANARY}).json()["revision"] <= 2, "it is kept"


def test_a_manifest_applied_again_keeps_the_value(http: httpx.Client, workspace: str) -> None:
    made(http, workspace)
    operation = {
        "op": "apply",
        "kind": "platform-secret",
        "name": "token",
        "body": {"description": "d", "value": "********"},
    }
    answer = http.post(f"/apis/steelyard/v1/workspaces/{workspace}:batch", json={"operations": [operation]})
    assert answer.status_code == 200, answer.text
    assert http.patch(f"{secrets(workspace)}/token", json={"value": CANARY}).json()["revision"] == 2


def test_a_deleted_secret_is_gone(http: httpx.Client, workspace: str) -> None:
    made(http, workspace)
    assert http.delete(f"{secrets(workspace)}/token").status_code == 204
    assert http.get(f"{secrets(workspace)}/token").status_code == 404
    assert http.delete(f"{secrets(workspace)}/token").status_code == 404


def test_nobody_reads_a_value_unless_the_server_was_opened(http: httpx.Client, workspace: str) -> None:
    made(http, workspace)
    for name in ("token", "missing"):
        answer = http.get(f"{secrets(workspace)}/{name}/access")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert CANARY not in answer.text


def test_an_opened_server_tells_the_value_as_it_is_now(data_dir: Path) -> None:
    with running(data_dir, "--set", "secrets.access=open") as server, httpx.Client(base_url=server.url) as http:
        made(http, "default")
        path = f"{secrets('default')}/token"
        answer = http.get(f"{path}/access")
        assert answer.json() == {"name": "token", "workspace": "default", "value": CANARY}
        assert answer.headers["cache-control"] == "no-store"
        http.patch(path, json={"value": OTHER})
        assert http.get(f"{path}/access").json()["value"] == OTHER
        assert http.post(f"{path}:revert", json={"revision": 1}).status_code == 200
        assert http.get(f"{path}/access").json()["value"] == CANARY
        http.delete(path)
        assert http.get(f"{path}/access").status_code == 404
        assert http.post(f"{path}:undelete").status_code == 200
        assert http.get(f"{path}/access").json()["value"] == CANARY


def _tokens(data_dir: Path) -> dict[str, str]:
    with sqlite3.connect(data_dir / "steelyard.db") as database:
        found = database.execute(
            "SELECT name, coalesce(json_extract(fields, '$.value'), json_extract(fields, '$.api_endpoint.api_key'),"
            " json_extract(fields, '$.signing.secret')) FROM records"
            " WHERE kind IN ('platform-secret', 'model', 'webhook')"
        )
        tokens = dict(found.fetchall())
    database.close()
    return tokens


def test_a_rotation_seals_every_secret_anew_and_changes_no_record(data_dir: Path) -> None:
    with running(data_dir, "--set", "secrets.access=open") as server, httpx.Client(base_url=server.url) as http:
        made(http, "default")
        made(http, "default", name="second", value=OTHER)
        models = "/apis/models/v2/workspaces/default/models"
        http.post(models, json={"name": "m", "api_endpoint": {"url": "https://a.example", "api_key": CANARY}})
        hooks = "/apis/steelyard/v1/workspaces/default/webhooks"
        assert http.post(hooks, json={"name": "h", "url": "https://a.example/h", "enabled": False}).status_code == 201
        before, feed = _tokens(data_dir), "/apis/steelyard/v1/events?workspace=default"
        events = http.get(feed).json()["data"]
        answer = http.post("/apis/secrets/v2/rotate-encryption-keys")
        assert (answer.status_code, answer.json()) == (202, {"rotated_secrets": 4, "success": True})
        after = _tokens(data_dir)
        assert before.keys() == after.keys() == {"token", "second", "m", "h"}
        assert all(before[name] != after[name] and after[name] for name in before)
        assert http.get(f"{secrets('default')}/token/access").json()["value"] == CANARY
        assert http.get(f"{secrets('default')}/token").json()["revision"] == 1
        same_key = {"api_endpoint": {"url": "https://a.example", "api_key": CANARY}}
        assert http.patch(f"{models}/m", json=same_key).json()["revision"] == 1
        assert http.get(feed).json()["data"] == events


def test_a_rotation_says_where_a_secret_is_lost(data_dir: Path) -> None:
    with running(data_dir) as server, httpx.Client(base_url=server.url) as http:
        made(http, "default")
    (data_dir / "master.key").unlink()
    with running(data_dir) as server, httpx.Client(base_url=server.url) as http:
        made(http, "default", name="new")
        answer = http.post("/apis/secrets/v2/rotate-encryption-keys")
        assert answer.json() == {"rotated_secrets": 1, "success": False}


def test_the_value_is_nowhere(data_dir: Path) -> None:
    """Not in answers of any kind, nor in the log, nor on the disk."""
    heard: list[tuple[str, str]] = []

    def hear(answer: httpx.Response) -> None:
        answer.read()
        heard.append((f"{answer.request.method} {answer.request.url}", answer.text + str(answer.headers)))

    with (
        running(data_dir, "--set", "log.level=debug") as server,
        httpx.Client(base_url=server.url, event_hooks={"response": [hear]}) as http,
    ):
        base = secrets("default")
        made(http, "default")
        for body in (
            {"name": "token", "value": CANARY},
            {"name": "x", "value": [CANARY]},
            {"name": "x", "value": {"v": CANARY}},
            {"name": "x", "valeu": CANARY},
            {"name": 5, "value": CANARY},
            {"name": "x", "value": CANARY, "description": 5},
            [CANARY],
        ):
            http.post(base, json=body)
        http.post(
            base, content=f'{{"name":"x","value":"{CANARY}'.encode(), headers={"content-type": "application/json"}
        )
        http.post(f"{base}?dry_run=true", json={"name": "dry", "value": CANARY})
        once = {"idempotency-key": "k"}
        for _ in range(2):
            http.post(base, json={"name": "once", "value": CANARY}, headers=once)
        http.patch(f"{base}/token?dry_run=true", json={"value": OTHER})
        http.patch(f"{base}/token", json={"value": OTHER})
        http.patch(f"{base}/token?update_mask=value", json={"value": CANARY})
        http.patch(f"{base}/token", json={"value": OTHER}, headers={"content-type": "application/merge-patch+json"})
        for place in (
            f"{base}/token",
            f"{base}/token/access",
            f"{base}/token/revisions",
            f"{base}/token/revisions/1...2",
            f"{base}/token/revisions/1...3",
            f"{base}/token?revision=1",
            base,
            f"{base}?filter[data.value]={CANARY}",
            f'{base}?filter={{"data.value":{{"$like":"sk"}}}}',
            "/apis/steelyard/v1/events?workspace=default",
            "/apis/steelyard/v1/workspaces/default:export",
            "/apis/steelyard/v1/events",
            "/metrics",
            "/openapi.json",
        ):
            http.get(place)
        http.post(f"{base}/token:revert", json={"revision": 1})
        http.post("/apis/secrets/v2/rotate-encryption-keys")
        http.delete(f"{base}/token")
    sent_in_the_open = f"filter[data.value]={CANARY}"
    for request, said in heard:
        if sent_in_the_open in request or CANARY in httpx.URL(request.split(" ")[1]).query.decode():
            continue
        assert CANARY not in said, request
        assert OTHER not in said, request
        assert "v2." not in said or "openapi" in request, request
    assert len(heard) > 30
    assert CANARY not in server.log.replace(sent_in_the_open, "")
    for file in filter(Path.is_file, data_dir.rglob("*")):
        assert CANARY.encode() not in file.read_bytes(), file
