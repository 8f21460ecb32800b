"""Downloads: headers, ranges and conditions (RFC 9110, 13 and 14)."""

from base64 import b64encode

import httpx
import pytest

from tests.files.conftest import digest_of

CONTENT = b"0123456789"
ETAG = f'"{digest_of(CONTENT)}"'


@pytest.fixture
def file(http: httpx.Client, home: str) -> str:
    """The path of a file of ten bytes."""
    path = f"{home}/-/folder/ten.bin"
    assert http.put(path, content=CONTENT).status_code == 200
    return path


def test_a_download_says_what_it_is(http: httpx.Client, file: str) -> None:
    answer = http.get(file)

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == "10"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == ETAG
    assert answer.headers["x-checksum-sha256"] == digest_of(CONTENT)
    spelled = b64encode(bytes.fromhex(digest_of(CONTENT))).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{spelled}:"
    assert answer.headers["content-disposition"] == 'attachment; filename="ten.bin"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_name_that_is_not_ascii_is_spelled_twice(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/Gewichte%20%C3%BC%22.bin", content=b"x")

    disposition = http.get(f"{home}/-/Gewichte%20%C3%BC%22.bin").headers["content-disposition"]

    assert disposition == "attachment; filename=\"Gewichte __.bin\"; filename*=UTF-8''Gewichte%20%C3%BC%22.bin"


def test_a_head_says_the_same_as_a_get(http: httpx.Client, file: str) -> None:
    head, get = http.head(file), http.get(file)

    assert (head.status_code, head.content) == (200, b"")
    ours = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in ours} == {
        k: v for k, v in get.headers.items() if k not in ours
    }


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", CONTENT, "bytes 0-9/10"),
        ("bytes=5-99999", b"56789", "bytes 5-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
        (f"bytes=0-{10**25}", CONTENT, "bytes 0-9/10"),
        ("Bytes = 2-3", b"23", "bytes 2-3/10"),
    ],
)
def test_a_range_is_answered_with_what_there_is(
    http: httpx.Client, file: str, asked: str, content: bytes, told: str
) -> None:
    answer = http.get(file, headers={"Range": asked})

    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, content, told)
    assert http.head(file, headers={"Range": asked}).headers["content-length"] == str(len(content))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=99999-", "bytes=-0"])
def test_a_range_past_the_end_is_refused_with_the_size(http: httpx.Client, file: str, asked: str) -> None:
    answer = http.get(file, headers={"Range": asked})

    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize(
    "asked", ["lines=1-2", "bytes=5-3", "bytes=a-b", "bytes=", "bytes=-", "0-3", "bytes=0-1,3-4", "bytes=1--2"]
)
def test_a_range_that_is_none_is_passed_over(http: httpx.Client, file: str, asked: str) -> None:
    answer = http.get(file, headers={"Range": asked})

    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_an_empty_file_has_no_ranges(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/empty", content=b"")

    assert (http.get(f"{home}/-/empty").status_code, http.get(f"{home}/-/empty").content) == (200, b"")
    assert http.get(f"{home}/-/empty", headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize("tags", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
def test_who_has_the_file_gets_304(http: httpx.Client, file: str, tags: str) -> None:
    answer = http.get(file, headers={"If-None-Match": tags, "Range": "bytes=0-1"})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", ETAG)


def test_who_has_another_file_gets_this_one(http: httpx.Client, file: str) -> None:
    assert http.get(file, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_reader_can_ask_for_exactly_one_content(http: httpx.Client, file: str) -> None:
    assert http.get(file, headers={"If-Match": ETAG}).status_code == 200
    refused = http.get(file, headers={"If-Match": '"other"'})
    assert (refused.status_code, refused.json()["current_etag"]) == (412, ETAG)


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Sat, 01 Jan 2022 00:00:00 GMT", 200)],
)
def test_a_part_is_only_sent_of_the_content_that_the_caller_has_begun(
    http: httpx.Client, file: str, condition: str, status: int
) -> None:
    answer = http.get(file, headers={"Range": "bytes=8-", "If-Range": condition})

    assert (answer.status_code, answer.content) == (status, CONTENT[8:] if status == 206 else CONTENT)


def test_an_older_state_is_read_by_its_commit(http: httpx.Client, home: str, file: str) -> None:
    first = http.get(file).headers["x-commit"]
    http.put(file, content=b"new")

    assert http.get(file).content == b"new"
    assert http.get(file, params={"revision": first}).content == CONTENT
    assert http.get(f"{home}/-/nothing").status_code == 404
    assert http.get(file, params={"revision": "f" * 40}).status_code == 404
