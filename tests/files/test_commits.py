"""Commits: many files at once, all or none; and the way back."""

from typing import Any

import httpx
import pytest

from tests.files.conftest import digest_of, filesets


def put(path: str, content: bytes) -> dict[str, Any]:
    """The change that gives a path its content."""
    return {"op": "put", "path": path, "sha256": digest_of(content), "size": len(content)}


def files(http: httpx.Client, home: str, **query: str) -> dict[str, str]:
    """The sha256 of all files, by path."""
    listed = http.get(f"{home}/files", params=query).json()["data"]
    return {file["path"]: file["sha256"] for file in listed}


def send(http: httpx.Client, home: str, *contents: bytes) -> None:
    """Lets the workspace have these bytes."""
    for content in contents:
        headers = {"Upload-Length": str(len(content)), "Content-Type": "application/offset+octet-stream"}
        assert http.post(f"{home}/uploads", content=content, headers=headers).status_code == 201


def test_many_changes_are_one_commit(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/old/a", content=b"a")
    http.put(f"{home}/-/old/b", content=b"b")
    http.put(f"{home}/-/gone", content=b"gone")
    send(http, home, b"new")
    before = http.get(home).json()

    changes = [
        put("new", b"new"),
        put("old/c", b"new"),
        {"op": "delete_folder", "path": "old"},
        {"op": "delete", "path": "gone"},
        {"op": "copy", "from": "old/a", "to": "copied"},
    ]
    answer = http.post(
        f"{home}/commits", json={"message": "All at once", "parent": before["commit"], "changes": changes}
    )

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["message"], body["parent"], body["changed"]) == ("All at once", before["commit"], True)
    assert (body["file_count"], body["total_size"]) == (3, 7)
    expected = {"copied": b"a", "new": b"new", "old/c": b"new"}
    assert files(http, home) == {path: digest_of(content) for path, content in expected.items()}
    assert http.get(home).json()["revision"] == before["revision"] + 1 == body["revision"]
    assert http.get(f"{home}/commits").json()["data"][0]["id"] == body["id"]
    compared = http.get(f"{home}/commits:compare", params={"from": before["commit"]}).json()["data"]
    assert {(one["path"], one["change"]) for one in compared} == {
        *((path, "removed") for path in ("gone", "old/a", "old/b")),
        *((path, "added") for path in ("copied", "new", "old/c")),
    }


def test_a_commit_of_what_is_there_is_none(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/a", content=b"a")
    before = http.get(home).json()

    answer = http.post(f"{home}/commits", json={"changes": [put("a", b"a")]}).json()

    assert (answer["id"], answer["changed"]) == (before["commit"], False)
    assert http.get(home).json() == before


def test_bytes_that_are_not_here_are_named_and_nothing_happens(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/a", content=b"a")
    absent = [b"first", b"second"]
    changes = [{"op": "delete", "path": "a"}, *(put(f"f{n}", content) for n, content in enumerate(absent))]

    answer = http.post(f"{home}/commits", json={"changes": changes})

    assert (answer.status_code, answer.json()["code"]) == (409, "missing_bytes")
    assert set(answer.json()["missing"]) == {digest_of(content) for content in absent}
    assert set(files(http, home)) == {"a"}


def test_a_workspace_is_told_which_bytes_it_has_to_send(http: httpx.Client, home: str) -> None:
    send(http, home, b"sent")
    asked = [{"sha256": digest_of(content), "size": len(content)} for content in (b"sent", b"not sent", b"not sent")]

    assert http.post(f"{home}/blobs:missing", json={"digests": asked}).json() == {"missing": [digest_of(b"not sent")]}
    assert http.post(f"{home}-no/blobs:missing", json={"digests": asked}).status_code == 404


def test_whoever_guesses_a_digest_gets_nothing_of_another_workspace(http: httpx.Client, home: str) -> None:
    http.post("/apis/entities/v2/workspaces", json={"name": "thief"})
    http.put(f"{home}/-/secret", content=b"the weights of another team")
    elsewhere = f"{filesets('thief')}/loot"
    http.post(filesets("thief"), json={"name": "loot"})
    change = put("mine", b"the weights of another team")

    asked = http.post(f"{elsewhere}/blobs:missing", json={"digests": [{"sha256": change["sha256"]}]})
    assert asked.json()["missing"] == [change["sha256"]]
    assert http.post(f"{elsewhere}/commits", json={"changes": [change]}).status_code == 409
    send(http, elsewhere, b"the weights of another team")
    assert http.post(f"{elsewhere}/commits", json={"changes": [change]}).status_code == 200


def test_a_parent_that_is_not_the_head_is_refused(http: httpx.Client, home: str) -> None:
    parent = http.get(home).json()["commit"]
    http.put(f"{home}/-/a", content=b"a")

    answer = http.post(f"{home}/commits", json={"parent": parent, "changes": [{"op": "delete", "path": "a"}]})

    assert (answer.status_code, answer.json()["current_commit"]) == (412, http.get(home).json()["commit"])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ([], 422),
        ([{"op": "move", "path": "a"}], 422),
        ([{"op": "put", "path": "a", "sha256": "abc", "size": 1}], 422),
        ([put("a", b"x") | {"size": -1}], 422),
        ([put("kept", b"kept") | {"path": "x", "size": 5}], 422),
        ([put("../a", b"kept")], 400),
        ([put("a", b"kept"), put("a", b"kept")], 400),
        ([put("a", b"kept"), put("a/b", b"kept")], 409),
        ([{"op": "delete", "path": "none"}], 404),
        ([{"op": "delete_folder", "path": "none"}], 404),
        ([{"op": "copy", "from": "none", "to": "a"}], 404),
        ([{"op": "copy", "from": "kept", "to": "a", "revision": "f" * 40}], 404),
    ],
)
def test_a_commit_that_cannot_be_is_refused_whole(
    http: httpx.Client, home: str, changes: list[dict[str, Any]], status: int
) -> None:
    http.put(f"{home}/-/kept", content=b"kept")

    answer = http.post(f"{home}/commits", json={"changes": [*changes, put("good", b"kept")] if changes else []})

    assert answer.status_code == status, answer.text
    assert set(files(http, home)) == {"kept"}


