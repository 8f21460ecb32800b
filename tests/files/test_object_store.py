"""Files whose bytes are kept in an object store: the same answers, or a way straight to the store."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.blobs.object_servers import BUCKET, KEY_ID, SECRET, moto
from tests.files.conftest import digest_of
from tests.servers import running

FILESETS = "/apis/files/v2/workspaces/default/filesets"
HOME = f"{FILESETS}/weights"
CONTENT = bytes(range(256)) * 10_000

_numbers = count(1)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """Where an S3 server listens."""
    with moto() as url:
        yield url


@pytest.fixture(params=["proxied", "presigned"])
def http(request: pytest.FixtureRequest, s3_url: str, data_dir: Path) -> Iterator[httpx.Client]:
    """A client of a server that keeps bytes there, and a file in it."""
    settings = {
        "URL": f"s3://{BUCKET}/files-{next(_numbers)}",
        "ENDPOINT": s3_url,
        "REGION": "us-east-1",
        "ACCESS_KEY_ID": KEY_ID,
        "SECRET_ACCESS_KEY": SECRET,
        "DOWNLOADS": request.param,
    }
    environ = {f"STEELYARD_FILES__OBJECT_STORE__{name}": value for name, value in settings.items()}
    with running(data_dir, environ=environ) as server:
        with httpx.Client(base_url=server.url, timeout=60, follow_redirects=True) as client:
            client.post(FILESETS, json={"name": "weights"})
            assert client.put(f"{HOME}/-/folder/file.bin", content=CONTENT).json()["sha256"] == digest_of(CONTENT)
            yield client
        assert "Traceback" not in server.log
        assert SECRET not in server.log


def test_a_file_comes_back_whole_and_in_parts(http: httpx.Client) -> None:
    assert http.get(f"{HOME}/-/folder/file.bin").content == CONTENT
    part = http.get(f"{HOME}/-/folder/file.bin", headers={"Range": "bytes=1000000-1999999"})
    assert (part.status_code, part.content) == (206, CONTENT[1_000_000:2_000_000])
    assert http.head(f"{HOME}/-/folder/file.bin").headers["content-length"] == str(len(CONTENT))


def test_downloads_go_where_the_settings_say(http: httpx.Client, request: pytest.FixtureRequest) -> None:
    answer = http.get(f"{HOME}/-/folder/file.bin", follow_redirects=False)

    presigned = "presigned" in request.node.name
    assert answer.status_code == (302 if presigned else 200)
    assert ("location" in answer.headers) is presigned
    assert answer.headers["etag"] == f'"{digest_of(CONTENT)}"'


def test_what_may_not_leave_gets_no_address(http: httpx.Client) -> None:
    http.put(f"{HOME}/-/modeling.py", content=b"print()")
    http.put(f"{HOME}/-/config.json", content=b"{}")
    model = {"name": "model", "fileset": "default/weights"}
    assert http.post("/apis/models/v2/workspaces/default/models", json=model).status_code == 201

    assert http.get(f"{HOME}/-/modeling.py", follow_redirects=False).status_code == 403
    read = http.get(f"{HOME}/-/modeling.py", params={"review": "true"}, follow_redirects=False)
    assert (read.status_code, read.content) == (200, b"print()")


def test_the_store_is_checked_too(http: httpx.Client) -> None:
    assert http.post("/apis/steelyard/v1/fsck").text.splitlines()[-1].endswith('"troubles":0}')
