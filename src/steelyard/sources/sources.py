"""The places that filesets can take their files from, by the type of their storage."""

from collections.abc import AsyncIterator, Awaitable, Callable

from steelyard.errors import BadReference, OutboundFailed
from steelyard.outbound.transport import Transport
from steelyard.records.filesets import FileEntry, Pinned
from steelyard.records.kinds import Fields, Row
from steelyard.sources.fetching import Fetcher
from steelyard.sources.folder import FolderSource
from steelyard.sources.https import HttpsSource
from steelyard.sources.huggingface import HuggingfaceSource
from steelyard.sources.ngc import NgcSource
from steelyard.sources.protocol import Source
from steelyard.sources.rules import SourceRules
from steelyard.sources.s3 import S3Source

SecretReader = Callable[[str, str, str], Awaitable[str]]
"""The value of a secret: from a workspace, a reference, and the field that holds it. Raises BadReference."""


class ConfiguredSources:
    """The sources that the settings allow. Secrets are looked up at each use, so that a change is in force at once."""

    def __init__(self, transport: Transport, rules: SourceRules, secret: SecretReader) -> None:
        self._transport = transport
        self._rules = rules
        self._fetcher = Fetcher(transport, rules)
        self._secret = secret

    async def pin(self, workspace: str, storage: Fields) -> Pinned:
        """What `storage` has now. Raises BadReference, InvalidInput, Forbidden, OutboundRefused, OutboundFailed."""
        source = await self._source(workspace, storage)
        return await source.pin()

    async def read_range(self, fileset: Row, file: FileEntry, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`. Raises OutboundFailed, also if its content is another now."""
        source = await self._of(fileset)
        return await source.read_range(file, offset, length)

    async def stream(self, fileset: Row, file: FileEntry) -> AsyncIterator[bytes]:
        """The bytes of a file, in pieces. Raises OutboundFailed, also if its content is another now."""
        source = await self._of(fileset)
        async for piece in source.stream(file):
            yield piece

    async def close(self) -> None:
        """Ends all connections."""
        await self._transport.close()

    async def _of(self, fileset: Row) -> Source:
        """Where the files of a fileset are. Raises OutboundFailed for what was right when it was made, and is no more:
        who reads a file has not written its storage.
        """
        try:
            return await self._source(fileset.workspace, fileset.fields["storage"])
        except BadReference as error:
            raise OutboundFailed(f"the source cannot be asked: {error.message}", reason="storage") from None

    async def _source(self, workspace: str, storage: Fields) -> Source:
        match storage["type"]:
            case "huggingface":
                return HuggingfaceSource(self._fetcher, storage, await self._named(workspace, storage, "token_secret"))
            case "ngc":
                key = await self._secret(workspace, storage["api_key_secret"], "storage.api_key_secret")
                return NgcSource(self._fetcher, storage, key)
            case "s3":
                return S3Source(self._fetcher, storage, await self._key(workspace, storage))
            case "https":
                return HttpsSource(self._fetcher, storage, await self._named(workspace, storage, "token_secret"))
            case _:
                return FolderSource(self._rules, storage)

    async def _named(self, workspace: str, storage: Fields, field: str) -> str | None:
        reference = storage.get(field)
        return await self._secret(workspace, reference, f"storage.{field}") if reference else None

    async def _key(self, workspace: str, storage: Fields) -> tuple[str, str] | None:
        key_id = await self._named(workspace, storage, "access_key_id_secret")
        secret = await self._named(workspace, storage, "secret_access_key_secret")
        if (key_id is None) != (secret is None):
            raise BadReference(
                "a key has an id and a secret: name both, or none for a bucket that is public",
                field="storage.access_key_id_secret",
            )
        return None if key_id is None or secret is None else (key_id, secret)
