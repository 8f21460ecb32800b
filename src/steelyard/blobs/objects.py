"""Blobs in object storage: S3 and what speaks its protocol, Google Cloud Storage and Azure, through obstore.

Errors of the object store are told by their kind alone: its own messages hold addresses, and may hold credentials.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from steelyard.blobs.checks import check_staged, damaged, discarded, missing
from steelyard.blobs.digests import is_digest, relative_path
from steelyard.blobs.protocol import PIECE, Staged
from steelyard.blobs.signing import with_file_name
from steelyard.errors import CorruptBytes, StartupError, Unavailable

_Store = S3Store | GCSStore | AzureStore

_PART = 8 << 20
_PARTS = 10_000
"""The most parts that S3 takes for one object."""
_PARTS_AT_ONCE = 2
_REQUEST = 4 << 20
"""Bytes asked for at a time. A request for all of a large file would be held open by a client that reads slowly, until
the object store gives it up."""

_CLIENT: dict[str, Any] = {"connect_timeout": "5s", "timeout": "120s"}
_RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


def open_objects(
    url: str, options: Mapping[str, str], *, presigned: bool = False, retries: Mapping[str, Any] | None = None
) -> "ObjectBlobs":
    """Blobs below a URL such as `s3://bucket/prefix`, `gs://bucket/prefix` or `az://account/container/prefix`.

    `options` are obstore's for that store: `endpoint`, `region`, `access_key_id`, `secret_access_key` and so on; what
    is not given comes from the environment, or from the machine's own role. `presigned` lets `presign` answer URLs.
    `retries` are obstore's `max_retries` and `retry_timeout`. Nothing is sent yet. Raises `StartupError`.
    """
    plain_http = any(value.startswith("http://") for key, value in options.items() if "endpoint" in key)
    # We delete one blob at a time, and some stores that speak S3 know no request for many.
    defaults = {"disable_bulk_delete": "true"} if url.startswith("s3") else {}
    # The keys are the user's, and obstore checks them as it runs: its types know only constants.
    opened: Any = from_url
    try:
        store = opened(
            url,
            config={**defaults, **options},
            client_options={**_CLIENT, "allow_http": plain_http},
            retry_config={**_RETRIES, **(retries or {})},
        )
    except (BaseError, ValueError, TypeError):
        # Its message may quote the value.
        names = ", ".join(sorted(options)) or "(none)"
        raise StartupError(
            f"The object store cannot be opened: check its URL and the names and values of its options {names}"
        ) from None
    if not isinstance(store, _Store):
        raise StartupError("The object store's URL must start with s3://, gs:// or az://")
    return ObjectBlobs(store, presigned=presigned)


class ObjectBlobs:
    """A `BlobStore` over a bucket: `ab/cdef…` below its prefix.

    Memory: up to 32 MiB while a blob is put, up to 8 MiB while one is read. Uploads that were cut off leave parts
    behind that only the bucket's own lifecycle rule removes.
    """

    def __init__(self, store: _Store, *, presigned: bool = False) -> None:
        self._store = store
        self._presigned = presigned
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="steelyard-objects")

    def __repr__(self) -> str:
        return "ObjectBlobs()"

    async def size(self, digest: str) -> int | None:
        key = relative_path(digest)
        try:
            with _named_errors():
                return (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError:
            return None

    def path(self, digest: str) -> Path | None:
        relative_path(digest)  # refuses what is no digest, as every store does
        return None

    async def read(self, digest: str, start: int, stop: int) -> AsyncIterator[bytes]:
        if start >= stop:
            return
        ahead = self._ahead(digest, start, stop)
        try:
            while start < stop:
                content = memoryview(await ahead)
                start += len(content)
                if start < stop:
                    ahead = self._ahead(digest, start, stop)
                for at in range(0, len(content), PIECE):
                    yield bytes(content[at : at + PIECE])
        finally:
            ahead.cancel()

    def read_now(self, digest: str, offset: int, length: int) -> bytes:
        key = relative_path(digest)
        if length <= 0:
            return b""
        try:
            with _named_errors():
                content = bytes(obstore.get_range(self._store, key, start=offset, length=length))
        except FileNotFoundError:
            raise missing(digest) from None
        except Unavailable:
            # A range that begins past the end is refused with the same error as all that goes wrong.
            self._check_range(digest, _size_now(self._store, key), offset + length)
            raise
        if len(content) < length:
            self._check_range(digest, offset + len(content), offset + length)
        return content

    async def put(self, staged: Staged) -> None:
        key = relative_path(staged.digest)
        if await self.size(staged.digest) != staged.size:
            await self._run(lambda: check_staged(staged))
            with _named_errors():
                await self._send(key, staged)
            await self._confirm(key, staged)
        await self._run(lambda: staged.path.unlink(missing_ok=True))

    async def delete(self, digest: str) -> None:
        key = relative_path(digest)
        with contextlib.suppress(FileNotFoundError), _named_errors():
            await obstore.delete_async(self._store, key)

    async def presign(self, digest: str, *, seconds: int, name: str) -> str | None:
        """Only URLs of S3 whose secret key we were given carry the name; others are saved under their digest."""
        key = relative_path(digest)
        if not self._presigned:
            return None
        with _named_errors():
            url = await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))
        secret = self._store.config.get("secret_access_key") if isinstance(self._store, S3Store) else None
        return with_file_name(url, name, secret) if secret else url

    async def walk(self) -> AsyncIterator[tuple[str, int]]:
        listing = obstore.list(self._store, chunk_size=1000)
        while True:
            with _named_errors():
                found = await anext(listing, None)
            if found is None:
                return
            for item in found:
                digest = item["path"].replace("/", "", 1)
                if is_digest(digest) and item["path"] == relative_path(digest):
                    yield digest, item["size"]

    async def close(self) -> None:
        """Ends the threads, after what they are at; connections end with the store itself."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _ahead(self, digest: str, start: int, stop: int) -> asyncio.Task[bytes]:
        """Begin to fetch the next part of a range."""
        task = asyncio.create_task(self._range(digest, start, min(start + _REQUEST, stop)))
        # If the reader goes away, nobody asks for the task's error, which is no fault then.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _range(self, digest: str, start: int, stop: int) -> bytes:
        key = relative_path(digest)
        try:
            with _named_errors():
                content = bytes(await obstore.get_range_async(self._store, key, start=start, end=stop))
        except FileNotFoundError:
            raise missing(digest) from None
        except Unavailable:
            self._check_range(digest, await self.size(digest), stop)
            raise
        if len(content) < stop - start:
            self._check_range(digest, start + len(content), stop)
        return content

    def _check_range(self, digest: str, size: int | None, stop: int) -> None:
        if size is None:
            raise missing(digest)
        if size < stop:
            raise damaged(digest, f"there are only {size} of them")

    async def _send(self, key: str, staged: Staged) -> None:
        """Small blobs go in one request, and only if there is none yet; large ones in parts."""
        part = max(_PART, -(-staged.size // _PARTS))
        try:
            if staged.size <= _PART and await self._created(key, staged.path):
                return
            await obstore.put_async(
                self._store, key, staged.path, chunk_size=part, max_concurrency=_PARTS_AT_ONCE, mode="overwrite"
            )
        except FileNotFoundError:
            if staged.path.exists():
                raise _no_bucket() from None
            raise discarded(staged) from None

    async def _created(self, key: str, path: Path) -> bool:
        """Whether the object was put there by a request with `If-None-Match`, which not every store knows."""
        try:
            await obstore.put_async(self._store, key, path, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            # Another request was faster, or a damaged blob is there: it is overwritten, by the same bytes at worst.
            return False
        except (PermissionDeniedError, UnauthenticatedError):
            raise
        except BaseError:
            return False
        return True

    async def _confirm(self, key: str, staged: Staged) -> None:
        size = await self.size(staged.digest)
        if size != staged.size:
            await self.delete(staged.digest)
            raise CorruptBytes(
                f"The object store kept {size or 0} of {staged.size} bytes of {staged.digest}; they were removed again"
            )


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """Raises `Unavailable` for what the object store does wrong, without a word of its own message."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError):
        raise Unavailable("The object store refuses the credentials in the configuration, or their rights") from None
    except BaseError as error:
        raise Unavailable(
            f"The object store did not answer as one does ({type(error).__name__}); see that it runs, then try again"
        ) from None


def _no_bucket() -> Unavailable:
    return Unavailable("The object store has no bucket of the name in the configuration; make it, or name another")


def _size_now(store: _Store, key: str) -> int | None:
    try:
        with _named_errors():
            return obstore.head(store, key)["size"]
    except FileNotFoundError:
        return None
