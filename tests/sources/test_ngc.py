"""Models and resources of NGC: a key becomes a token, a version its files, a file's address a place elsewhere."""

import base64
import hashlib
import json
from typing import Any

import pytest

from steelyard.errors import BadReference, OutboundFailed
from steelyard.records.filesets import Pinned
from steelyard.records.storage import NgcStorage
from steelyard.sources.sources import ConfiguredSources
from tests.sources.conftest import content, entry, fields, fileset
from tests.sources.servers import Asked, File, Reply, Web

WEIGHTS = bytes(range(256)) * 1000
ITEM = "/v2/org/nvidia/team/nemo/models/llama"
FILES = f"{ITEM}/versions/1.0/files"


def reply(body: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(body).encode()


@pytest.fixture
def ngc(web: Web, elsewhere: Web) -> Web:
    """NGC with one model of one version, whose files are listed on two pages."""
    digest = base64.b64encode(hashlib.sha256(WEIGHTS).digest()).decode()
    first = {"path": "w.nemo", "sizeInBytes": len(WEIGHTS), "sha256_base64": digest}
    second = {"path": "notes/a b.txt", "sizeInBytes": 5, "createdDate": "2026-01-01T00:00:00Z"}
    basic = "Basic " + base64.b64encode(b"$oauthtoken:key-secret").decode()

    def answer(asked: Asked) -> Reply | None:
        if asked.path.startswith("/token?"):
            return reply({"token": "short-lived"}) if asked.headers["authorization"] == basic else (401, {}, b"")
        if asked.headers.get("authorization") != "Bearer short-lived":
            return 401, {}, b""
        if asked.path.startswith(f"{FILES}?"):
            page = second if "page-number=1" in asked.path else first
            return reply({"modelFiles": [page], "paginationInfo": {"totalPages": 2}})
        return None

    web.answer = answer
    web.places[ITEM] = reply({"model": {"name": "llama", "latestVersionIdStr": "1.0"}})
    web.places[f"{FILES}/w.nemo"] = (302, {"location": f"{elsewhere.url}/w?signed=yes"}, b"")
    web.places[f"{FILES}/notes/a b.txt"] = (302, {"location": f"{elsewhere.url}/a"}, b"")
    elsewhere.places["/w"] = File(WEIGHTS, breaks=[100_000])
    elsewhere.places["/a"] = File(b"notes")
    return web


async def pin(sources: ConfiguredSources, ngc: Web, **said: Any) -> Pinned:
    said = {"org": "nvidia", "team": "nemo", "target": "llama", "target_type": "model", "api_key_secret": "key"} | said
    return await sources.pin("default", fields(NgcStorage(host=ngc.url, **said)))


@pytest.mark.parametrize("version", [None, "1.0"])
async def test_a_version_is_pinned(ngc: Web, sources: ConfiguredSources, version: str | None) -> None:
    pinned = await pin(sources, ngc, version=version)
    assert (pinned.storage["version"], pinned.storage["original_version"], pinned.commit) == ("1.0", version, None)
    assert [file.path for file in pinned.files] == ["notes/a b.txt", "w.nemo"]
    assert (entry(pinned, "w.nemo").remote or {})["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    (token,) = (asked for asked in ngc.asked if asked.path.startswith("/token"))
    assert token.path == "/token?service=ngc&scope=group/ngc:nvidia&scope=group/ngc:nvidia/nemo"


async def test_files_come_from_elsewhere_without_the_token(
    ngc: Web, elsewhere: Web, sources: ConfiguredSources
) -> None:
    pinned = await pin(sources, ngc)
    assert await content(sources, pinned, "w.nemo") == WEIGHTS
    assert await content(sources, pinned, "notes/a b.txt") == b"notes"
    assert await sources.read_range(fileset(pinned), entry(pinned, "w.nemo"), 500, 5) == WEIGHTS[500:505]
    assert elsewhere.asked
    assert not any("authorization" in asked.headers for asked in elsewhere.asked)


async def test_a_key_that_ngc_does_not_take_is_told(ngc: Web, sources: ConfiguredSources) -> None:
    with pytest.raises(BadReference) as caught:
        await pin(sources, ngc, api_key_secret="token")
    assert caught.value.details["field"] == "storage.api_key_secret"
    with pytest.raises(BadReference) as caught:
        await pin(sources, ngc, api_key_secret="missing")
    assert caught.value.details["field"] == "storage.api_key_secret"


async def test_a_model_that_is_not_there_is_told(ngc: Web, sources: ConfiguredSources) -> None:
    with pytest.raises(BadReference, match="other"):
        await pin(sources, ngc, target="other")


async def test_without_a_digest_the_size_must_hold(ngc: Web, elsewhere: Web, sources: ConfiguredSources) -> None:
    pinned = await pin(sources, ngc)
    elsewhere.places["/a"] = File(b"longer notes")
    with pytest.raises(OutboundFailed):
        await content(sources, pinned, "notes/a b.txt")
