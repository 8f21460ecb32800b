"""Blobs in object storage: signatures, presigned downloads, what fails and what is said of it."""

import asyncio
import contextlib
import hashlib
import http.server
import logging
import random
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import obstore
import pytest

from steelyard.blobs.objects import ObjectBlobs, open_objects
from steelyard.blobs.protocol import PIECE, BlobStore
from steelyard.blobs.staging import LocalStaging
from steelyard.errors import CorruptBytes, StartupError, SteelyardError, Unavailable
from tests.blobs.conftest import content_of, put, stage
from tests.blobs.object_servers import BUCKET, SECRET, moto, options, rclone

CONTENT = random.Random(3).randbytes(20 * PIECE + 7)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def signed_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server listens that checks signatures."""
    with rclone(tmp_path_factory.mktemp("rclone")) as url:
        yield url


@pytest.fixture
async def signed(signed_url: str) -> AsyncIterator[ObjectBlobs]:
    store = open_objects(f"s3://{BUCKET}/prefix", options(signed_url), presigned=True)
    yield store
    await store.close()


async def test_what_is_sent_is_signed(staging: LocalStaging, signed: ObjectBlobs) -> None:
    digest = await put(staging, signed, CONTENT)

    assert await signed.size(digest) == len(CONTENT)
    assert (digest, len(CONTENT)) in [found async for found in signed.walk()]


async def test_a_presigned_url_downloads_the_file_under_its_name(
    staging: LocalStaging, signed: ObjectBlobs, objects: ObjectBlobs
) -> None:
    for store in (signed, objects):
        digest = await put(staging, store, CONTENT)
        url = await store.presign(digest, seconds=60, name="żółw 1.safetensors")
        assert url
        assert SECRET not in url
        async with httpx.AsyncClient() as client:
            answer = await client.get(url)
        assert answer.status_code == 200
        assert answer.content == CONTENT
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''%C5%BC%C3%B3%C5%82w%201.safetensors")


async def test_a_presigned_url_opens_only_what_it_names(staging: LocalStaging, signed: ObjectBlobs) -> None:
    digest, other = await put(staging, signed, b"one"), await put(staging, signed, b"other")
    url = await signed.presign(digest, seconds=60, name="one.bin")
    assert url

    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).status_code == 200
        assert (await client.put(url, content=b"two")).status_code == 403
        assert (await client.get(url.replace("one.bin", "two.bin"))).status_code == 403
        assert (await client.get(url.replace("Expires=60", "Expires=99"))).status_code == 403
        renamed = url.replace(f"{digest[:2]}/{digest[2:]}", f"{other[:2]}/{other[2:]}")
        assert (await client.get(renamed)).status_code == 403


async def test_urls_are_made_only_where_the_configuration_says_so(staging: LocalStaging, s3_url: str) -> None:
    store = open_objects(f"s3://{BUCKET}/proxied", options(s3_url))

    digest = await put(staging, store, b"weights")

    assert await store.presign(digest, seconds=60, name="x") is None
    await store.close()


async def test_wrong_credentials(staging: LocalStaging, signed_url: str) -> None:
    store = open_objects(f"s3://{BUCKET}", options(signed_url, secret_access_key="a wrong one"))

    for verb in (
        store.size(DIGEST),
        store.delete(DIGEST),
        content_of(store, DIGEST, 0, 1),
        store.put(await stage(staging, b"weights")),
        asyncio.to_thread(store.read_now, DIGEST, 0, 1),
    ):
        with pytest.raises(Unavailable, match="refuses the credentials") as refused:
            await verb
        _tells_nothing(refused.value, "a wrong one", signed_url)
    with pytest.raises(Unavailable) as refused:
        await anext(store.walk())
    _tells_nothing(refused.value, "a wrong one", signed_url)
    await store.close()


async def test_a_bucket_that_is_not_there(staging: LocalStaging, s3_url: str) -> None:
    store = open_objects("s3://no-such-bucket", options(s3_url))

    for content in (b"weights", CONTENT):
        staged = await stage(staging, content)
        with pytest.raises(Unavailable, match="no bucket"):
            await store.put(staged)
        assert staged.path.exists()
    with pytest.raises(Unavailable):
        await anext(store.walk())
    await store.close()


async def test_an_object_store_that_does_not_answer(staging: LocalStaging, tmp_path: Path) -> None:
    with rclone(tmp_path / "rclone") as url:
        pass  # its port is free again
    quick = {"max_retries": 1, "retry_timeout": timedelta(seconds=2)}
    store = open_objects(f"s3://{BUCKET}", options(url), retries=quick)
    staged = await stage(staging, CONTENT)

    for verb in (store.size(DIGEST), content_of(store, DIGEST, 0, 1), store.put(staged), anext(store.walk())):
        with pytest.raises(Unavailable, match="did not answer") as refused:
            await verb
        _tells_nothing(refused.value, SECRET, url)
    assert staged.path.exists()
    await store.close()


async def test_an_object_store_that_goes_away_while_it_is_sent_to(staging: LocalStaging) -> None:
    quick = {"max_retries": 1, "retry_timeout": timedelta(seconds=2)}
    staged = await stage(staging, bytes(96 * PIECE))
    with moto() as url:
        store = open_objects(f"s3://{BUCKET}", options(url), retries=quick)
        async with httpx.AsyncClient() as client:
            sending = asyncio.create_task(store.put(staged))
            while b"<UploadId>" not in (await client.get(f"{url}/{BUCKET}?uploads")).content:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert not sending.done()

    with pytest.raises(Unavailable):
        await sending

    assert staged.path.stat().st_size == staged.size
    await store.close()


async def test_a_damaged_object_is_mended_by_an_upload(staging: LocalStaging, objects: ObjectBlobs) -> None:
    for content in (b"weights", CONTENT):
        digest = await put(staging, objects, content)
        obstore.put(objects._store, f"{digest[:2]}/{digest[2:]}", b"wei")
        with pytest.raises(CorruptBytes, match=digest):
            await content_of(objects, digest, 0, len(content))

        await put(staging, objects, content)

        assert await content_of(objects, digest, 0, len(content)) == content


async def test_an_object_store_that_keeps_less_than_it_was_sent_is_not_believed(staging: LocalStaging) -> None:
    with _forgetful() as url:
        store = open_objects(f"s3://{BUCKET}", options(url))
        staged = await stage(staging, b"weights")

        with pytest.raises(CorruptBytes, match="3 of 7 bytes"):
            await store.put(staged)

        assert staged.path.exists()
        assert await store.size(staged.digest) is None
        await store.close()


async def test_foreign_objects_are_no_blobs(staging: LocalStaging, objects: ObjectBlobs) -> None:
    digest = await put(staging, objects, b"weights")
    for key in ("README", f"{digest[:2]}/note", digest, f"x/{digest[:2]}/{digest[2:]}", f"{digest[:4]}/{digest[4:]}"):
        obstore.put(objects._store, key, b"not ours")

    assert [found async for found in objects.walk()] == [(digest, 7)]


async def test_two_prefixes_of_a_bucket_are_two_stores(staging: LocalStaging, s3_url: str) -> None:
    one, two = (open_objects(f"s3://{BUCKET}/{name}", options(s3_url)) for name in ("one", "two"))

    digest = await put(staging, one, b"weights")

    stores: tuple[BlobStore, ...] = (one, two)
    assert [await store.size(digest) for store in stores] == [7, None]
    for store in stores:
        await store.close()


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("s3://weights", {"secret_acces_key": SECRET}),
        ("s3://weights", {"region": "x", "virtual_hosted_style_request": SECRET}),
        ("file:///tmp", {}),
        ("memory:///", {}),
        ("https://example.com/weights", {}),
        ("nonsense", {}),
        ("", {}),
    ],
)
def test_a_configuration_that_cannot_be(url: str, given: dict[str, str]) -> None:
    with pytest.raises(StartupError, match="object store") as refused:
        open_objects(url, given)

    _tells_nothing(refused.value, SECRET)
    for name in given:
        assert name in refused.value.message


async def test_no_log_has_the_secret(
    staging: LocalStaging, objects: ObjectBlobs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    await put(staging, objects, CONTENT)

    assert SECRET not in caplog.text
    assert SECRET not in repr(objects) + repr(objects._store)


@contextlib.contextmanager
def _forgetful() -> Iterator[str]:
    """An object store that says that all is well, and keeps three bytes of what it is sent."""
    kept: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            content = kept.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("ETag", '"0"')
            self.end_headers()

        def do_PUT(self) -> None:
            kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))[:3]
            self.do_HEAD()

        def do_DELETE(self) -> None:
            del kept[self.path]
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _tells_nothing(error: SteelyardError, *secrets: str) -> None:
    told = "".join(traceback.format_exception(error)) + repr(error)
    for secret in secrets:
        assert secret not in told
