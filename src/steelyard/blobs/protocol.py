"""What a keeper of bytes can do, whichever it is: a local folder or an object store.

A blob is a run of bytes that is named by its digest: the sha256 of its content, as 64 lower-case hexadecimal digits. It
comes in by a staging file: an `Upload` is written piece by piece and finished, which gives a `Staged`, and
`BlobStore.put` takes that file in, whole or not at all. The staging is local for every kind of store.

    async with await staging.begin(length=size) as upload:
        async for piece in body:
            await upload.write(piece)
        staged = await upload.finish(expected=digest)
        await blobs.put(staged)
        await staging.discard(upload.id)
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

PIECE = 1 << 20
"""Bytes that are read, hashed and written at a time: 1 MiB."""

GIT_OID_LIMIT = 10 << 20
"""The largest file, in bytes, whose git object id is computed: what is larger is sent by LFS, which needs none."""


class Staged(NamedTuple):
    """A finished staging file, hashed and flushed, which `BlobStore.put` takes in.

    `git_oid` is the sha1 of `blob <size>\\0` and the content, in hexadecimal, for files of up to 10 MiB.
    """

    digest: str
    size: int
    path: Path
    git_oid: str | None


class UploadState(NamedTuple):
    """What is known of an upload without taking it up: `offset` is how many bytes are in its file now.

    `expires_at` is what `begin` was told, and `written_at` when bytes last came, in seconds since 1970. An upload that
    cannot be resumed, and one of which a crash has left only a part, has no metadata.
    """

    id: str
    offset: int
    length: int | None
    metadata: Mapping[str, str]
    expires_at: str | None
    written_at: float


class Upload(Protocol):
    """A staging file that is being written, by this one writer until it is closed."""

    @property
    def id(self) -> str: ...

    @property
    def offset(self) -> int:
        """How many bytes were taken; after `StorageFull`, how many of them are in the file."""
        ...

    @property
    def length(self) -> int | None: ...

    @property
    def metadata(self) -> Mapping[str, str]: ...

    @property
    def path(self) -> Path:
        """The file, for who reads it while it grows."""
        ...

    async def write(self, piece: bytes) -> None:
        """Append; the disk follows behind, so an error may be about an earlier piece.

        Raises `TooLarge` past the announced length, and `StorageFull`, after which `offset` is what is there.
        """
        ...

    async def sync(self) -> int:
        """Flush to disk and answer the offset up to which a crash can lose nothing. Raises `StorageFull`."""
        ...

    async def finish(self, *, expected: str | None = None) -> Staged:
        """Flush to disk and say what it is. The file stays this writer's until `close`.

        Raises `UploadConflict` if bytes are missing, `DigestMismatch`, `NotFound` if it was discarded, `StorageFull`.
        """
        ...

    async def close(self) -> None:
        """Let go of the file, so that another may resume it; nothing is removed."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Staging(Protocol):
    """Where uploads lie until they are blobs."""

    async def begin(
        self,
        *,
        length: int | None = None,
        metadata: Mapping[str, str] | None = None,
        expires_at: str | None = None,
        resumable: bool = True,
    ) -> Upload:
        """A new staging file, whose id is 32 random hexadecimal digits.

        It is durable when this returns, unless it need not be `resumable`: nothing is flushed then before `finish`.
        Raises `StorageFull`, at once if there is no room for `length` bytes.
        """
        ...

    async def resume(self, id: str) -> Upload:
        """Go on with an upload. Raises `NotFound`, and `UploadConflict` while another writer has it."""
        ...

    async def announce(self, id: str, length: int) -> None:
        """Say how long an upload will be that was begun without a length, durably, before it is resumed.

        Raises `NotFound`, and `UploadConflict` if it has another length, or more bytes already.
        """
        ...

    async def state(self, id: str) -> UploadState:
        """How far an upload is, whoever writes it. Raises `NotFound`."""
        ...

    async def discard(self, id: str) -> None:
        """Remove what is left of an upload, also from under its writer; no error if nothing is."""
        ...

    def uploads(self) -> Iterator[UploadState]:
        """All that lies there, leftovers of crashes too; it reads the disk as it goes."""
        ...

    async def close(self) -> None: ...


class BlobStore(Protocol):
    """Bytes by digest. Every method raises `ValueError` for a digest that is not one."""

    async def size(self, digest: str) -> int | None:
        """Bytes of a blob; None if it is not here."""
        ...

    def path(self, digest: str) -> Path | None:
        """The local file of a blob, for `sendfile` and for readers in threads; None where there is none."""
        ...

    def read(self, digest: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `stop`, in pieces of at most 1 MiB.

        Raises `NotFound`, and `CorruptBytes` if the blob ends before `stop`.
        """
        ...

    def read_now(self, digest: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes, blocking, for readers that run in a thread. Raises as `read` does."""
        ...

    async def put(self, staged: Staged) -> None:
        """Take in a finished staging file, durably; only removes it if the blob is here already.

        Raises `StorageFull`, and `NotFound` if the staging file is gone.
        """
        ...

    async def delete(self, digest: str) -> None:
        """Remove a blob; no error if it is gone."""
        ...

    async def presign(self, digest: str, *, seconds: int, name: str) -> str | None:
        """A URL that downloads the blob as a file `name` straight from the object store; None if there is none."""
        ...

    def walk(self) -> AsyncIterator[tuple[str, int]]:
        """Digest and size of all that is here, in no promised order."""
        ...

    async def close(self) -> None: ...
