"""Sends the bytes of a file: all or a range of them, unless the caller has them already, or may not have them.

Every download goes through `serve_file`: what may not leave the server is refused here.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from steelyard.actions.files.damage import check_sound, mark_corrupt
from steelyard.actions.files.leaving import may_leave
from steelyard.actions.files.tree import Found
from steelyard.api.ranges import is_unchanged, part_of
from steelyard.api.requests import context_of, header
from steelyard.api.sendfile import ZERO_COPY
from steelyard.errors import CorruptBytes, FileRefused
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
    context, file = context_of(request), found.file
    leaving = await may_leave(context, found.row, file)
    shown = leaving.refusal is not None and review and _can_be_read(file)
    if leaving.refusal is not None and not shown:
        raise FileRefused(leaving.refusal, path=file.path)
    assert file.digest is not None  # noqa: S101
    etag = f'"{file.digest}"'
    headers = _headers(file.path, file.digest, etag, shown=shown) | {"x-commit": found.commit.id}
    if leaving.warning is not None:
        headers["x-steelyard-warning"] = leaving.warning
    headers |= extra_headers or {}
    if is_unchanged(_text(request, b"if-match"), _text(request, b"if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    part = part_of(_text(request, b"range"), _text(request, b"if-range"), file.size, etag)
    if part.partial:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    status, media = 206 if part.partial else 200, _TEXT if shown else _OCTETS
    headers["content-length"] = str(part.stop - part.start)
    check_sound(file)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media)
    if context.policy.files.presigned and not shown:
        name = file.path.rpartition("/")[2]
        url = await context.blobs.presign(file.digest, seconds=_PRESIGNED_SECONDS, name=name)
        if url is not None:
            return RedirectResponse(url, 302, headers={"etag": etag, "cache-control": "no-store"})
    local = context.blobs.path(file.digest)
    if local is None or ZERO_COPY not in request.scope.get("extensions", {}):
        pieces: AsyncIterator[bytes] = context.blobs.read(file.digest, part.start, part.stop)
        return StreamingResponse(pieces, status, headers, media_type=media)
    descriptor = await asyncio.to_thread(os.open, local, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(descriptor).st_size != file.size:
        os.close(descriptor)
        await mark_corrupt(context, file.digest)
        raise CorruptBytes(f"the bytes of {file.path!r} are damaged on the server; upload the file again")
    return FilePart(descriptor, part.start, part.stop - part.start, status, headers, media)


class FilePart(Response):
    """A part of an open file, which is sent without being read, and closed."""

    def __init__(
        self, descriptor: int, offset: int, count: int, status: int, headers: Mapping[str, str], media: str
    ) -> None:
        self._descriptor, self._offset, self._count = descriptor, offset, count
        self.status_code, self.media_type, self.background = status, media, None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            part = {"file": self._descriptor, "offset": self._offset, "count": self._count, "more_body": True}
            await send({"type": ZERO_COPY, **part})
            await send({"type": "http.response.body", "body": b""})
        finally:
            os.close(self._descriptor)


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
