"""Plain uploads: one PUT, as raw bytes or as a form; whole, or not at all."""

import time
from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest

from tests.files.conftest import connected, digest_of
from tests.servers import Server


def test_a_file_is_put_and_answered(http: httpx.Client, home: str, workspace: str) -> None:
    answer = http.put(f"{home}/-/a/b c.txt", content=b"hello")

    assert answer.status_code == 200
    body = answer.json()
    assert body["file_ref"] == f"{workspace}/weights#a/b c.txt"
    assert http.get(body["file_url"]).content == b"hello"
    assert (body["path"], body["size"], body["sha256"]) == ("a/b c.txt", 5, digest_of(b"hello"))
    assert (body["cache_status"], answer.headers["etag"]) == ("not_cacheable", f'"{digest_of(b"hello")}"')
    fileset = http.get(home).json()
    assert (fileset["file_count"], fileset["total_size"], fileset["commit"]) == (1, 5, answer.headers["x-commit"])
    assert fileset["updated_at"] == body["updated_at"]


def test_a_body_in_chunks_needs_no_length(http: httpx.Client, home: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b"a" * 70_000, b"b" * 3, b"c" * 200_000)

    assert http.put(f"{home}/-/f", content=pieces()).json()["size"] == 270_003


def test_of_a_form_the_first_part_is_the_file(http: httpx.Client, home: str) -> None:
    content = b"\r\n--not the boundary\r\n" * 20_000
    parts = [("file", ("x.bin", content)), ("other", ("y.bin", b"ignored"))]

    answer = http.put(f"{home}/-/f", files=parts)

    assert (answer.status_code, answer.json()["sha256"]) == (200, digest_of(content))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\nabc\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"abc"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nabc"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nabc\r\n--x\r\nA: b\r\n\r\nabc"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\nabc\r\n--x--\r\n"),
        (f"multipart/form-data; boundary={'x' * 1000}", b"abc"),
    ],
)
def test_a_form_that_is_not_whole_is_no_file(http: httpx.Client, home: str, kind: str, body: bytes) -> None:
    answer = http.put(f"{home}/-/f", content=body, headers={"Content-Type": kind})

    assert answer.status_code == 422
    assert http.get(f"{home}/-/f").status_code == 404