def test_a_dry_run_shows_and_does_nothing(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/a", content=b"a")
    before = http.get(home).json()

    answer = http.post(
        f"{home}/commits", params={"dry_run": "true"}, json={"changes": [{"op": "delete", "path": "a"}]}
    ).json()

    assert (answer["changed"], answer["file_count"]) == (True, 0)
    assert {one["path"] for one in answer["dry_run"]["diff"]} >= {"commit", "file_count", "total_size"}
    assert http.get(home).json() == before


def test_a_key_makes_a_commit_once(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/a", content=b"a")
    body = {"changes": [{"op": "delete", "path": "a"}]}

    first, second = (http.post(f"{home}/commits", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"


def test_the_files_become_again_what_they_were(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/a", content=b"1")
    http.put(f"{home}/-/b", content=b"b")
    wanted, then = http.get(home).json()["commit"], files(http, home)
    http.put(f"{home}/-/a", content=b"2")
    http.delete(f"{home}/-/b")
    http.put(f"{home}/-/c", content=b"c")

    answer = http.post(f"{home}:restore", json={"commit": wanted})

    assert (answer.status_code, answer.json()["changed"], answer.json()["file_count"]) == (200, True, 2)
    assert files(http, home) == then
    assert http.get(f"{home}/-/a").content == b"1"
    assert answer.json()["id"] != wanted
    assert http.post(f"{home}:restore", json={"commit": wanted}).json()["changed"] is False
    assert http.post(f"{home}:restore", json={"commit": "f" * 40}).status_code == 404


def test_files_are_listed_by_the_page(http: httpx.Client, home: str) -> None:
    send(http, home, b"x")
    paths = [f"d/{number:03}" for number in range(7)]
    http.post(f"{home}/commits", json={"changes": [put(path, b"x") for path in paths]})

    listed, after = [], ""
    while after is not None:
        page = http.get(f"{home}/files", params={"limit": 3, "after": after}).json()
        listed += [file["path"] for file in page["data"]]
        after = page["next"]

    assert listed == paths
    assert [file["path"] for file in http.get(f"{home}/files", params={"path": "d/003"}).json()["data"]] == ["d/003"]


def test_a_list_of_thousands_comes_as_one(http: httpx.Client, home: str) -> None:
    send(http, home, b"x")
    paths = [f"d/{number:05}" for number in range(2_500)]
    done = http.post(f"{home}/commits", json={"changes": [put(path, b"x") for path in paths]}, timeout=60)
    assert done.status_code == 200

    body = http.get(f"{home}/files").json()

    assert [file["path"] for file in body["data"]] == paths
    assert (body["commit"], body["next"]) == (done.json()["id"], None)
    assert body["data"][0] == http.get(f"{home}/files", params={"path": paths[0]}).json()["data"][0]
