"""Resumable uploads: the tus protocol, spoken by hand and by its own client for Python."""

import hashlib
import io
import os
import time
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from tusclient.client import TusClient

from tests.files.conftest import connected, digest_of
from tests.servers import Server, running

OCTETS = {"Content-Type": "application/offset+octet-stream", "Tus-Resumable": "1.0.0"}


def said(**values: str) -> str:
    """`Upload-Metadata` of those values."""
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())


def begin(http: httpx.Client, home: str, length: int | None = None, **metadata: str) -> str:
    """The path of a new upload."""
    headers = {"Upload-Length": str(length)} if length is not None else {"Upload-Defer-Length": "1"}
    answer = http.post(f"{home}/uploads", headers=headers | {"Upload-Metadata": said(**metadata)})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def append(http: httpx.Client, upload: str, offset: int, content: bytes, **headers: str) -> httpx.Response:
    """Goes on with an upload."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.patch(upload, content=content, headers=OCTETS | {"Upload-Offset": str(offset)} | sent)


def test_a_file_comes_in_parts(http: httpx.Client, home: str) -> None:
    upload = begin(http, home, 10, path="a/b", note="anything")

    first = append(http, upload, 0, b"01234")
    assert (first.status_code, first.headers["upload-offset"], first.headers["tus-resumable"]) == (204, "5", "1.0.0")
    state = http.head(upload).headers
    assert (state["upload-offset"], state["upload-length"], state["cache-control"]) == ("5", "10", "no-store")
    assert state["upload-metadata"] == said(path="a/b", note="anything")
    assert parsedate_to_datetime(state["upload-expires"]) > datetime.now(UTC)
    assert http.get(f"{home}/-/a/b").status_code == 404
    last = append(http, upload, 5, b"56789")

    assert (last.status_code, last.headers["upload-offset"]) == (204, "10")
    assert last.headers["etag"] == f'"{digest_of(b"0123456789")}"'
    assert last.headers["x-commit"] == http.get(home).json()["commit"]
    assert http.get(f"{home}/-/a/b").content == b"0123456789"
    assert http.head(upload).status_code == 404


def test_the_server_says_what_it_can(http: httpx.Client, home: str) -> None:
    answer = http.options(f"{home}/uploads")

    assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
    assert {"creation", "expiration", "checksum", "termination"} <= set(answer.headers["tus-extension"].split(","))
    assert int(answer.headers["tus-max-size"]) > 2**30
    assert answer.headers["tus-checksum-algorithm"] == "sha256"


def test_the_first_bytes_can_come_at_once(http: httpx.Client, home: str) -> None:
    headers = OCTETS | {"Upload-Length": "3", "Upload-Metadata": said(path="whole")}
    answer = http.post(f"{home}/uploads", content=b"abc", headers=headers)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "3")
    assert http.get(f"{home}/-/whole").content == b"abc"
    http.post(f"{home}/uploads", headers={"Upload-Length": "0", "Upload-Metadata": said(path="empty")})
    assert http.get(f"{home}/-/empty").content == b""


def test_the_length_can_be_told_later(http: httpx.Client, home: str) -> None:
    upload = begin(http, home, path="f")
    assert http.head(upload).headers["upload-defer-length"] == "1"
    append(http, upload, 0, b"abc")
    assert append(http, upload, 3, b"", Upload_Length="2").status_code == 409
    assert append(http, upload, 3, b"d", Upload_Length="5").headers["upload-offset"] == "4"
    assert http.head(upload).headers["upload-length"] == "5"
    assert append(http, upload, 4, b"e", Upload_Length="6").status_code == 409
    assert append(http, upload, 4, b"e").status_code == 204
    assert http.get(f"{home}/-/f").content == b"abcde"


def test_without_a_path_the_bytes_are_kept_for_a_commit(http: httpx.Client, home: str) -> None:
    done = append(http, begin(http, home, 5), 0, b"bytes")
    digest = done.headers["x-checksum-sha256"]
    change = {"op": "put", "path": "f", "sha256": digest, "size": 5}

    assert digest == digest_of(b"bytes")
    assert http.get(home).json()["file_count"] == 0
    assert http.post(f"{home}/commits", json={"changes": [change]}).status_code == 200


def test_a_piece_is_held_against_its_checksum(http: httpx.Client, home: str) -> None:
    upload = begin(http, home, 6, path="f")
    right, wrong = (f"sha256 {b64encode(hashlib.sha256(c).digest()).decode()}" for c in (b"def", b"xyz"))
    append(http, upload, 0, b"abc")

    refused = append(http, upload, 3, b"def", Upload_Checksum=wrong)
    assert (refused.status_code, refused.json()["code"]) == (460, "checksum_mismatch")
    assert http.head(upload).headers["upload-offset"] == "3"
    assert append(http, upload, 3, b"def", Upload_Checksum=right).status_code == 204
    assert http.get(f"{home}/-/f").content == b"abcdef"
    for unknown in ("sha1 AAAA", "sha256 AAAA", "sha256"):
        assert append(http, begin(http, home, 3), 0, b"abc", Upload_Checksum=unknown).status_code == 422


def test_a_file_is_held_against_its_sha256(http: httpx.Client, home: str) -> None:
    upload = begin(http, home, 3, path="f", sha256=digest_of(b"abd"))

    assert append(http, upload, 0, b"abc").json()["code"] == "digest_mismatch"
    assert http.head(upload).status_code == 404
    assert http.get(f"{home}/-/f").status_code == 404
    assert append(http, begin(http, home, 3, path="f", sha256=digest_of(b"abc")), 0, b"abc").status_code == 204


def test_bytes_at_another_place_are_refused(http: httpx.Client, home: str) -> None:
    upload = begin(http, home, 6)
    append(http, upload, 0, b"abc")

    for offset in (0, 2, 4):
        answer = append(http, upload, offset, b"x")
        assert (answer.status_code, answer.json()["code"], answer.json()["offset"]) == (409, "upload_conflict", 3)
    assert append(http, upload, 3, b"defg").status_code == 413
    assert http.patch(upload, content=b"x", headers={"Upload-Offset": "3"}).status_code == 415
    assert http.patch(upload, content=b"x", headers=OCTETS).status_code == 422


def test_an_upload_can_be_given_up(http: httpx.Client, home: str) -> None:
    upload = begin(http, home, 6)

    assert http.delete(upload).status_code == 204
    assert [http.delete(upload).status_code, http.head(upload).status_code] == [404, 404]
    assert append(http, upload, 0, b"x").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 422),
        ({"Upload-Defer-Length": "2"}, 422),
        ({"Upload-Length": "-1"}, 422),
        ({"Upload-Length": "x"}, 422),
        ({"Upload-Length": str(2**50)}, 413),
        ({"Upload-Length": "1", "Upload-Metadata": "path ?"}, 422),
        ({"Upload-Length": "1", "Upload-Metadata": "path /w=="}, 422),
        ({"Upload-Length": "1", "Upload-Metadata": said(path="../x")}, 400),
        ({"Upload-Length": "1", "Upload-Metadata": said(sha256="x")}, 422),
        ({"Upload-Length": "1", "Upload-Concat": "partial"}, 422),
        ({"Upload-Length": "1", "Tus-Resumable": "0.2.2"}, 412),
    ],
)
def test_an_upload_that_makes_no_sense_is_not_begun(
    http: httpx.Client, home: str, headers: dict[str, str], status: int
) -> None:
    answer = http.post(f"{home}/uploads", headers=headers)

    assert answer.status_code == status, answer.text


def test_an_upload_belongs_to_its_fileset(http: httpx.Client, home: str) -> None:
    http.post(home.rpartition("/")[0], json={"name": "other"})
    upload = begin(http, home, 3)
    elsewhere = upload.replace("/weights/", "/other/")

    assert [http.head(elsewhere).status_code, http.delete(elsewhere).status_code] == [404, 404]
    assert append(http, elsewhere, 0, b"abc").status_code == 404
    assert http.head(upload).status_code == 200


def test_what_came_before_a_connection_broke_is_kept(server: Server, http: httpx.Client, home: str) -> None:
    content = os.urandom(3_000_000)
    upload = begin(http, home, len(content), path="f")
    head = "".join(
        f"{name}: {value}\r\n" for name, value in (OCTETS | {"Upload-Offset": "0", "Host": "localhost"}).items()
    )
    with connected(server) as connection:
        connection.sendall(f"PATCH {upload} HTTP/1.1\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode())
        connection.sendall(content[:1_234_567])

    answer = http.head(upload)
    until = time.monotonic() + 20
    while answer.headers["upload-offset"] != "1234567" and time.monotonic() < until:
        answer = http.head(upload)
    assert answer.headers["upload-offset"] == "1234567"
    done = append(http, upload, 1_234_567, content[1_234_567:])
    while done.status_code == 409 and time.monotonic() < until:  # the broken request may hold it for a moment still
        done = append(http, upload, 1_234_567, content[1_234_567:])
    assert done.status_code == 204
    assert http.get(f"{home}/-/f").content == content


def test_an_upload_outlives_a_server_that_is_killed(data_dir: Path) -> None:
    home = "/apis/files/v2/workspaces/default/filesets/kept"
    with running(data_dir) as server, httpx.Client(base_url=server.url) as http:
        http.post(home.rpartition("/")[0], json={"name": "kept"})
        upload = begin(http, home, 2_000_000, path="big")
        assert append(http, upload, 0, b"a" * 1_500_000).status_code == 204
        server.kill()
    with running(data_dir) as server, httpx.Client(base_url=server.url) as http:
        assert http.head(upload).headers["upload-offset"] == "1500000"
        assert append(http, upload, 1_500_000, b"b" * 500_000).status_code == 204
        assert http.get(f"{home}/-/big").content == b"a" * 1_500_000 + b"b" * 500_000


def test_the_client_of_the_protocol_itself(server: Server, http: httpx.Client, home: str) -> None:
    content = os.urandom(300_000)
    client = TusClient(f"{server.url}{home}/uploads")
    uploader = client.uploader(file_stream=io.BytesIO(content), chunk_size=100_000, metadata={"path": "tus.bin"})
    uploader.upload_chunk()  # type: ignore[no-untyped-call]
    again = client.uploader(file_stream=io.BytesIO(content), chunk_size=70_000, url=uploader.url, upload_checksum=False)
    assert again.offset == 100_000

    again.upload()

    assert http.get(f"{home}/-/tus.bin").content == content


def test_a_sender_who_may_only_post(http: httpx.Client, home: str) -> None:
    upload = begin(http, home, 3, path="f")
    headers = OCTETS | {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0"}

    assert http.post(upload, content=b"abc", headers=headers).status_code == 204
    assert http.get(f"{home}/-/f").content == b"abc"
    assert http.post(upload, content=b"abc").status_code == 405
