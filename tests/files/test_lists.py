"""The list of a fileset's files: all, those below a folder, or one file."""

import httpx
import pytest

PATHS = ["a.txt", "a.txt.old", "sub/b", "sub/deep/c", "sub-2/d", "sub2/e"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", sorted(PATHS)),
        ("sub", ["sub/b", "sub/deep/c"]),
        ("sub/", ["sub/b", "sub/deep/c"]),
        ("sub/deep", ["sub/deep/c"]),
        ("a.txt", ["a.txt"]),
        ("a.txt/", []),
        ("a.tx", []),
        ("/", []),
        ("../sub", []),
        ("%", []),
    ],
)
def test_a_path_names_a_folder_or_a_file_and_no_beginning_of_names(
    http: httpx.Client, home: str, path: str, expected: list[str]
) -> None:
    for put in PATHS:
        http.put(f"{home}/-/{put}", content=b"x").raise_for_status()

    answer = http.get(f"{home}/files", params={"path": path})

    assert answer.status_code == 200, answer.text
    assert [file["path"] for file in answer.json()["data"]] == expected


def test_what_stood_below_a_path_once_is_listed_at_that_commit(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/sub/a", content=b"x").raise_for_status()
    then = http.get(home).json()["commit"]
    http.delete(f"{home}/-/sub/a").raise_for_status()
    http.put(f"{home}/-/sub", content=b"a file now").raise_for_status()

    def listed(**query: str) -> list[str]:
        return [file["path"] for file in http.get(f"{home}/files", params={"path": "sub", **query}).json()["data"]]

    assert listed() == ["sub"]
    assert listed(revision=then) == ["sub/a"]
    assert listed(after="sub") == []
