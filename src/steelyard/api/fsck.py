"""`POST /apis/steelyard/v1/fsck`: all bytes are read again, and what is wrong is told as it is found."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from steelyard.actions.audit import note_done
from steelyard.actions.files.fsck import check_all
from steelyard.api.operations import answers_of
from steelyard.api.requests import caller_of, context_of, server_of

router = APIRouter(prefix="/apis/steelyard/v1", tags=["system"], default_response_class=Response)

_NDJSON = "application/x-ndjson"


_ANSWERS: dict[int | str, dict[str, Any]] = answers_of(200, None, (503,))
_ANSWERS[200]["content"] = {_NDJSON: {"schema": {"type": "string"}}}


@router.post("/fsck", operation_id="fsck", summary="Check all bytes that are kept", responses=_ANSWERS)
async def fsck(request: Request) -> Response:
    """Reads every file's bytes and holds them against their sha256. Lines of JSON, each with a `type`.

    `missing`, `corrupt`, `orphan` and `mended` tell of bytes: `sha256`, `size`, and `used_by` (each a `fileset` and a
    `path`). `progress` and, at the end, `done` say how many `blobs` and `bytes` were read, and the number of
    `troubles`. Bytes that are missing or corrupt are handed out no more, until somebody sends them again.
    """
    await note_done(context_of(request), caller_of(request), "system.fsck", "system", None, "fsck")
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_lines(request), media_type=_NDJSON, headers=headers)


async def _lines(request: Request) -> AsyncIterator[bytes]:
    async for told in check_all(context_of(request)):
        yield orjson.dumps(told.document(), option=orjson.OPT_APPEND_NEWLINE)
        if server_of(request).stopping.asked:
            return  # without a line that says it is done
