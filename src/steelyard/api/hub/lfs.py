"""Large files, by the batch protocol of Git LFS: which bytes to send, where to, and taking them.

The protocol: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, with the transfer `basic` and the one in
parts that the Hub's clients know. Parts come in order; what is there of a part that broke off is not written again.
"""

import re
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.files.bytes import check_size, keep, known_blob, missing_bytes, receive
from steelyard.api import answers
from steelyard.api.hub.routes import (
    endpoint_of,
    hub_router,
    json_body,
    on_repository,
    repository_of,
    require_writable,
)
from steelyard.api.hub.tickets import TICKET_SECONDS, Ticket, read_ticket, write_ticket
from steelyard.api.requests import context_of, header, stream_body
from steelyard.errors import DigestMismatch, InvalidInput, NotFound, TooLarge, Unavailable, UploadConflict

router = hub_router()

PART_BYTES = 64 << 20
"""Files of more bytes than this come in parts of at least this size."""
_MOST_PARTS = 1000
_MOST_OBJECTS = 1000
_MOST_BYTES = 1 << 43
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = (b"content-type", b"application/vnd.git-lfs+json")


@on_repository(router, ".git/info/lfs/objects/batch", "POST", api=False)
async def batch(request: Request) -> Response:
    """For each of the objects, where to send it; nothing for one that the workspace has already."""
    body, repository, context = await json_body(request), repository_of(request), context_of(request)
    await require_writable(request, repository)
    if body.get("operation") != "upload":
        raise InvalidInput.of(("body", "operation"), "enum", "must be 'upload'; download files by their paths")
    if body.get("hash_algo", "sha256") != "sha256":
        raise InvalidInput.of(("body", "hash_algo"), "enum", "must be 'sha256'")
    objects = _objects(body)
    transfers = body.get("transfers")
    in_parts = isinstance(transfers, list) and "multipart" in transfers
    missing = await missing_bytes(context, repository.workspace, [oid for oid, _ in objects])
    shown = []
    for oid, size in objects:
        one: dict[str, Any] = {"oid": oid, "size": size}
        if oid in missing:
            check_size(context, size)
            one["authenticated"] = True
            one["actions"] = await _actions(request, oid, size, in_parts=in_parts)
        elif (known := await known_blob(context, oid)) is not None and known.size != size:
            one["error"] = {"code": 422, "message": f"these bytes are {known.size}, not {size}"}
        shown.append(one)
    transfer = "multipart" if any("chunk_size" in _header(one) for one in shown) else "basic"
    body = {"transfer": transfer, "objects": shown, "hash_algo": "sha256"}
    return answers.Answer(orjson.dumps(body), 200, [_MEDIA_TYPE])


