"""Objects under a prefix of a bucket, of Amazon S3 and of what speaks its protocol.

The requests are signed here and go out by our own transport, so that the outbound policy holds for each connection; a
client of an object store would connect by itself.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from xml.etree import ElementTree

from steelyard.errors import BadReference, Forbidden, InvalidInput, OutboundFailed
from steelyard.records.filesets import FileChange, FileEntry, Pinned
from steelyard.records.kinds import Fields
from steelyard.sources.checks import checked_files
from steelyard.sources.fetching import Ask, Check, Fetcher, Got, changed, strong_etag
from steelyard.sources.rules import check_written
from steelyard.sources.signing import Credentials, encoded_path, encoded_query, signed_headers

_REGION = "us-east-1"
_MOST_PAGES = 2_000
_DECLARATIONS = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


class S3Source:
    """A bucket as a folder of files; each object is pinned by its entity tag."""

    def __init__(self, fetcher: Fetcher, storage: Fields, key: tuple[str, str] | None) -> None:
        """`key` is an access key's id and secret; None asks without credentials, as public buckets allow."""
        if storage["signature_version"] != "s3v4":
            message = "signatures of version 2 are not made any more; use s3v4"
            raise InvalidInput.of(("body", "storage", "signature_version"), "signature_version", message)
        if storage["use_sdk_auth"]:
            raise Forbidden(
                "storage.use_sdk_auth: the server's own credentials are not lent; name secrets with a key of your own",
                field="storage.use_sdk_auth",
            )
        self._fetcher = fetcher
        self._storage = storage
        region = storage["region"] or _REGION
        self._credentials = Credentials(*key, region) if key else None
        endpoint = storage["endpoint_url"] or f"https://s3.{region}.amazonaws.com"
        check_written(fetcher.rules, endpoint, "storage.endpoint_url")
        self._bucket = f"{endpoint.rstrip('/')}/{storage['bucket']}"
        prefix: str = storage["prefix"].strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    async def pin(self) -> Pinned:
        return Pinned(self._storage, None, checked_files([file async for file in self._list()]))

    async def _list(self) -> AsyncIterator[FileChange]:
        query = {"list-type": "2", "max-keys": "1000", "prefix": self._prefix}
        for _ in range(_MOST_PAGES):
            got, body = await self._fetcher.document(self._ask("/", query))
            if got.status != 200:
                raise BadReference(
                    f"the bucket {self._storage['bucket']!r} is not there, or not for these credentials to list "
                    f"(status {got.status}); look at bucket, region and the secrets",
                    field="storage.bucket",
                )
            page = _parsed(body)
            for item in page.iter("Contents"):
                file = self._file(item)
                if file is not None:
                    yield file
            token = page.findtext("NextContinuationToken")
            if page.findtext("IsTruncated") != "true" or not token:
                return
            query = {**query, "continuation-token": token}
        raise OutboundFailed("the bucket's list of objects has no end", reason="protocol")

    def _file(self, item: ElementTree.Element) -> FileChange | None:
        key, size, tag = (item.findtext(name) or "" for name in ("Key", "Size", "ETag"))
        if not key.startswith(self._prefix) or not size.isdigit() or len(size) > 18 or not tag:
            raise OutboundFailed("the bucket lists an object without key, size or tag", reason="protocol")
        if key.endswith("/"):
            return None  # the mark that consoles make for an empty folder
        tag = tag if tag.startswith('"') else f'"{tag}"'
        return FileChange(
            key.removeprefix(self._prefix), None, int(size), {"pin": f"{self._bucket}/{key} {tag}", "etag": tag}
        )

    async def read_range(self, file: FileEntry, offset: int, length: int) -> bytes:
        return await self._fetcher.range(self._file_ask(file), file.size, offset, length, _check(file))

    def stream(self, file: FileEntry) -> AsyncIterator[bytes]:
        return self._fetcher.stream(self._file_ask(file), file.size, _check(file))

    def _file_ask(self, file: FileEntry) -> Callable[[], Awaitable[Ask]]:
        async def ask() -> Ask:
            # Signed anew each time: a signature ages, and a transfer may take hours.
            return self._ask(f"/{encoded_path(self._prefix + file.path)}", {})

        return ask

    def _ask(self, path: str, query: Mapping[str, str]) -> Ask:
        url = f"{self._bucket}{path}" + (f"?{encoded_query(query)}" if query else "")
        if self._credentials is None:
            return Ask(url)
        return Ask(url, list(signed_headers(url, {}, self._credentials, datetime.now(UTC)).items()))


def _parsed(body: bytes) -> ElementTree.Element:
    """An answer without its namespaces. Declarations, by which XML grows without end, are refused."""
    if _DECLARATIONS.search(body):
        raise OutboundFailed("the bucket's answer has declarations", reason="protocol")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - what makes it dangerous was refused a line before
    except ElementTree.ParseError:
        raise OutboundFailed("the bucket's answer is not XML", reason="protocol") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _check(file: FileEntry) -> Check:
    expected = (file.remote or {}).get("etag")

    def check(got: Got) -> None:
        if strong_etag(got) != expected:
            raise changed(repr(file.path))

    return check
