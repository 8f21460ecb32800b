"""Repositories of the Hugging Face Hub, and of servers that speak its protocol.

Source of the protocol: https://huggingface.co/docs/hub/api, and the OpenAPI document at
https://huggingface.co/.well-known/openapi.json.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote, urljoin

from steelyard.errors import BadReference, OutboundFailed
from steelyard.records.filesets import FileChange, FileEntry, Pinned
from steelyard.records.kinds import Fields
from steelyard.sources.checks import checked_files, whole_number
from steelyard.sources.fetching import Ask, Check, Fetcher, Got, bearer, changed
from steelyard.sources.rules import check_written

_FOLDERS = {"model": "", "dataset": "datasets/", "space": "spaces/"}
_HEX = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="next"')
_MOST_PAGES = 2_000


class HuggingfaceSource:
    """A repository at a revision; what is read is always read of the commit that it was pinned to."""

    def __init__(self, fetcher: Fetcher, storage: Fields, token: str | None) -> None:
        self._fetcher = fetcher
        self._storage = storage
        self._headers = bearer(token)
        self._endpoint: str = storage["endpoint"].rstrip("/")
        check_written(fetcher.rules, self._endpoint, "storage.endpoint")

    async def pin(self) -> Pinned:
        revision: str = self._storage["revision"]
        commit = await self._commit(revision)
        files = [file async for file in self._files(commit)]
        storage = {
            **self._storage,
            "revision": commit,
            "original_revision": self._storage["original_revision"] or revision,
        }
        return Pinned(storage, commit, checked_files(files))

    async def _commit(self, revision: str) -> str:
        got, body = await self._fetcher.json(self._ask(f"{self._api}/revision/{quote(revision, safe='')}"))
        if got.status in {401, 403, 404}:
            raise BadReference(
                f"the repository {self._storage['repo_id']!r} at {revision!r} is not there, or not for these "
                "credentials to read; look at repo_id, revision and token_secret",
                field="storage.repo_id",
            )
        sha = body.get("sha") if isinstance(body, dict) else None
        if not isinstance(sha, str) or not _COMMIT.fullmatch(sha):
            raise OutboundFailed(f"the source does not say a commit (status {got.status})", reason="protocol")
        return sha

    async def _files(self, commit: str) -> AsyncIterator[FileChange]:
        url = f"{self._endpoint}/{self._api}/tree/{commit}?recursive=true"
        for _ in range(_MOST_PAGES):
            got, body = await self._fetcher.json(Ask(url, self._headers_for(url)))
            if not isinstance(body, list):
                raise OutboundFailed(f"the source does not list its files (status {got.status})", reason="protocol")
            for item in body:
                if isinstance(item, dict) and item.get("type") == "file":
                    yield _file(self._endpoint, commit, item)
            following = _NEXT.search(got.header("link") or "")
            if following is None:
                return
            url = urljoin(url, following[1])
        raise OutboundFailed("the source's list of files has no end", reason="protocol")

    def _headers_for(self, url: str) -> list[tuple[str, str]]:
        # The next page is the source's word: the token goes to the endpoint and nowhere else.
        return self._headers if url.startswith(f"{self._endpoint}/") else []

    async def read_range(self, file: FileEntry, offset: int, length: int) -> bytes:
        return await self._fetcher.range(self._file_ask(file), file.size, offset, length, _check(file))

    def stream(self, file: FileEntry) -> AsyncIterator[bytes]:
        return self._fetcher.stream(self._file_ask(file), file.size, _check(file))

    def _file_ask(self, file: FileEntry) -> Callable[[], Awaitable[Ask]]:
        repository, commit = f"{_FOLDERS[self._storage['repo_type']]}{self._storage['repo_id']}", file.remote or {}
        place = f"{repository}/resolve/{commit['commit']}/{quote(file.path)}"

        async def ask() -> Ask:
            return self._ask(place)

        return ask

    def _ask(self, place: str) -> Ask:
        return Ask(f"{self._endpoint}/{place}", self._headers)

    @property
    def _api(self) -> str:
        return f"api/{self._storage['repo_type']}s/{self._storage['repo_id']}"


def _file(endpoint: str, commit: str, item: dict[str, Any]) -> FileChange:
    path, lfs, oid = item.get("path"), item.get("lfs"), item.get("oid")
    large = isinstance(lfs, dict)
    pin, size = (lfs.get("oid"), lfs.get("size")) if isinstance(lfs, dict) else (oid, item.get("size"))
    if isinstance(pin, str):
        pin = pin.removeprefix("sha256:").lower()
    if not isinstance(path, str) or not isinstance(pin, str) or not _HEX.fullmatch(pin) or (large and len(pin) != 64):
        raise OutboundFailed("the source lists a file without path or oid", reason="protocol")
    known = {"sha256": pin} if len(pin) == 64 else {"git_oid": pin}
    return FileChange(path, None, whole_number(size), {"pin": f"{endpoint} {pin}", "commit": commit, **known})


def _check(file: FileEntry) -> Check:
    """Compares the entity tags of the Hub (`x-linked-etag` is that of the large file behind a redirect)."""
    remote = file.remote or {}
    pin = remote.get("sha256") or remote.get("git_oid", "")

    def check(got: Got) -> None:
        for headers in got.hops:
            for name in ("x-linked-etag", "etag"):
                tag = headers.get(name, "").removeprefix("W/").strip('"').lower()
                # A tag of another length is of another kind (a content delivery network's, say), and tells nothing.
                if _HEX.fullmatch(tag) and len(tag) == len(pin) and tag != pin:
                    raise changed(repr(file.path))

    return check
