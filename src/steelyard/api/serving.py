"""Sends the bytes of a file: all or a range of them, unless the caller has them already, or may not have them.

Every download goes through `serve_file`: what may not leave the server is refused here.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from io import FileIO
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from steelyard.actions.files.damage import check_sound, damaged, mark_corrupt
from steelyard.actions.files.leaving import may_leave
from steelyard.actions.files.pulling import fetched, may_stream, open_through
from steelyard.actions.files.tree import Found
from steelyard.api.ranges import Part, is_unchanged, part_of
from steelyard.api.requests import context_of, header
from steelyard.api.sendfile import ZERO_COPY
from steelyard.errors import CorruptBytes, FileRefused, NotFound
from steelyard.records.filesets import FileEntry

REVIEW_BYTES = 1 << 20
_PRESIGNED_SECONDS = 600
_OCTETS = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"


async def serve_file(
    request: Request, found: Found, *, extra_headers: Mapping[str, str] | None = None, review: bool = False
) -> Response:
    """The answer to a GET or HEAD of a file: the entity tag is the sha256 of its bytes.

    `review` hands out a Python file, as text to be read, before anybody has trusted it. Raises FileRefused,
    PreconditionFailed, RangeNotSatisfiable, CorruptBytes.
    """
    context = context_of(request)
    if found.file.digest is None and request.method != "HEAD" and not may_stream(found.file.path):
        found = found._replace(file=await fetched(context, found.row, found.file))
    file = found.file
    leaving = await may_leave(context, found.row, file)
    shown = leaving.refusal is not None and review and _can_be_read(file)
    if leaving.refusal is not None and not shown:
        raise FileRefused(leaving.refusal, path=file.path)
    if file.digest is None:
        return await _from_source(request, found, extra_headers or {})
    etag = f'"{file.digest}"'
    headers = _headers(file.path, file.digest, etag, shown=shown) | {"x-commit": found.commit.id}
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
    status, media = 206 if part.partial else 200, _TEXT if shown else _OCTETS
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media)
    if context.policy.files.presigned and not shown:
        name = file.path.rpartition("/")[2]
        url = await context.blobs.presign(file.digest, seconds=_PRESIGNED_SECONDS, name=name)
        if url is not None:
            return RedirectResponse(url, 302, headers={"etag": etag, "cache-control": "no-store"})
    try:
        if ZERO_COPY in request.scope.get("extensions", {}) and (local := context.blobs.path(file.digest)):
            return FilePart(await _opened(local, file.size), part, status, headers, media)
        pieces = context.blobs.read(file.digest, part.start, part.stop)
        # The first piece before the head: that the bytes are gone can only be answered until then.
        first = await anext(pieces, b"")
    except (CorruptBytes, NotFound, FileNotFoundError):
        await mark_corrupt(context, file.digest)
        raise damaged(file) from None
    return StreamingResponse(_again(first, pieces), status, headers, media_type=media)


async def _from_source(request: Request, found: Found, extra_headers: Mapping[str, str]) -> Response:
    """A file that is not kept here yet: it is kept while it is sent. Raises what asking its source raises."""
    file = found.file
    known = (file.remote or {}).get("sha256")
    etag = f'"{known}"' if known else ""
    headers = {"accept-ranges": "bytes", "x-commit": found.commit.id} | ({"etag": etag} if known else {})
    headers |= extra_headers
    if known and is_unchanged(_text(request, b"if-match"), _text(request, b"if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    part = part_of(_text(request, b"range"), _text(request, b"if-range"), file.size, etag)
    if part.partial:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    headers["content-length"] = str(part.stop - part.start)
    status = 206 if part.partial else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=_OCTETS)
    pieces = await open_through(context_of(request), found.row, file, part.start, part.stop)
    return StreamingResponse(pieces, status, headers, media_type=_OCTETS)


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

    def __init__(self, file: FileIO, part: Part, status: int, headers: Mapping[str, str], media: str) -> None:
        self._file, self._part = file, part
        self.status_code, self.media_type, self.background = status, media, None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, count = self._part.start, self._part.stop - self._part.start
        with self._file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if count:
                body = {"file": file.fileno(), "offset": start, "count": count}
                await send({"type": ZERO_COPY, **body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def _headers(path: str, digest: str, etag: str, *, shown: bool) -> dict[str, str]:
    name = path.rpartition("/")[2] + (".txt" if shown else "")
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name)
    disposition = f'attachment; filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    return {
        "etag": etag,
        "accept-ranges": "bytes",
        "content-disposition": disposition,
        "x-checksum-sha256": digest,
        # Of the whole file, also where a range of it is sent (RFC 9530).
        "repr-digest": f"sha-256=:{b64encode(bytes.fromhex(digest)).decode()}:",
        "x-content-type-options": "nosniff",
    }


def _can_be_read(file: FileEntry) -> bool:
    """Whether a person may read the file before it is trusted: source code that is not too long to be read."""
    return file.path.lower().endswith((".py", ".pyi")) and file.size <= REVIEW_BYTES


def _text(request: Request, name: bytes) -> str | None:
    value = header(request, name)
    return None if value is None else value.decode("latin-1")
