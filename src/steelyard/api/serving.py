"""Sends the bytes of a file: all or a range of them, unless the caller has them already, or may not have them.

Every download goes through `serve_file`: what may not leave the server is refused here.
"""

import asyncio
import hashlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from io import FileIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from steelyard.actions.context import Context
from steelyard.actions.files.content import identity_of
from steelyard.actions.files.damage import check_sound, damaged, mark_corrupt
from steelyard.actions.files.leaving import may_leave
from steelyard.actions.files.pulling import fetch, open_through
from steelyard.actions.files.tree import Found, find_file
from steelyard.api.breaking import BreakingResponse
from steelyard.api.ranges import Part, is_unchanged, part_of
from steelyard.api.requests import context_of, header
from steelyard.api.sendfile import ZERO_COPY
from steelyard.errors import CorruptBytes, FileRefused, NotFound
from steelyard.records.filesets import FileEntry

REVIEW_BYTES = 1 << 20
_PRESIGNED_SECONDS = 600
_OCTETS = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"
# What these are called, no loader takes for a pickle: they may pass while they are being fetched, unread.
_LOADED_AS_DATA = (
    *(".safetensors", ".gguf", ".json", ".jsonl", ".txt", ".md", ".yaml", ".yml", ".jinja", ".py", ".csv", ".parquet"),
    *(".tiktoken", ".gitattributes"),
)


async def serve_file(
    request: Request, found: Found, *, extra_headers: Mapping[str, str] | None = None, review: bool = False
) -> Response:
    """The answer to a GET or HEAD of a file: the entity tag is the sha256 of its bytes.

    `review` hands out a Python file, as text to be read, before anybody has trusted it. Raises FileRefused,
    PreconditionFailed, RangeNotSatisfiable, CorruptBytes, and what fetching from a source raises.
    """
    context = context_of(request)
    if request.method != "HEAD":
        found = await _looked_at(context, found)
    file = found.file
    leaving = await may_leave(context, found.row, file)
    shown = leaving.refusal is not None and review and _can_be_read(file)
    if leaving.refusal is not None and not shown:
        raise FileRefused(leaving.refusal, path=file.path)
    headers = _headers(file, shown=shown) | {"x-commit": found.commit.id}
    etag = headers["etag"]
    if leaving.warning is not None:
        headers["x-steelyard-warning"] = leaving.warning
    headers |= extra_headers or {}
    if is_unchanged(_text(request, b"if-match"), _text(request, b"if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    check_sound(file)
    part = part_of(_text(request, b"range"), _text(request, b"if-range"), file.size, etag)
    if part.partial:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    headers["content-length"] = str(part.stop - part.start)
    answer = Head(206 if part.partial else 200, headers, _TEXT if shown else _OCTETS)
    if request.method == "HEAD":
        return Response(None, *answer)
    if file.digest is None:
        pieces = await open_through(context, found.row, file, part.start, part.stop)
        return BreakingResponse(pieces, *answer)
    if context.policy.files.presigned and not shown:
        name = file.path.rpartition("/")[2]
        url = await context.blobs.presign(file.digest, seconds=_PRESIGNED_SECONDS, name=name)
        if url is not None:
            return RedirectResponse(url, 302, headers={"etag": etag, "cache-control": "no-store"})
    try:
        return await _kept(request, file, file.digest, part, answer)
    except (CorruptBytes, NotFound, FileNotFoundError):
        await mark_corrupt(context, file.digest)
        raise damaged(file) from None


class Head(NamedTuple):
    """How an answer begins."""

    status: int
    headers: dict[str, str]
    media: str


async def _looked_at(context: Context, found: Found) -> Found:
    """The same file, fetched if it is one of a source of which policy has to know what it holds."""
    if found.file.digest is not None or found.file.path.lower().endswith(_LOADED_AS_DATA):
        return found
    await fetch(context, found.row, found.file)
    return await find_file(context, found.row.workspace, found.row.name, found.file.path, found.commit.id)


async def _kept(request: Request, file: FileEntry, digest: str, part: Part, answer: Head) -> Response:
    """The bytes of the content store. Raises CorruptBytes, NotFound, FileNotFoundError if they are not as they were."""
    blobs = context_of(request).blobs
    if ZERO_COPY in request.scope.get("extensions", {}) and (local := blobs.path(digest)):
        return FilePart(await _opened(local, file.size), part, answer)
    pieces = blobs.read(digest, part.start, part.stop)
    # The first piece before the head: that the bytes are gone can only be answered until then.
    return StreamingResponse(_again(await anext(pieces, b""), pieces), *answer)


async def _again(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _opened(local: Path, size: int) -> FileIO:
    """The open file of a blob. Raises CorruptBytes if it has another size than it should have, FileNotFoundError."""

    def opened() -> FileIO:
        file = FileIO(local)
        if os.fstat(file.fileno()).st_size != size:
            file.close()
            raise CorruptBytes("the size is another")
        return file

    return await asyncio.to_thread(opened)


class FilePart(Response):
    """A part of an open file, which is sent without being read, and closed."""

    def __init__(self, file: FileIO, part: Part, answer: Head) -> None:
        self._file, self._part = file, part
        self.status_code, self.media_type, self.background = answer.status, answer.media, None
        self.init_headers(answer.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, count = self._part.start, self._part.stop - self._part.start
        with self._file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if count:
                body = {"file": file.fileno(), "offset": start, "count": count}
                await send({"type": ZERO_COPY, **body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def _headers(file: FileEntry, *, shown: bool) -> dict[str, str]:
    name = file.path.rpartition("/")[2] + (".txt" if shown else "")
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name)
    disposition = f'attachment; filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": disposition,
    }
    # A source may say the sha256 before the bytes are here; they are held against it when they come.
    digest = file.digest or (file.remote or {}).get("sha256")
    if digest is None:
        pinned = hashlib.sha256(identity_of(file).encode()).hexdigest()
        return headers | {"etag": f'"source-{pinned[:32]}"'}
    return headers | {
        "etag": f'"{digest}"',
        "x-checksum-sha256": digest,
        # Of the whole file, also where a range of it is sent (RFC 9530).
        "repr-digest": f"sha-256=:{b64encode(bytes.fromhex(digest)).decode()}:",
    }


def _can_be_read(file: FileEntry) -> bool:
    """Whether a person may read the file before it is trusted: source code that is not too long to be read."""
    return file.path.lower().endswith((".py", ".pyi")) and file.size <= REVIEW_BYTES


def _text(request: Request, name: bytes) -> str | None:
    value = header(request, name)
    return None if value is None else value.decode("latin-1")
