"""What is missing or wrong is said in the headers and words that the Hub's clients act upon."""

import httpx
import pytest

from tests.hub.conftest import HF, Hub


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("{hf}/api/models/{home}/nothing", "RepoNotFound"),
        ("{hf}/api/models/nowhere/repo", "RepoNotFound"),
        ("{hf}/api/models/repo", "RepoNotFound"),
        ("{hf}/repo/resolve/main/a.txt", "RepoNotFound"),
        ("{hf}/{home}/nothing/resolve/main/a.txt", "RepoNotFound"),
        ("{hf}/datasets/{home}/nothing/resolve/main/a.txt", "RepoNotFound"),
        ("{hf}/api/models/{home}/repo/revision/dev", "RevisionNotFound"),
        ("{hf}/api/models/{home}/repo/revision/refs/pr/1", "RevisionNotFound"),
        ("{hf}/{home}/repo/resolve/0000000000000000000000000000000000000000/a.txt", "RevisionNotFound"),
        ("{hf}/api/models/{home}/repo/tree/dev", "RevisionNotFound"),
        ("{hf}/api/models/{home}/repo/commits/dev", "RevisionNotFound"),
        ("{hf}/api/models/{home}/repo/tree/main/no/folder", "EntryNotFound"),
        ("{hf}/{home}/repo/resolve/main/a.txt", "EntryNotFound"),
    ],
)
def test_what_is_missing_is_named(hub: Hub, path: str, code: str) -> None:
    answer = hub.http.get(path.format(hf=HF, home=hub.repository.partition("/")[0]))

    assert answer.status_code == 404
    assert answer.headers["x-error-code"] == code
    assert answer.headers["x-error-message"] == answer.json()["error"]


@pytest.mark.parametrize("name", ["Upper", "x", "double--hyphen", "", "a/b/c", "sp ace"])
def test_a_name_that_no_fileset_can_have_is_refused_with_the_rule(
    http: httpx.Client, workspace: str, name: str
) -> None:
    answer = http.post(f"{HF}/api/repos/create", json={"name": name, "organization": workspace})

    assert answer.status_code == 400
    assert "name" in answer.headers["x-error-message"]


def test_a_repository_in_a_workspace_that_is_not_there_is_refused(http: httpx.Client) -> None:
    answer = http.post(f"{HF}/api/repos/create", json={"name": "repo", "organization": "not-there"})

    assert answer.status_code == 400
    assert "'not-there' does not exist" in answer.json()["error"]


def test_a_second_repository_of_one_name_is_a_conflict_that_tells_its_address(hub: Hub) -> None:
    workspace = hub.repository.partition("/")[0]
    answer = hub.http.post(f"{HF}/api/repos/create", json={"name": "repo", "organization": workspace})

    assert answer.status_code == 409
    assert answer.json()["url"].endswith(f"{HF}/models/{hub.repository}")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"name": 1}', b'{"name":"ab","type":"space"}', b"\xff"])
def test_a_body_that_is_none_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post(f"{HF}/api/repos/create", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_path_that_no_file_can_have_is_a_bad_request(hub: Hub) -> None:
    answer = hub.http.get(f"{HF}/{hub.repository}/resolve/main/a%5Cb")

    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_path"


def test_a_deleted_repository_is_gone(hub: Hub) -> None:
    workspace = hub.repository.partition("/")[0]
    body = {"name": "repo", "organization": workspace}

    assert hub.http.request("DELETE", f"{HF}/api/repos/delete", json=body).status_code == 200
    again = hub.http.request("DELETE", f"{HF}/api/repos/delete", json=body)

    assert (again.status_code, again.headers["x-error-code"]) == (404, "RepoNotFound")
