"""A commit is all of its lines or nothing, on the one branch, upon the parent that it names."""

import base64
import hashlib
import json

import pytest

from tests.hub.conftest import Hub, file_line, object_of


def test_files_are_there_after_a_commit_and_before_it_by_its_parent(hub: Hub) -> None:
    first = hub.put({"a.txt": b"one", "sub/b.txt": b"two"})
    second = hub.put({"a.txt": b"three"})

    assert hub.read("a.txt").content == b"three"
    assert hub.read("a.txt", first).content == b"one"
    assert hub.paths(second) == ["a.txt", "sub/b.txt"]
    assert [one["id"] for one in hub.http.get(f"{hub.api}/commits/main").json()[:2]] == [second, first]


def test_a_commit_that_changes_nothing_answers_the_head(hub: Hub) -> None:
    assert hub.put({"a.txt": b"one"}) == hub.put({"a.txt": b"one"})


def test_deletes_copies_and_files_are_one_commit(hub: Hub) -> None:
    first = hub.put({"a.txt": b"one", "old/b.txt": b"two", "old/deep/c.txt": b"three"})

    answer = hub.commit(
        {"key": "deletedFile", "value": {"path": "a.txt"}},
        {"key": "deletedFolder", "value": {"path": "old/"}},
        {"key": "copyFile", "value": {"path": "copy.txt", "srcPath": "a.txt", "srcRevision": first}},
        file_line("new.txt", b"four"),
        parent=first,
    )

    assert answer.status_code == 200
    assert hub.paths() == ["copy.txt", "new.txt"]
    assert hub.read("copy.txt").content == b"one"


def test_the_last_line_on_a_path_counts(hub: Hub) -> None:
    assert hub.commit(file_line("a.txt", b"one"), file_line("a.txt", b"two")).status_code == 200

    assert hub.read("a.txt").content == b"two"


def test_an_object_is_named_without_its_size(hub: Hub) -> None:
    hub.put({"a.bin": b"bytes"})

    line = {"key": "lfsFile", "value": {"path": "b.bin", "algo": "sha256", "oid": object_of(b"bytes")["oid"]}}

    assert hub.commit(line).status_code == 200
    assert hub.read("b.bin").content == b"bytes"


def test_a_stale_parent_is_refused_and_changes_nothing(hub: Hub) -> None:
    first = hub.put({"a.txt": b"one"})
    second = hub.put({"a.txt": b"two"})

    answer = hub.commit(file_line("b.txt", b"three"), parent=first)

    assert answer.status_code == 412
    assert second in answer.headers["x-error-message"]
    assert hub.paths() == ["a.txt"]


def test_the_first_digits_of_the_parent_are_enough(hub: Hub) -> None:
    first = hub.put({"a.txt": b"one"})

    assert hub.commit(file_line("b.txt", b"two"), parent=first[:7]).status_code == 200


@pytest.mark.parametrize("revision", ["dev", "refs/pr/1", "0" * 40])
def test_there_is_one_branch_to_write_to(hub: Hub, revision: str) -> None:
    answer = hub.commit(file_line("a.txt", b"one"), revision=revision)

    assert answer.status_code == 400
    assert "'main' is the only branch" in answer.headers["x-error-message"]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'"text"',
        b"[]",
        b'{"key":"file"}',
        b'{"key":"file","value":{"path":"a.txt","content":"%%%","encoding":"base64"}}',
        b'{"key":"file","value":{"path":"a.txt","content":"YQ","encoding":"base64"}}',
        b'{"key":"file","value":{"path":"a.txt","content":"YQ==","encoding":"rot13"}}',
        b'{"key":"file","value":{"path":"a.txt","content":1}}',
        b'{"key":"file","value":{"path":"a.txt","path":"b.txt","content":"YQ==","encoding":"base64"}}',
        b'{"key":"lfsFile","value":{"path":"a.txt","oid":"xyz","size":1}}',
        b'{"key":"lfsFile","value":{"path":"a.txt","oid":"' + b"a" * 64 + b'","size":-1}}',
        b'{"key":"lfsFile","value":{"path":"a.txt","oid":"' + b"a" * 64 + b'","size":true}}',
        b'{"key":"lfsFile","value":{"path":"a.txt","oid":"' + b"a" * 64 + b'","size":1,"algo":"md5"}}',
        b'{"key":"copyFile","value":{"path":"a.txt","srcPath":"b.txt","srcRevision":7}}',
        b'{"key":"header","value":{"summary":"again"}}',
        b'{"key":"explode","value":{"path":"a.txt"}}',
        b"[" * 2000,
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number_and_nothing_is_kept(hub: Hub, line: bytes) -> None:
    answer = hub.commit(file_line("good.txt", b"one"), line)

    assert answer.status_code == 400
    assert "body.3:" in answer.headers["x-error-message"]
    assert hub.paths() == []


