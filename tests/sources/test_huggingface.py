"""Repositories of the Hub: pinned to a commit, all pages of their files, read from where the Hub redirects to."""

import hashlib
import json
from typing import Any

import pytest

from steelyard.errors import BadReference, OutboundFailed
from steelyard.records.filesets import Pinned
from steelyard.records.storage import HuggingfaceStorage
from steelyard.sources.sources import ConfiguredSources
from tests.sources.conftest import content, entry, fields, fileset
from tests.sources.servers import File, Web

COMMIT, LATER = "a" * 40, "b" * 40
WEIGHTS = bytes(range(256)) * 1000
CONFIG = b'{"model_type":"llama"}'


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def reply(body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json", **headers}, json.dumps(body).encode()


@pytest.fixture
def hub(web: Web, elsewhere: Web) -> Web:
    """A hub with one repository of two files, the large one of which lies on another host."""
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    large = {
        "type": "file",
        "path": "sub dir/model.safetensors",
        "size": 130,
        "oid": "c" * 40,
        "lfs": {"oid": sha256, "size": len(WEIGHTS), "pointerSize": 130},
    }
    small = {"type": "file", "path": "config.json", "size": len(CONFIG), "oid": git_oid(CONFIG)}
    folder = {"type": "directory", "path": "sub dir", "size": 0, "oid": "d" * 40}
    tree = f"/api/models/org/name/tree/{COMMIT}"
    next_page = {"link": f'<{web.url}{tree}?recursive=true&cursor=2>; rel="next"'}
    web.places["/api/models/org/name/revision/refs/pr/1"] = reply({"sha": COMMIT})
    web.places["/api/models/org/name/revision/main"] = reply({"sha": COMMIT})
    pages = {f"{tree}?recursive=true": reply([large], **next_page)}
    pages |= {f"{tree}?recursive=true&cursor=2": reply([folder, small])}
    web.answer = lambda asked: pages.get(asked.path)
    resolve = f"/org/name/resolve/{COMMIT}"
    linked = {"x-linked-etag": f'"{sha256}"', "x-repo-commit": COMMIT, "location": f"{elsewhere.url}/blob?signed=yes"}
    web.places[f"{resolve}/sub dir/model.safetensors"] = (302, linked, b"")
    web.places[f"{resolve}/config.json"] = File(CONFIG, etag=f'"{git_oid(CONFIG)}"')
    elsewhere.places["/blob"] = File(WEIGHTS, etag='"of the delivery network"')
    return web


async def pin(sources: ConfiguredSources, hub: Web, **said: Any) -> Pinned:
    return await sources.pin("default", fields(HuggingfaceStorage(repo_id="org/name", endpoint=hub.url, **said)))


async def test_a_repository_is_pinned_to_its_commit(hub: Web, sources: ConfiguredSources) -> None:
    pinned = await pin(sources, hub)
    assert pinned.commit == COMMIT
    assert (pinned.storage["revision"], pinned.storage["original_revision"]) == (COMMIT, "main")
    assert [file.path for file in pinned.files] == ["config.json", "sub dir/model.safetensors"]
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    weights = entry(pinned, "sub dir/model.safetensors")
    assert (weights.size, weights.remote) == (
        len(WEIGHTS),
        {"pin": f"{hub.url} {sha256}", "commit": COMMIT, "sha256": sha256},
    )
    oid = git_oid(CONFIG)
    assert entry(pinned, "config.json").remote == {"pin": f"{hub.url} {oid}", "commit": COMMIT, "git_oid": oid}


async def test_files_come_from_the_commit(hub: Web, sources: ConfiguredSources) -> None:
    pinned = await pin(sources, hub)
    hub.places["/api/models/org/name/revision/main"] = reply({"sha": LATER})
    assert await content(sources, pinned, "sub dir/model.safetensors") == WEIGHTS
    assert await content(sources, pinned, "config.json") == CONFIG
    part = await sources.read_range(fileset(pinned), entry(pinned, "sub dir/model.safetensors"), 70_000, 9)
    assert part == WEIGHTS[70_000:70_009]


async def test_the_token_goes_to_the_hub_alone(hub: Web, elsewhere: Web, sources: ConfiguredSources) -> None:
    pinned = await pin(sources, hub, token_secret="token", revision="refs/pr/1")
    await content(sources, pinned, "sub dir/model.safetensors")
    assert {asked.headers["authorization"] for asked in hub.asked} == {"Bearer hub-token"}
    assert elsewhere.asked
    assert not any("authorization" in asked.headers for asked in elsewhere.asked)
    assert "/api/models/org/name/revision/refs%2Fpr%2F1" in [asked.path for asked in hub.asked]


async def test_a_page_on_another_host_gets_no_token(hub: Web, elsewhere: Web, sources: ConfiguredSources) -> None:
    follow = {"link": f'<{elsewhere.url}/page>; rel="next"'}
    hub.answer = lambda asked: reply([], **follow) if "/tree/" in asked.path else None
    elsewhere.places["/page"] = reply([])
    assert (await pin(sources, hub, token_secret="token")).files == []
    assert "authorization" not in elsewhere.asked[0].headers


async def test_another_content_under_the_commit_is_found_by_its_tag(hub: Web, sources: ConfiguredSources) -> None:
    pinned = await pin(sources, hub)
    other = CONFIG[::-1]
    hub.places[f"/org/name/resolve/{COMMIT}/config.json"] = File(other, etag=f'"{git_oid(other)}"')
    with pytest.raises(OutboundFailed, match="changed"):
        await sources.read_range(fileset(pinned), entry(pinned, "config.json"), 0, 5)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_is_not_there_is_the_callers_mistake(web: Web, sources: ConfiguredSources, status: int) -> None:
    web.places["/api/models/org/name/revision/main"] = (status, {}, b"{}")
    with pytest.raises(BadReference, match="org/name") as caught:
        await pin(sources, web)
    assert caught.value.details["field"] == "storage.repo_id"


@pytest.mark.parametrize(
    "answer",
    [{"sha": "main"}, {"sha": "../../x"}, {"sha": 5}, [], {}, "x"],
)
async def test_a_commit_that_is_none_is_refused(web: Web, sources: ConfiguredSources, answer: Any) -> None:
    web.places["/api/models/org/name/revision/main"] = reply(answer)
    with pytest.raises(OutboundFailed):
        await pin(sources, web)


@pytest.mark.parametrize(
    "item",
    [
        {"path": "../x"},
        {"path": "/etc/passwd"},
        {"path": "a\\b"},
        {"path": None},
        {"size": -1},
        {"size": "5"},
        {"size": 2**60},
        {"oid": "zz"},
        {"oid": None},
        {"lfs": {"oid": "c" * 40, "size": 5}},
        {"path": "config.json/below"},
    ],
)
async def test_a_list_that_no_fileset_can_have_is_refused(
    web: Web, sources: ConfiguredSources, item: dict[str, Any]
) -> None:
    web.places["/api/models/org/name/revision/main"] = reply({"sha": COMMIT})
    good = {"type": "file", "path": "config.json", "size": 5, "oid": "c" * 40}
    web.places[f"/api/models/org/name/tree/{COMMIT}"] = reply([good, {**good, "path": "other", **item}])
    with pytest.raises(OutboundFailed):
        await pin(sources, web)


async def test_a_secret_that_is_not_there_is_told(hub: Web, sources: ConfiguredSources) -> None:
    with pytest.raises(BadReference) as caught:
        await pin(sources, hub, token_secret="missing")
    assert caught.value.details["field"] == "storage.token_secret"
    assert hub.asked == []
