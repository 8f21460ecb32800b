"""Uploads that can be resumed: begun for a fileset, written in pieces, and kept when the last byte is in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from steelyard.actions.context import Context
from steelyard.actions.files.bytes import check_size, keep
from steelyard.actions.files.edits import check_upload
from steelyard.actions.files.tree import require_fileset
from steelyard.blobs.protocol import PIECE, Upload, UploadState
from steelyard.errors import (
    ChecksumMismatch,
    DigestMismatch,
    Forbidden,
    Gone,
    NotFound,
    StorageFull,
    UploadConflict,
)
from steelyard.records.blobs import Blob
from steelyard.records.conditions import NONE
from steelyard.records.filesets import is_external

__all__ = ["SAID", "Appended", "UploadState", "append", "begin_upload", "expiry_of", "find_upload", "is_expired"]

SAID = "said"
"""Where an upload keeps the sender's own words about it."""


class Appended(NamedTuple):
    """How far an upload is; `blob` is there when it is complete, with the path that it is for, if any."""

    offset: int
    blob: Blob | None = None
    path: str | None = None


async def begin_upload(
    context: Context,
    workspace: str,
    name: str,
    *,
    length: int | None,
    path: str | None,
    sha256: str | None,
    said: str,
) -> UploadState:
    """A new upload of `length` bytes (None: told later), for a path of a fileset or only for the workspace.

    Raises NotFound, BadPath, Forbidden, TooLarge, StorageFull.
    """
    check_size(context, length or 0)
    if path is not None:
        row = await check_upload(context, workspace, name, path, NONE)
    else:
        row = await require_fileset(context, workspace, name)
        if is_external(row.fields):
            raise Forbidden("the files of this fileset are those of its source, and can only be read")
    about = {"workspace": workspace, "fileset": row.id, "path": path, "sha256": sha256, SAID: said}
    metadata = {key: value for key, value in about.items() if value is not None}
    expires_at = context.ago(-context.policy.files.upload_seconds)
    upload = await context.staging.begin(length=length, metadata=metadata, expires_at=expires_at)
    await upload.close()
    return await context.staging.state(upload.id)


async def find_upload(context: Context, workspace: str, name: str, id: str) -> UploadState:
    """How far an upload of a fileset is. Raises NotFound, and Gone for one that has expired."""
    row = await require_fileset(context, workspace, name)
    state = await context.staging.state(id)
    if state.metadata.get("fileset") != row.id:
        raise NotFound("There is no such upload: it was finished, discarded or has expired; begin a new one")
    if is_expired(context, state):
        raise Gone("the upload has expired; begin a new one")
    return state


def is_expired(context: Context, state: UploadState) -> bool:
    """Whether nobody has written to an upload for longer than it can be resumed."""
    return f"{_written(state):%Y-%m-%dT%H:%M:%S.%fZ}" < context.ago(context.policy.files.upload_seconds)


def expiry_of(context: Context, state: UploadState) -> datetime:
    """Until when an upload can be resumed, if nothing more comes."""
    return _written(state) + timedelta(seconds=context.policy.files.upload_seconds)


def _written(state: UploadState) -> datetime:
    return datetime.fromtimestamp(state.written_at, UTC)


async def append(
    context: Context,
    state: UploadState,
    offset: int,
    pieces: AsyncIterator[bytes],
    *,
    length: int | None = None,
    checksum: str | None = None,
) -> Appended:
    """Writes `pieces` to an upload at `offset`. What came before an error stays, unless it has a `checksum` (sha256).

    Raises UploadConflict, TooLarge, StorageFull, ChecksumMismatch, DigestMismatch (the upload is then discarded), and
    what `pieces` raises.
    """
    if length is not None:
        check_size(context, length)
        await context.staging.announce(state.id, length)
    async with await context.staging.resume(state.id) as upload:
        if upload.offset != offset:
            raise UploadConflict(f"the upload is at byte {upload.offset}, not {offset}", offset=upload.offset)
        if checksum is None:
            await _write(context, upload, pieces)
        else:
            await _write_checked(context, upload, pieces, checksum)
        if upload.length is None or upload.offset < upload.length:
            return Appended(upload.offset)
        blob = await _finish(context, upload)
    await context.staging.discard(state.id)
    return Appended(offset=blob.size, blob=blob, path=state.metadata.get("path"))


async def _write(context: Context, upload: Upload, pieces: AsyncIterator[bytes]) -> None:
    try:
        async for piece in pieces:
            check_size(context, upload.offset + len(piece))
            await upload.write(piece)
    finally:
        # What came is kept, also when its sender is gone: it says so to whoever asks how far the upload is.
        with contextlib.suppress(StorageFull):
            await upload.sync()


async def _write_checked(context: Context, upload: Upload, pieces: AsyncIterator[bytes], checksum: str) -> None:
    """Writes all of `pieces`, or nothing: they are put aside until their checksum is known."""
    aside = await context.staging.begin(resumable=False)
    try:
        async with aside:
            room = None if upload.length is None else upload.length - upload.offset
            async for piece in pieces:
                check_size(context, upload.offset + aside.offset + len(piece))
                if room is not None and aside.offset + len(piece) > room:
                    raise UploadConflict(
                        f"the upload has room for {room} bytes more, and more came", offset=upload.offset
                    )
                await aside.write(piece)
            try:
                staged = await aside.finish(expected=checksum)
            except DigestMismatch as error:
                raise ChecksumMismatch(f"{error.message}; nothing of it was kept: send it again") from None
            async for piece in _pieces_of(staged.path):
                await upload.write(piece)
            await upload.sync()
    finally:
        await context.staging.discard(aside.id)


async def _pieces_of(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
    finally:
        file.close()


async def _finish(context: Context, upload: Upload) -> Blob:
    try:
        staged = await upload.finish(expected=upload.metadata.get("sha256"))
    except DigestMismatch:
        await context.staging.discard(upload.id)
        raise
    return await keep(context, upload.metadata["workspace"], staged)
