"""Uploads by Xet, which is how the Hub's clients send large files wherever `hf_xet` is installed.

The specification: https://huggingface.co/docs/xet. A client sends xorbs, and then shards that say which files are made
of them; each file is put together and hashed here, and is from then on bytes like any other. Nothing is served by Xet:
downloads are plain.
"""

import re
from time import time

from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.files.packs import find_pack, keep_pack, put_together
from steelyard.api import answers
from steelyard.api.hub.routes import endpoint_of, hub_router, on_repository, repository_of, require_writable
from steelyard.api.hub.tickets import TICKET_SECONDS, read_pass, write_pass
from steelyard.api.hub.xet_format import chunks_of, files_of
from steelyard.api.requests import context_of, header, stream_body
from steelyard.errors import InvalidInput, NotFound

router = hub_router()

_HASH = re.compile(r"[0-9a-f]{64}")
_DAY = 24 * 3600


@on_repository(router, "/xet-write-token/{revision:path}")
async def write_token(request: Request) -> Response:
    """Where to send xorbs and shards, and the permission to."""
    repository, context = repository_of(request), context_of(request)
    fileset = await require_writable(request, repository)
    now = int(time())
    # Clients remember by this address which xorbs they need not send again. It is another one every day, for xorbs
    # are kept for one.
    url = f"{endpoint_of(request)}/xet/{fileset.id}/{now // _DAY}"
    token = write_pass(context, repository.workspace)
    expires = now + TICKET_SECONDS
    headers = [
        (b"x-xet-cas-url", url.encode()),
        (b"x-xet-access-token", token.encode()),
        (b"x-xet-token-expiration", str(expires).encode()),
    ]
    return answers.json({"casUrl": url, "accessToken": token, "exp": expires}, headers=headers)


@router.post("/xet/{fileset}/{day}/v1/xorbs/{prefix}/{hash}")
async def put_xorb(request: Request, hash: str) -> Response:
    """Takes a xorb; one that is here already is not kept twice."""
    context, workspace = context_of(request), _workspace(request)
    if not _HASH.fullmatch(hash):
        raise InvalidInput.of(("path", "hash"), "hash", "must be a hash as 64 hexadecimal digits")
    there = await find_pack(context, workspace, hash) is not None
    if there:
        async for _ in stream_body(request):
            pass
    else:
        await keep_pack(context, workspace, hash, chunks_of(stream_body(request)))
    return answers.json({"was_inserted": not there})


@router.post("/xet/{fileset}/{day}/v1/shards")
async def put_shard(request: Request) -> Response:
    """Puts the files together that a shard tells of."""
    context, workspace = context_of(request), _workspace(request)
    body = stream_body(request)
    files = await files_of(body)
    async for _ in body:
        pass  # what it says of its xorbs
    for file in files:
        await put_together(context, workspace, file.digest, file.runs)
    return answers.json({"result": 1})


@router.get("/xet/{fileset}/{day}/v1/chunks/{prefix}/{hash}")
async def find_chunk(request: Request) -> Response:
    """No chunk is found: what others have sent is nobody's business."""
    raise NotFound("no such chunk is known", headers={"x-error-code": "EntryNotFound"})


def _workspace(request: Request) -> str:
    """The workspace that a caller may send to. Raises Forbidden."""
    scheme, _, token = (header(request, b"authorization") or b"").decode("latin-1").partition(" ")
    return read_pass(context_of(request), token.strip() if scheme.lower() == "bearer" else "")