@pytest.mark.parametrize("path", ["../a", "/a", "a//b", "a/../b", "", ".", "a\\b", "c:a", "a/", "n\0", "x" * 300])
@pytest.mark.parametrize("key", ["file", "lfsFile", "deletedFile", "copyFile"])
def test_a_path_that_leaves_its_folder_is_refused(hub: Hub, key: str, path: str) -> None:
    value = {"path": path, "content": "", "encoding": "base64", "oid": "a" * 64, "size": 0, "srcPath": "b"}

    assert hub.commit({"key": key, "value": value}).status_code == 400


def test_what_is_deleted_or_copied_must_be_there(hub: Hub) -> None:
    for line in (
        {"key": "deletedFile", "value": {"path": "no.txt"}},
        {"key": "deletedFolder", "value": {"path": "no"}},
        {"key": "copyFile", "value": {"path": "to.txt", "srcPath": "no.txt"}},
    ):
        answer = hub.commit(line)
        assert (answer.status_code, answer.headers["x-error-code"]) == (404, "EntryNotFound")


@pytest.mark.parametrize("body", [b"", b"\n\n", json.dumps(file_line("a.txt", b"one")).encode()])
def test_the_header_comes_first(hub: Hub, body: bytes) -> None:
    answer = hub.http.post(f"{hub.api}/commit/main", content=body)

    assert answer.status_code == 400
    assert "header" in answer.headers["x-error-message"]


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(hub: Hub) -> None:
    def endless() -> "list[bytes]":
        return [b'{"key":"file","value":{"path":"a","content":"', *[b"A" * (1 << 20)] * 33]

    answer = hub.http.post(f"{hub.api}/commit/main", content=iter(endless()))

    assert answer.status_code == 413


def test_bytes_of_another_workspace_cannot_be_named(hub: Hub) -> None:
    secret = b"weights of another team"
    other = hub.http.post("/apis/entities/v2/workspaces", json={"name": f"{hub.repository.partition('/')[0]}-other"})
    body = {"name": "repo", "organization": other.json()["name"]}
    hub.http.post("/apis/files/v2/hf/api/repos/create", json=body)
    Hub(hub.http, f"{other.json()['name']}/repo").put({"w.bin": secret})

    answer = hub.commit({"key": "lfsFile", "value": {"path": "w.bin", **object_of(secret)}})

    assert answer.status_code == 409
    assert hub.paths() == []


def test_small_texts_are_sent_in_the_commit_and_all_else_before_it(hub: Hub) -> None:
    hub.put({"there.txt": b"there"})

    def asked(path: str, size: int, start: bytes) -> dict[str, object]:
        return {"path": path, "size": size, "sample": base64.b64encode(start).decode()}

    files = [
        asked("a.txt", 10, "text ä".encode()[:-1]),
        asked("b.bin", 10, b"\0\1\2"),
        asked("c.txt", 1 << 21, b"text"),
        asked("there.txt", 5, b"there"),
        asked("log/x.log", 5, b"there"),
    ]
    answer = hub.http.post(f"{hub.api}/preupload/main", json={"files": files, "gitIgnore": "*.log\n!keep.log\n"})

    shown = {one["path"]: one for one in answer.json()["files"]}
    assert {path: one["uploadMode"] for path, one in shown.items()} == {
        "a.txt": "regular",
        "b.bin": "lfs",
        "c.txt": "lfs",
        "there.txt": "regular",
        "log/x.log": "regular",
    }
    assert shown["there.txt"]["oid"] == hashlib.sha1(b"blob 5\0there").hexdigest()
    assert [path for path, one in shown.items() if one["shouldIgnore"]] == ["log/x.log"]
