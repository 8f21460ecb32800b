"""Buckets, of real S3 servers: one that checks signatures (rclone), one that answers ranges as S3 does (moto)."""

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from steelyard.errors import BadReference, Forbidden, InvalidInput, OutboundFailed
from steelyard.outbound.transport import HttpTransport
from steelyard.records.filesets import Pinned
from steelyard.records.storage import S3Storage
from steelyard.sources.signing import Credentials
from steelyard.sources.sources import ConfiguredSources
from tests.blobs.object_servers import BUCKET, KEY_ID, SECRET, moto, rclone
from tests.sources.conftest import LOOPBACK, content, entry, fields, fileset, rules
from tests.sources.servers import Web

WEIGHTS = bytes(range(256)) * 8192
ODD = "sub/ä b+c@d=e,f'(1)!~$&;.bin"
KEYS = {"access_key_id_secret": "id", "secret_access_key_secret": "secret"}


async def open_key(workspace: str, reference: str, field: str) -> str:
    return {"id": KEY_ID, "secret": SECRET, "wrong": "wrong"}[reference]


@pytest.fixture
async def keyed() -> Any:
    made = ConfiguredSources(HttpTransport(LOOPBACK), rules(), open_key)
    yield made
    await made.close()


@pytest.fixture(scope="module")
def signed_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("rclone")
    with rclone(folder) as url:
        place = folder / BUCKET / "models" / "llama"
        (place / "sub").mkdir(parents=True)
        (place / "w.bin").write_bytes(WEIGHTS)
        (place / ODD).write_bytes(b"odd")
        (folder / BUCKET / "models" / "llama-2.bin").write_bytes(b"a neighbour")
        yield url


@pytest.fixture(scope="module")
def open_url() -> Iterator[str]:
    with moto() as url:
        for key, body in {"p/w.bin": WEIGHTS, "p/folder/": b"", **{f"p/many/{n}": b"x" for n in range(5)}}.items():
            replace(url, key, body)
        yield url


def replace(url: str, key: str, body: bytes) -> None:
    said = {"content-type": "application/octet-stream"}
    said["authorization"] = f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/us-east-1/s3/aws4_request"
    request = urllib.request.Request(f"{url}/{BUCKET}/{key}", body, said, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


async def pin(sources: ConfiguredSources, url: str, prefix: str, **said: Any) -> Pinned:
    storage = S3Storage(bucket=BUCKET, prefix=prefix, endpoint_url=url, **said)
    return await sources.pin("default", fields(storage))


async def test_requests_are_signed(signed_url: str, keyed: ConfiguredSources) -> None:
    pinned = await pin(keyed, signed_url, "models/llama", **KEYS)
    assert [file.path for file in pinned.files] == sorted([ODD, "w.bin"]), "a neighbour's key only starts alike"
    assert await content(keyed, pinned, "w.bin") == WEIGHTS
    assert await content(keyed, pinned, ODD) == b"odd"


@pytest.mark.parametrize("said", [{}, {**KEYS, "secret_access_key_secret": "wrong"}])
async def test_without_the_key_nothing_is_listed(signed_url: str, keyed: ConfiguredSources, said: Any) -> None:
    with pytest.raises(BadReference, match=BUCKET):
        await pin(keyed, signed_url, "models", **said)


async def test_a_bucket_for_everybody_needs_no_key(open_url: str, keyed: ConfiguredSources) -> None:
    assert len((await pin(keyed, open_url, "p/")).files) == 6, "the mark of a folder is no file"


async def test_objects_are_read_in_part_and_whole(open_url: str, keyed: ConfiguredSources) -> None:
    pinned = await pin(keyed, open_url, "p", **KEYS)
    assert await content(keyed, pinned, "w.bin") == WEIGHTS
    assert await keyed.read_range(fileset(pinned), entry(pinned, "w.bin"), 7, 9) == WEIGHTS[7:16]


async def test_an_object_that_was_replaced_is_not_given(open_url: str, keyed: ConfiguredSources) -> None:
    pinned = await pin(keyed, open_url, "p/many", **KEYS)
    replace(open_url, "p/many/1", b"y")
    with pytest.raises(OutboundFailed, match="changed"):
        await content(keyed, pinned, "1")
    assert await content(keyed, pinned, "2") == b"x"


async def test_a_missing_bucket_is_told(open_url: str, keyed: ConfiguredSources) -> None:
    storage = S3Storage(bucket="missing", endpoint_url=open_url)
    with pytest.raises(BadReference, match="missing"):
        await keyed.pin("default", fields(storage))


def page(keys: list[str], following: str = "") -> tuple[int, dict[str, str], bytes]:
    objects = "".join(f"<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;t&quot;</ETag></Contents>" for key in keys)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{following}</NextContinuationToken>"
    body = f'<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}{more if following else ""}</R>'
    return 200, {}, body.encode()


async def test_all_pages_are_read(web: Web, keyed: ConfiguredSources) -> None:
    web.answer = lambda asked: page(["b"]) if "continuation-token=2%2B/" in asked.path else page(["a"], "2+/")
    assert [file.path for file in (await pin(keyed, web.url, "")).files] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><R>&b;</R>',
        b"<R><Contents>",
        b"no xml",
        b"<R><Contents><Key>../x</Key><Size>1</Size><ETag>t</ETag></Contents></R>",
        b"<R><Contents><Key>x</Key><Size>-1</Size><ETag>t</ETag></Contents></R>",
    ],
)
async def test_a_list_that_is_none_is_refused(web: Web, keyed: ConfiguredSources, body: bytes) -> None:
    web.places[f"/{BUCKET}/"] = (200, {}, body)
    with pytest.raises(OutboundFailed):
        await pin(keyed, web.url, "")


async def test_the_servers_own_credentials_are_not_lent(keyed: ConfiguredSources) -> None:
    with pytest.raises(Forbidden):
        await pin(keyed, "http://127.0.0.1:9", "", use_sdk_auth=True)
    with pytest.raises(InvalidInput):
        await pin(keyed, "http://127.0.0.1:9", "", signature_version="s3")
    with pytest.raises(BadReference, match="both"):
        await pin(keyed, "http://127.0.0.1:9", "", access_key_id_secret="id")


def test_a_key_is_in_no_text() -> None:
    assert SECRET not in repr(Credentials(KEY_ID, SECRET, "us-east-1"))
