"""`Idempotency-Key`: the same key and request gives the first answer again; another request under it is refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.paths import WORKSPACES, faults, made, models, projects
from tests.change.records import OWN_WORKSPACES, PROMPTS, SORTS, Sort
from tests.servers import running


def keyed(http: httpx.Client, method: str, path: str, /, key: Any = "k", **sent: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key, **sent.pop("headers", {})}
    return http.request(method, path, headers=headers, **sent)


def is_repeated(answer: httpx.Response) -> bool:
    return str(answer.headers.get("idempotent-replayed")) == "true"


def assert_same(again: httpx.Response, first: httpx.Response) -> None:
    assert (again.status_code, again.content, again.headers.get("etag")) == (
        first.status_code,
        first.content,
        first.headers.get("etag"),
    )
    assert is_repeated(again)
    assert not is_repeated(first)


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_every_write_of_every_kind_is_done_once(http: httpx.Client, workspace: str, sort: Sort) -> None:
    name = f"once-{workspace}-{sort!r}"
    path, item = sort.path(workspace), f"{sort.path(workspace)}/{name}"
    writes: list[tuple[str, str, Any]] = [
        ("POST", path, {"name": name, "description": "1"}),
        ("PATCH", item, {"description": "2"}),
        ("POST", f"{item}:revert", {"revision": 1}),
        ("DELETE", item, None),
        ("POST", f"{item}:undelete", None),
    ]
    if sort.puts:
        writes.insert(2, ("PUT", item, {"description": "3"}))
    for number, (method, place, body) in enumerate(writes, 1):
        first = keyed(http, method, place, json=body)
        assert first.is_success, first.text
        assert_same(keyed(http, method, place, json=body), first)
        total = http.get(f"{item}/revisions").json()["pagination"]["total_results"]
        assert total == number, f"{method} {place} was done twice"
    made(http, path, name=f"{name}-2")
    first = keyed(http, "DELETE", f"{item}-2", params={"purge": "true"})
    assert_same(keyed(http, "DELETE", f"{item}-2", params={"purge": "true"}), first)


def test_a_batch_and_an_import_are_done_once(http: httpx.Client, workspace: str) -> None:
    base = f"/apis/steelyard/v1/workspaces/{workspace}"
    create = [{"op": "create", "kind": "model", "name": f"b-{number}", "body": {}} for number in range(3)]
    lines = '{"steelyard_export":1}\n{"kind":"model","name":"i","record":{}}\n'
    for path, sent in (
        (f"{base}:batch", {"json": {"operations": create}}),
        (f"{base}:import", {"content": lines, "headers": {"Content-Type": "application/x-ndjson"}}),
    ):
        first = keyed(http, "POST", path, **dict(sent))
        assert first.status_code == 200, first.text
        assert_same(keyed(http, "POST", path, **dict(sent)), first)


def test_the_same_key_with_another_request_is_refused(http: httpx.Client, workspace: str) -> None:
    path = models(workspace)
    made(http, path, name="m")
    first = keyed(http, "PATCH", f"{path}/m", json={"description": "1"})
    for other in (
        {"json": {"description": "2"}},
        {"json": {"description": "1"}, "params": {"reason": "another"}},
        {"json": {"description": "1"}, "headers": {"If-Match": first.headers["etag"]}},
        {"content": '{"description":"1"}', "headers": {"Content-Type": "application/merge-patch+json"}},
    ):
        answer = keyed(http, "PATCH", f"{path}/m", **other)
        assert faults(answer) == [(("header", "Idempotency-Key"), "idempotency_key_reused")]
    assert http.get(f"{path}/m").json()["revision"] == 2


def test_a_key_belongs_to_its_method_and_path(http: httpx.Client, workspace: str) -> None:
    path = models(workspace)
    for name in ("a", "b"):
        made(http, path, name=name)
        assert not is_repeated(keyed(http, "PATCH", f"{path}/{name}", json={"description": "1"}))
    assert not is_repeated(keyed(http, "DELETE", f"{path}/a"))
    assert not is_repeated(keyed(http, "PATCH", f"{path}/b", key="another", json={"description": "1"}))


def test_errors_are_not_kept(http: httpx.Client, workspace: str) -> None:
    item = f"{models(workspace)}/late"
    change = {"json": {"description": "1"}}
    assert keyed(http, "PATCH", item, **change).status_code == 404
    made(http, models(workspace), name="late")
    answer = keyed(http, "PATCH", item, **change)
    assert (answer.status_code, is_repeated(answer)) == (200, False)
    assert keyed(http, "PATCH", item, key="k2", headers={"If-Match": '"model-x.1"'}, **change).status_code == 412
    assert keyed(http, "PATCH", item, key="k2", json={"description": 5}).status_code == 422
    assert keyed(http, "PATCH", item, key="k2", json={"description": "2"}).status_code == 200


def test_a_dry_run_keeps_no_answer(http: httpx.Client, workspace: str) -> None:
    path = models(workspace)
    shown = keyed(http, "POST", path, json={"name": "m"}, params={"dry_run": "true"})
    assert shown.status_code == 200
    created = keyed(http, "POST", path, json={"name": "m"})
    assert (created.status_code, is_repeated(created)) == (201, False)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x01b", "schlüssel"])
def test_what_is_no_key_is_refused(http: httpx.Client, workspace: str, key: str) -> None:
    headers = [("Idempotency-Key", key.encode("latin-1")), ("Content-Type", "application/json")]
    answer = http.post(models(workspace), content='{"name":"m"}', headers=httpx.Headers(headers))  # type: ignore[arg-type]
    assert answer.status_code in {400, 422}
    assert http.get(f"{models(workspace)}/m").status_code == 404


@pytest.mark.parametrize("sort", [PROMPTS, OWN_WORKSPACES], ids=repr)
def test_many_at_once_do_the_work_once(http: httpx.Client, workspace: str, sort: Sort) -> None:
    name = f"race-{workspace}"
    with httpx.Client(base_url=http.base_url, timeout=30) as client, ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(keyed, client, "POST", sort.path(workspace), name, json={"name": name}) for _ in range(12)]
        answers = [future.result() for future in asked]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(is_repeated(answer) for answer in answers) == [False, *[True] * 11]


def test_the_first_answer_is_given_again_after_a_restart_and_after_a_kill(data_dir: Path) -> None:
    path = models("default")
    create = {"json": {"name": "m", "description": "1"}}
    with running(data_dir) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        first = keyed(http, "POST", path, **create)
        http.patch(f"{path}/m", json={"description": "later"})
        dropped = keyed(http, "DELETE", f"{WORKSPACES}/default/projects/none")
        server.kill()
    assert dropped.status_code == 404
    with running(data_dir) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        assert_same(keyed(http, "POST", path, **create), first)
        assert http.get(f"{path}/m").json()["description"] == "later"
        assert keyed(http, "POST", path, json={"name": "other"}).status_code == 422
        made(http, projects("default"), name="none")
        assert keyed(http, "DELETE", f"{projects('default')}/none").status_code == 200
