"""Files of the web, each with an address of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from steelyard.errors import BadReference, OutboundFailed
from steelyard.records.filesets import FileChange, FileEntry, Pinned
from steelyard.records.kinds import Fields
from steelyard.sources.checks import checked_files
from steelyard.sources.fetching import Ask, Check, Fetcher, Got, all_of, bearer, changed, file_size, strong_etag
from steelyard.sources.rules import check_written

_AT_ONCE = 8


class HttpsSource:
    """Files by their addresses, pinned by sha256, or else by the entity tags that they have now."""

    def __init__(self, fetcher: Fetcher, storage: Fields, token: str | None) -> None:
        self._fetcher = fetcher
        self._storage = storage
        self._headers = bearer(token)
        for index, file in enumerate(storage["files"]):
            check_written(fetcher.rules, file["url"], f"storage.files.{index}.url")
            if token is not None and urlsplit(file["url"]).hostname != urlsplit(storage["files"][0]["url"]).hostname:
                raise BadReference(
                    "a token goes to one host; make a fileset for each host", field=f"storage.files.{index}.url"
                )

    async def pin(self) -> Pinned:
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(index: int, file: dict[str, Any]) -> FileChange:
            async with places:
                return await self._pin_file(f"storage.files.{index}", file)

        files = await all_of(one(index, file) for index, file in enumerate(self._storage["files"]))
        return Pinned(self._storage, None, checked_files(files))

    async def _pin_file(self, place: str, file: dict[str, Any]) -> FileChange:
        got = await self._fetcher.head(Ask(file["url"], [*self._headers, ("range", "bytes=0-0")]))
        size, tag, known = file_size(got), strong_etag(got), file["sha256"]
        if got.status not in {200, 206} and not (got.status == 416 and size == 0):
            raise BadReference(f"{place}: its server answers {got.status}", field=f"{place}.url")
        if size is None:
            raise OutboundFailed(f"{place}: its server does not say how long the file is", reason="protocol")
        if known is None and tag is None:
            raise BadReference(
                f"{place}: its server gives no entity tag to pin the content by; say its sha256",
                field=f"{place}.sha256",
            )
        remote = {"pin": f"{file['url']} {known or tag}", "url": file["url"]}
        remote |= {"sha256": known} if known else {}
        remote |= {"etag": tag} if tag else {}
        return FileChange(file["path"], None, size, remote)

    async def read_range(self, file: FileEntry, offset: int, length: int) -> bytes:
        return await self._fetcher.range(self._file_ask(file), file.size, offset, length, _check(file))

    def stream(self, file: FileEntry) -> AsyncIterator[bytes]:
        return self._fetcher.stream(self._file_ask(file), file.size, _unchecked if _has_digest(file) else _check(file))

    def _file_ask(self, file: FileEntry) -> Callable[[], Awaitable[Ask]]:
        async def ask() -> Ask:
            return Ask((file.remote or {})["url"], self._headers)

        return ask


def _has_digest(file: FileEntry) -> bool:
    return "sha256" in (file.remote or {})


def _unchecked(got: Got) -> None:
    """The digest will tell; entity tags differ between the machines of some servers."""


def _check(file: FileEntry) -> Check:
    expected = (file.remote or {}).get("etag")

    def check(got: Got) -> None:
        tag = strong_etag(got)
        if expected is not None and tag != expected:
            raise changed(repr(file.path))

    return check
