"""Models and resources of NVIDIA NGC.

Source of the protocol: NVIDIA's public API documents for the NGC registry (https://docs.ngc.nvidia.com/api/): a key is
exchanged for a token; a version lists its files, page by page, each with its sha256 in base 64 where it is known; a
file's address redirects to where it lies.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from steelyard.errors import BadReference, OutboundFailed
from steelyard.records.filesets import FileChange, FileEntry, Pinned
from steelyard.records.kinds import Fields
from steelyard.sources.checks import checked_files, whole_number
from steelyard.sources.fetching import Ask, Check, Fetcher, Got, bearer, changed, strong_etag
from steelyard.sources.rules import check_written

_HOST = "api.ngc.nvidia.com"
_TOKENS = "https://authn.nvidia.com/token"
_PAGE = 1000
_MOST_PAGES = 200


class NgcSource:
    """A version of a model or resource. Versions there are not changed once they are complete."""

    def __init__(self, fetcher: Fetcher, storage: Fields, key: str) -> None:
        self._fetcher = fetcher
        self._storage = storage
        self._key = key
        self._host: str = storage["host"].rstrip("/")
        check_written(fetcher.rules, self._host, "storage.host")
        team = f"/team/{storage['team']}" if storage["team"] else ""
        self._item = f"{self._host}/v2/org/{storage['org']}{team}/{storage['target_type']}s/{storage['target']}"
        self._token: str | None = None

    async def pin(self) -> Pinned:
        wanted = self._storage["version"]
        version = wanted or await self._latest()
        files = [file async for file in self._files(version)]
        storage = {**self._storage, "version": version, "original_version": self._storage["original_version"] or wanted}
        return Pinned(storage, None, checked_files(files))

    async def _latest(self) -> str:
        body = await self._json(self._item)
        # What a model is to NGC's models, a recipe is to its resources.
        item: dict[str, Any] = next(
            (body[name] for name in ("model", "recipe", "resource") if isinstance(body.get(name), dict)), {}
        )
        version = item.get("latestVersionIdStr")
        if not isinstance(version, str) or not version:
            raise OutboundFailed("NGC does not say which version is the latest; name one", reason="protocol")
        return version

    async def _files(self, version: str) -> AsyncIterator[FileChange]:
        for page in range(_MOST_PAGES):
            query = urlencode({"page-size": _PAGE, "page-number": page})
            body = await self._json(f"{self._version(version)}/files?{query}")
            listed: list[Any] = next(
                (body[name] for name in body if name.endswith("Files") and isinstance(body[name], list)), []
            )
            for item in listed:
                yield self._file(version, item)
            pages = (body.get("paginationInfo") or {}).get("totalPages")
            if page + 1 >= (pages if isinstance(pages, int) else 0) and (isinstance(pages, int) or len(listed) < _PAGE):
                return
        raise OutboundFailed("NGC's list of files has no end", reason="protocol")

    async def _json(self, url: str) -> dict[str, Any]:
        got, body = await self._fetcher.json(Ask(url, await self._headers()))
        if got.status in {401, 403, 404}:
            raise BadReference(
                f"{self._storage['target']!r} is not in NGC, or not for this key to read; look at org, team, target, "
                "version and api_key_secret",
                field="storage.target",
            )
        if not isinstance(body, dict):
            raise OutboundFailed(f"NGC answers {got.status}", reason="protocol")
        return body

    async def _headers(self) -> list[tuple[str, str]]:
        if self._token is None:
            self._token = await self._exchanged()
        return bearer(self._token)

    async def _exchanged(self) -> str:
        """A token for the key. Another host than NVIDIA's own is asked itself, at `/token`."""
        org, team = self._storage["org"], self._storage["team"]
        scopes = [f"group/ngc:{org}", *([f"group/ngc:{org}/{team}"] if team else [])]
        query = urlencode([("service", "ngc"), *(("scope", scope) for scope in scopes)])
        place = _TOKENS if urlsplit(self._host).hostname == _HOST else f"{self._host}/token"
        basic = base64.b64encode(b"$oauthtoken:" + self._key.encode()).decode()
        got, body = await self._fetcher.json(Ask(f"{place}?{query}", [("authorization", f"Basic {basic}")]))
        token = body.get("token") if isinstance(body, dict) else None
        if got.status in {401, 403}:
            raise BadReference("NGC does not take this key", field="storage.api_key_secret")
        if not isinstance(token, str):
            raise OutboundFailed(f"NGC gives no token for the key (status {got.status})", reason="protocol")
        return token

    async def read_range(self, file: FileEntry, offset: int, length: int) -> bytes:
        return await self._fetcher.range(self._file_ask(file), file.size, offset, length, _check(file))

    def stream(self, file: FileEntry) -> AsyncIterator[bytes]:
        return self._fetcher.stream(self._file_ask(file), file.size, _check(file))

    def _file_ask(self, file: FileEntry) -> Callable[[], Awaitable[Ask]]:
        async def ask() -> Ask:
            place = f"{self._version((file.remote or {})['version'])}/files/{quote(file.path)}"
            # A transfer may outlive its token, so that each attempt begins with a new one.
            self._token = None
            return Ask(place, await self._headers())

        return ask

    def _file(self, version: str, item: Any) -> FileChange:
        path = item.get("path") if isinstance(item, dict) else None
        if not isinstance(path, str):
            raise OutboundFailed("NGC lists a file without a path", reason="protocol")
        size, digest = whole_number(item.get("sizeInBytes")), _digest(item.get("sha256_base64"))
        content = digest or f"{path} {item.get('createdDate') or ''} {size}"
        remote = {"pin": f"{self._version(version)} {content}", "version": version}
        return FileChange(path, None, size, remote | ({"sha256": digest} if digest else {}))

    def _version(self, version: str) -> str:
        return f"{self._item}/versions/{quote(version, safe='')}"


def _digest(text: Any) -> str | None:
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == 32 else None


def _check(file: FileEntry) -> Check:
    """Without a digest, all parts of one transfer must at least be of one content."""
    seen: list[str | None] = []

    def check(got: Got) -> None:
        seen.append(strong_etag(got))
        if seen[0] != seen[-1]:
            raise changed(repr(file.path))

    return check
