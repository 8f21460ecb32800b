"""Sends the bytes of a file: all or a range of them, unless the caller has them already."""

import re
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from steelyard.actions.files.tree import Found
from steelyard.api.requests import context_of, header

_RANGE = re.compile(rb"bytes=(\d*)-(\d*)")


async def serve_file(request: Request, found: Found, *, extra_headers: Mapping[str, str] | None = None) -> Response:
    """The bytes of a file (RFC 9110, 14): the entity tag is their sha256."""
    context, file = context_of(request), found.file
    headers = {
        "etag": f'"{file.digest}"',
        "accept-ranges": "bytes",
        "x-commit": found.commit.id,
        **(extra_headers or {}),
    }
    if _has_it(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    start, stop, status = 0, file.size, 200
    if (asked := _range_of(request, file.size, headers["etag"])) is not None:
        start, stop = asked
        status = 206
        headers["content-range"] = f"bytes {start}-{stop - 1}/{file.size}"
    headers["content-length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type="application/octet-stream")
    assert file.digest is not None  # noqa: S101
    pieces: AsyncIterator[bytes] = context.blobs.read(file.digest, start, stop)
    return StreamingResponse(pieces, status, headers, media_type="application/octet-stream")


def _has_it(request: Request, etag: str) -> bool:
    sent = header(request, b"if-none-match")
    if sent is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in sent.decode("latin-1").split(",")]
    return "*" in tags or etag in tags


def _range_of(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """The part that is asked for, as start and stop; None for the whole."""
    sent = header(request, b"range")
    condition = header(request, b"if-range")
    match = _RANGE.fullmatch(sent.strip()) if sent else None
    if match is None or (condition is not None and condition.decode("latin-1").strip() != etag):
        return None
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    elif last:
        start, stop = max(0, size - int(last)), size
    else:
        return None
    return (start, stop) if start < stop <= size else None