def _header(shown: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = shown.get("actions", {}).get("upload", {}).get("header", {})
    return found


def _objects(body: dict[str, Any]) -> list[tuple[str, int]]:
    objects = body.get("objects")
    if not isinstance(objects, list) or len(objects) > _MOST_OBJECTS:
        raise InvalidInput.of(("body", "objects"), "list_type", f"must be a list of at most {_MOST_OBJECTS} objects")
    found: dict[str, int] = {}
    for number, one in enumerate(objects):
        match one:
            case {"oid": str(oid), "size": int(size)} if (
                _DIGEST.fullmatch(oid) and not isinstance(one["size"], bool) and 0 <= size <= _MOST_BYTES
            ):
                if found.setdefault(oid, size) != size:
                    raise InvalidInput.of(("body", "objects", number), "size", "the same oid has two sizes")
            case _:
                message = f"needs 'oid', a sha256 in lower-case hexadecimal, and 'size', 0 to {_MOST_BYTES} bytes"
                raise InvalidInput.of(("body", "objects", number), "object", message)
    return list(found.items())


async def _actions(request: Request, oid: str, size: int, *, in_parts: bool) -> dict[str, Any]:
    context, repository = context_of(request), repository_of(request)
    headers: dict[str, str] = {}
    ticket = Ticket(repository.workspace, oid, size)
    if in_parts and size > PART_BYTES:
        part = max(PART_BYTES, -(-size // _MOST_PARTS))
        async with await context.staging.begin(length=size, expires_at=context.ago(-TICKET_SECONDS)) as upload:
            ticket = ticket._replace(upload=upload.id, part=part)
    place, query = f"{endpoint_of(request)}/lfs", f"?{urlencode({'ticket': write_ticket(context, ticket)})}"
    if ticket.upload is not None:
        headers["chunk_size"] = str(ticket.part)
        headers |= {str(number): f"{place}/{number}{query}" for number in range(1, ticket.parts + 1)}
    prefix = "" if repository.type == "model" else "datasets/"
    verify = f"{endpoint_of(request)}/{prefix}{quote(repository.id)}.git/info/lfs/objects/verify"
    return {
        "upload": {"href": place + query, "header": headers, "expires_in": TICKET_SECONDS},
        "verify": {"href": verify, "header": {}},
    }


@on_repository(router, ".git/info/lfs/objects/verify", "POST", api=False)
async def verify(request: Request) -> Response:
    """Whether an object has arrived whole."""
    body, repository, context = await json_body(request), repository_of(request), context_of(request)
    await require_writable(request, repository)
    ((oid, size),) = _objects({"objects": [body]})
    absent = await missing_bytes(context, repository.workspace, [oid])
    known = None if absent else await known_blob(context, oid)
    if known is None or known.size != size:
        raise NotFound(f"the object {oid} of {size} bytes has not arrived; send it again")
    return answers.json({"oid": oid, "size": size})


def _ticket(request: Request) -> Ticket:
    return read_ticket(context_of(request), request.query_params.get("ticket", ""))


@router.put("/lfs")
async def put_whole(request: Request) -> Response:
    """Takes an object in one piece."""
    context, allowed = context_of(request), _ticket(request)
    declared = header(request, b"content-length")
    if allowed.upload is not None or declared not in {None, b"%d" % allowed.size}:
        message = f"must be {allowed.size}, which was announced" if allowed.upload is None else "comes in parts"
        raise InvalidInput.of(("header", "Content-Length"), "size", message)
    await receive(context, allowed.workspace, stream_body(request), length=allowed.size, expected=allowed.digest)
    return Response(status_code=200, headers={"etag": f'"{allowed.digest}"'})


@router.put("/lfs/{number}")
async def put_part(request: Request, number: str) -> Response:
    """Takes a part of an object. Bytes that are there from an attempt that broke off are skipped."""
    context, allowed = context_of(request), _ticket(request)
    if allowed.upload is None or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise NotFound("there is no such part")
    index = int(number)
    if not 1 <= index <= allowed.parts:
        raise NotFound(f"there is no such part; there are {allowed.parts}")
    start = (index - 1) * allowed.part
    length = min(allowed.part, allowed.size - start)
    try:
        upload = await context.staging.resume(allowed.upload)
    except UploadConflict:
        # The attempt before has broken off, and is being let go; clients try again upon this, and not upon 409.
        raise Unavailable("another part of this object is being written; try again") from None
    arrived = 0
    async with upload:
        if upload.offset < start:
            raise UploadConflict("the parts of an object come one after the other, in order", offset=upload.offset)
        skipped = upload.offset - start
        async for piece in stream_body(request):
            arrived += len(piece)
            if arrived > length:
                raise TooLarge(f"part {index} has {length} bytes, and more arrived")
            if skipped < len(piece):
                await upload.write(piece[skipped:])
            skipped = max(0, skipped - len(piece))
        if arrived < length:
            raise UploadConflict(f"part {index} has {length} bytes, and {arrived} arrived", offset=upload.offset)
    return Response(status_code=200, headers={"etag": f'"{allowed.upload}-{index}"'})


@router.post("/lfs")
async def complete(request: Request) -> Response:
    """Makes the parts one object, if their sha256 is the one that was announced; else nothing is kept."""
    body, context = await json_body(request), context_of(request)
    allowed = _ticket(request)
    if allowed.upload is None or body.get("oid") != allowed.digest:
        raise InvalidInput.of(("body", "oid"), "oid", "must be that of the object whose parts were sent here")
    if not await missing_bytes(context, allowed.workspace, [allowed.digest]):
        return answers.json({"success": True})  # asked again: the first answer was lost on its way
    async with await context.staging.resume(allowed.upload) as upload:
        try:
            staged = await upload.finish(expected=allowed.digest)
        except DigestMismatch:
            await context.staging.discard(upload.id)
            raise
        await keep(context, allowed.workspace, staged)
    await context.staging.discard(allowed.upload)
    return answers.json({"success": True})
