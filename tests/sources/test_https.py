"""Files of the web: pinned, read in part and whole, from servers that break, lie, change and redirect."""

import hashlib
import threading
from pathlib import Path

import pytest

from steelyard.errors import BadReference, OutboundFailed, OutboundRefused
from steelyard.outbound.policy import OutboundPolicy
from steelyard.outbound.transport import HttpTransport
from steelyard.records.filesets import Pinned
from steelyard.records.storage import HttpsStorage, WebFile
from steelyard.sources.sources import ConfiguredSources
from tests.sources.conftest import LOOPBACK, content, entry, fields, fileset, open_secret, rules
from tests.sources.servers import File, Reply, Web, certified, serving

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def pin(sources: ConfiguredSources, url: str, sha256: str | None = None, token: str | None = None) -> Pinned:
    storage = HttpsStorage(files=[WebFile(path="a/w.bin", url=url, sha256=sha256)], token_secret=token)
    return await sources.pin("default", fields(storage))


async def test_a_file_is_pinned_by_its_tag_and_read(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = File(CONTENT)
    pinned = await pin(sources, f"{web.url}/w")
    assert pinned.commit is None
    assert entry(pinned, "a/w.bin").size == len(CONTENT)
    assert web.sent <= 1, "one byte is enough to know the size"
    assert await sources.read_range(fileset(pinned), entry(pinned, "a/w.bin"), 1000, 5) == CONTENT[1000:1005]
    assert web.sent <= 6
    assert await content(sources, pinned, "a/w.bin") == CONTENT


async def test_an_empty_file_is_one_too(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = File(b"")
    assert await content(sources, await pin(sources, f"{web.url}/w"), "a/w.bin") == b""


@pytest.mark.parametrize("breaks", [[10], [10, 500_000], [1000, 0, 700_000, 1]])
async def test_a_transfer_that_breaks_goes_on_where_it_was(
    web: Web, sources: ConfiguredSources, breaks: list[int]
) -> None:
    web.places["/w"] = File(CONTENT, breaks=list(breaks))
    pinned = await pin(sources, f"{web.url}/w")
    assert await content(sources, pinned, "a/w.bin") == CONTENT
    starts = [int(asked.headers.get("range", "bytes=0-")[6:-1]) for asked in web.asked[1:]]
    assert len(starts) == len(breaks) + 1
    assert starts == sorted(starts)
    assert starts[-1] > 0


async def test_it_goes_on_also_where_ranges_are_not_answered(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = File(CONTENT, ranges=False, breaks=[300_000])
    pinned = await pin(sources, f"{web.url}/w")
    web.places["/w"] = File(CONTENT, ranges=False, breaks=[300_000])
    assert await content(sources, pinned, "a/w.bin") == CONTENT
    assert await sources.read_range(fileset(pinned), entry(pinned, "a/w.bin"), 900, 9) == CONTENT[900:909]


async def test_a_source_that_only_breaks_is_given_up(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = File(CONTENT)
    pinned = await pin(sources, f"{web.url}/w")
    web.places["/w"] = File(CONTENT, breaks=[0] * 50)
    before = len(web.asked)
    with pytest.raises(OutboundFailed):
        await content(sources, pinned, "a/w.bin")
    assert len(web.asked) - before == 3


async def test_a_silent_source_is_given_up(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = File(CONTENT)
    pinned = await pin(sources, f"{web.url}/w")
    web.places["/w"] = File(CONTENT, waits=threading.Event())
    with pytest.raises(OutboundFailed) as caught:
        await sources.read_range(fileset(pinned), entry(pinned, "a/w.bin"), 0, 100)
    assert caught.value.details["reason"] == "timeout"


async def test_what_has_changed_is_not_given(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = File(CONTENT)
    pinned = await pin(sources, f"{web.url}/w")
    web.places["/w"] = File(CONTENT[::-1])
    with pytest.raises(OutboundFailed, match="changed"):
        await content(sources, pinned, "a/w.bin")
    with pytest.raises(OutboundFailed, match="changed"):
        await sources.read_range(fileset(pinned), entry(pinned, "a/w.bin"), 0, 10)
    assert web.sent < len(CONTENT) * 2


async def test_what_changes_between_two_parts_is_not_given(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = File(CONTENT)
    pinned = await pin(sources, f"{web.url}/w")
    first, second = File(CONTENT, breaks=[1000]), File(CONTENT[::-1])
    web.answer = lambda asked: second if "range" in asked.headers else first
    with pytest.raises(OutboundFailed, match="changed"):
        await content(sources, pinned, "a/w.bin")


@pytest.mark.parametrize("says", [len(CONTENT) * 2, len(CONTENT) - 1])
async def test_a_size_that_lies_is_no_file(web: Web, sources: ConfiguredSources, says: int) -> None:
    web.places["/w"] = File(CONTENT)
    pinned = await pin(sources, f"{web.url}/w", SHA256)
    web.places["/w"] = File(CONTENT, says=says)
    with pytest.raises(OutboundFailed):
        await content(sources, pinned, "a/w.bin")


async def test_a_tag_is_needed_unless_the_digest_is_said(web: Web, sources: ConfiguredSources) -> None:
    for tag in ("", 'W/"weak"'):
        web.places["/w"] = File(CONTENT, etag=tag)
        with pytest.raises(BadReference, match="sha256"):
            await pin(sources, f"{web.url}/w")
        pinned = await pin(sources, f"{web.url}/w", SHA256)
        assert entry(pinned, "a/w.bin").remote == {
            "pin": f"{web.url}/w {SHA256}",
            "sha256": SHA256,
            "url": f"{web.url}/w",
        }


@pytest.mark.parametrize(
    "url", ["https://evil.example/w", "http://files.example.evil.example/", "http://169.254.169.254/latest/meta-data"]
)
async def test_only_hosts_of_the_list_are_asked(sources: ConfiguredSources, url: str) -> None:
    with pytest.raises(BadReference, match=r"files\.source_hosts"):
        await pin(sources, url)


async def test_a_host_of_the_list_does_not_lead_inside(web: Web) -> None:
    """The list says which names; the outbound policy says which addresses."""
    web.places["/w"] = File(CONTENT)

    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    sources = ConfiguredSources(HttpTransport(OutboundPolicy(), lookup=inside), rules(), open_secret)
    with pytest.raises(OutboundRefused):
        await pin(sources, f"http://files.example:{web.port}/w")
    await sources.close()
    assert web.asked == []


async def test_redirects_are_followed_without_the_token(web: Web, elsewhere: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = (302, {"location": "/x"}, b"")
    web.places["/x"] = (307, {"location": f"{elsewhere.url}/y"}, b"")
    elsewhere.places["/y"] = File(CONTENT)
    pinned = await pin(sources, f"{web.url}/w", token="token")
    assert await content(sources, pinned, "a/w.bin") == CONTENT
    assert {asked.headers["authorization"] for asked in web.asked} == {"Bearer hub-token"}
    assert len(elsewhere.asked) == 2
    assert not any("authorization" in asked.headers for asked in elsewhere.asked)


@pytest.mark.parametrize(
    "place", ["http://evil.example/w", "http://169.254.169.254/", "file:///etc/passwd", "//evil.example", "http://[::1"]
)
async def test_a_redirect_to_another_host_is_refused(web: Web, sources: ConfiguredSources, place: str) -> None:
    web.places["/w"] = (302, {"location": place}, b"")
    with pytest.raises((OutboundRefused, OutboundFailed)):
        await pin(sources, f"{web.url}/w")


async def test_redirects_in_circles_end(web: Web, sources: ConfiguredSources) -> None:
    web.places["/w"] = (302, {"location": "/w"}, b"")
    with pytest.raises(OutboundFailed, match="circles"):
        await pin(sources, f"{web.url}/w")
    assert len(web.asked) < 20


async def test_what_passes_is_tried_again(web: Web, sources: ConfiguredSources) -> None:
    replies: list[Reply] = [(503, {}, b""), (429, {}, b"")]
    web.places["/w"] = File(CONTENT)
    web.answer = lambda _: replies.pop() if replies else None
    assert await content(sources, await pin(sources, f"{web.url}/w"), "a/w.bin") == CONTENT


async def test_a_token_goes_to_one_host(web: Web, elsewhere: Web, sources: ConfiguredSources) -> None:
    files = [WebFile(path="a", url=f"{web.url}/w"), WebFile(path="b", url=f"{elsewhere.url}/w")]
    with pytest.raises(BadReference, match="one host"):
        await sources.pin("default", fields(HttpsStorage(files=files, token_secret="token")))
    assert elsewhere.asked == []


async def test_tls_is_verified_with_our_authorities(tmp_path: Path) -> None:
    bundle, tls = certified(tmp_path)
    with serving(tls=tls) as web:
        web.places["/w"] = File(CONTENT)
        trusting = ConfiguredSources(HttpTransport(LOOPBACK, ca_bundle=bundle), rules(), open_secret)
        assert await content(trusting, await pin(trusting, f"{web.url}/w"), "a/w.bin") == CONTENT
        await trusting.close()
        doubting = ConfiguredSources(HttpTransport(LOOPBACK), rules(), open_secret)
        with pytest.raises(OutboundFailed, match="certificate"):
            await pin(doubting, f"{web.url}/w")
        await doubting.close()