def _dictionary(content: bytes) -> str:
    return f"sha-256=:{b64encode(bytes.fromhex(digest_of(content))).decode()}:"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("X-Checksum-Sha256", digest_of(b"abc"), digest_of(b"abd")),
        ("Repr-Digest", f"sha-512=:AAAA:, {_dictionary(b'abc')}", _dictionary(b"abd")),
        ("Content-Digest", _dictionary(b"abc"), f"{_dictionary(b'abd')}, md5=:AAAA:"),
    ],
)
def test_bytes_are_held_against_what_was_announced(
    http: httpx.Client, home: str, name: str, right: str, wrong: str
) -> None:
    refused = http.put(f"{home}/-/f", content=b"abc", headers={name: wrong})
    assert (refused.status_code, refused.json()["code"]) == (422, "digest_mismatch")
    assert http.get(f"{home}/-/f").status_code == 404
    assert http.put(f"{home}/-/f", content=b"abc", headers={name: right}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Checksum-Sha256": "abc"},
        {"X-Checksum-Sha256": digest_of(b"abc"), "Repr-Digest": _dictionary(b"abd")},
        {"Repr-Digest": "sha-256=abc"},
        {"Content-Digest": "sha-256=:AAAA:"},
        {"Content-Range": "bytes 0-2/10"},
    ],
)
def test_headers_that_make_no_sense_are_named(http: httpx.Client, home: str, headers: dict[str, str]) -> None:
    answer = http.put(f"{home}/-/f", content=b"abc", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameters")


def test_compressed_bodies_are_not_taken(http: httpx.Client, home: str) -> None:
    assert http.put(f"{home}/-/f", content=b"abc", headers={"Content-Encoding": "gzip"}).status_code == 415


def test_a_file_is_only_made_where_there_is_none(http: httpx.Client, home: str) -> None:
    assert http.put(f"{home}/-/f", content=b"one", headers={"If-None-Match": "*"}).status_code == 200
    refused = http.put(f"{home}/-/f", content=b"two", headers={"If-None-Match": "*"})
    assert (refused.status_code, refused.headers["etag"]) == (412, f'"{digest_of(b"one")}"')
    assert http.get(f"{home}/-/f").content == b"one"


def test_a_file_is_only_replaced_or_removed_if_it_is_the_one_that_is_meant(http: httpx.Client, home: str) -> None:
    one, two = ({"If-Match": f'"{digest_of(content)}"'} for content in (b"one", b"two"))
    assert http.put(f"{home}/-/f", content=b"one", headers={"If-Match": "*"}).status_code == 412
    http.put(f"{home}/-/f", content=b"one")
    assert http.put(f"{home}/-/f", content=b"new", headers=two).status_code == 412
    assert http.put(f"{home}/-/f", content=b"two", headers=one).status_code == 200
    assert http.delete(f"{home}/-/f", headers=one).status_code == 412
    assert http.delete(f"{home}/-/f", headers=two).json()["sha256"] == digest_of(b"two")
    assert http.delete(f"{home}/-/f").status_code == 404


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("..%2f..%2fetc%2fpasswd", {400}),
        ("a/%2e%2e/b", {400}),
        ("a//b", {400}),
        ("/a", {400}),
        ("a/", {400}),
        ("a%00b", {400}),
        ("a%0ab", {404}),
        ("a%5cb", {400}),
        ("c%3a/b", {400}),
        ("a./b", {400}),
        ("%ff%fe", {200, 400}),
        ("a" * 256, {400}),
        ("/".join("a" * 65), {400}),
        ("a" * 255, {200}),
        ("%e2%82%ac" * 85, {200}),
        ("%e2%82%ac" * 86, {400}),
    ],
)
def test_odd_paths_are_refused_and_never_a_fault(http: httpx.Client, home: str, path: str, statuses: set[int]) -> None:
    answer = http.put(f"{home}/-/{path}", content=b"x")

    assert answer.status_code in statuses, answer.text
    assert http.get(f"{home}/-/{path}").status_code == answer.status_code
    assert http.delete(f"{home}/-/{path}").status_code == answer.status_code


def test_nothing_is_both_a_file_and_a_folder(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/a/b", content=b"x")

    assert http.put(f"{home}/-/a", content=b"x").status_code == 409
    assert http.put(f"{home}/-/a/b/c", content=b"x").status_code == 409
    assert http.get(f"{home}/-/a").status_code == 404


def test_what_has_no_place_is_told_before_the_bytes_are_taken(server: Server, home: str) -> None:
    head = (
        f"PUT {home}-no/-/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
    )
    with connected(server) as connection:
        connection.sendall(head.encode())

        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_a_sender_who_asks_first_is_told_to_go_on(server: Server, home: str) -> None:
    head = f"PUT {home}/-/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")

        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_sender_who_leaves_leaves_nothing(server: Server, http: httpx.Client, home: str) -> None:
    uploads = server.data_dir / "uploads"
    before = set(uploads.iterdir())
    head = f"PUT {home}/-/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    until = time.monotonic() + 20
    with connected(server) as connection:
        connection.sendall(head.encode() + b"x" * 500_000)
        while set(uploads.iterdir()) == before and time.monotonic() < until:
            time.sleep(0.01)
        assert set(uploads.iterdir()) != before

    while set(uploads.iterdir()) != before and time.monotonic() < until:
        time.sleep(0.01)
    assert set(uploads.iterdir()) == before
    assert http.get(f"{home}/-/half").status_code == 404
    assert "Traceback" not in server.log
