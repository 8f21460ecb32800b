"""Resumable uploads: the tus protocol 1.0.0 (tus.io/protocols/resumable-upload), with its extensions creation,
creation-with-upload, creation-defer-length, expiration, checksum and termination.
"""

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from functools import wraps
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.context import Context
from steelyard.actions.files.edits import put_file
from steelyard.actions.files.uploads import SAID, Appended, UploadState, append, begin_upload, expiry_of, find_upload
from steelyard.api.digests import digest_of_base64
from steelyard.api.files import commit_files
from steelyard.api.operations import DELETE, READ, WRITE, answers_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, context_of, header, stream_body
from steelyard.api.resources import FILESETS
from steelyard.errors import (
    InvalidParameters,
    MethodNotAllowed,
    PreconditionFailed,
    SteelyardError,
    UnsupportedMediaType,
)
from steelyard.records.conditions import NONE
from steelyard.records.filesets import FileChange

router = APIRouter(prefix=f"{FILESETS.prefix}/{{name}}/uploads", tags=["uploads"], default_response_class=Response)

VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination"
_MOST_METADATA = 16_384
_MEDIA = "application/offset+octet-stream"
_BYTES: dict[str, Any] = {_MEDIA: {"schema": {"type": "string", "format": "binary"}}}
_SIZE = Annotated[int | None, Header(ge=0, le=2**53, description="How many bytes the file has.")]
_CHECKSUM = Annotated[
    str | None, Header(max_length=100, description="`sha256` and the sha256 of this request's body in base64.")
]
_VERSION = Annotated[str | None, Header(max_length=20, description="The version of the protocol: 1.0.0.")]

Handler = Callable[..., Awaitable[Response]]


def _tus(handler: Handler) -> Handler:
    """Puts the protocol's version on every answer, and refuses another one."""

    @wraps(handler)
    async def wrapped(request: Request, *arguments: Any, **named: Any) -> Response:
        try:
            sent = header(request, b"tus-resumable")
            if sent is not None and sent != VERSION.encode():
                message = f"this server speaks tus {VERSION}"
                raise PreconditionFailed(message, headers={"Tus-Version": VERSION})
            answer = await handler(request, *arguments, **named)
        except SteelyardError as error:
            error.headers["Tus-Resumable"] = VERSION
            raise
        answer.headers["Tus-Resumable"] = VERSION
        return answer

    return wrapped


@router.options(
    "",
    operation_id="describe_uploads",
    summary="Ask what uploads can do",
    status_code=204,
    responses=answers_of(204, None, (422,)),
)
async def describe(request: Request, workspace: Home, name: str) -> Response:
    """Versions, extensions and limits of the tus protocol here."""
    return _description(context_of(request))


@router.post(
    "",
    operation_id="create_upload",
    summary="Begin a resumable upload",
    status_code=201,
    responses=answers_of(201, None, (*WRITE, 410, 460)),
    openapi_extra={"requestBody": {"required": False, "content": _BYTES}},
)
@_tus
async def create(
    request: Request,
    workspace: Home,
    name: str,
    upload_length: _SIZE = None,
    upload_defer_length: Annotated[str | None, Header(max_length=10, description="`1`: it is told later.")] = None,
    upload_metadata: Annotated[
        str | None,
        Header(max_length=_MOST_METADATA, description="Pairs `key base64`, by commas: `path`, `sha256`."),
    ] = None,
    upload_checksum: _CHECKSUM = None,
    tus_resumable: _VERSION = None,
) -> Response:
    """An upload to `Location`, which may have its first bytes in this request already.

    When the last byte is in, the file stands at `path` in the fileset; without a `path` its bytes are kept for the
    workspace, a day long, so that a commit can name them.
    """
    context = context_of(request)
    length = _length(upload_length, upload_defer_length)
    if header(request, b"upload-concat") is not None:
        raise InvalidParameters.of(("header", "Upload-Concat"), "tus", "uploads cannot be joined here")
    said = _metadata(upload_metadata or "")
    path, sha256 = said.get("path"), said.get("sha256")
    if sha256 is not None and (len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef")):
        message = "sha256 must be 64 lower-case hexadecimal digits"
        raise InvalidParameters.of(("header", "Upload-Metadata"), "sha256", message)
    has_body = _has_body(request)
    checksum = _checksum(upload_checksum)
    state = await begin_upload(
        context, workspace, name, length=length, path=path, sha256=sha256, said=upload_metadata or ""
    )
    location = {"Location": f"{request.scope['path'].rstrip('/')}/{state.id}"}
    if not has_body and length != 0:
        return Response(status_code=201, headers=location | _progress(context, state, 0))
    done = await append(context, state, 0, stream_body(request), checksum=checksum)
    return await _answer(request, workspace, name, state, done, 201, location)


@router.options(
    "/{id}",
    operation_id="describe_upload",
    summary="Ask what an upload can do",
    status_code=204,
    responses=answers_of(204, None, (422,)),
)
async def describe_one(request: Request, workspace: Home, name: str, id: str) -> Response:
    """Versions, extensions and limits of the tus protocol here."""
    return _description(context_of(request))


@router.head(
    "/{id}",
    operation_id="head_upload",
    summary="Ask how far an upload is",
    responses=answers_of(200, None, (*READ, 410)),
)
@_tus
async def head(request: Request, workspace: Home, name: str, id: str, tus_resumable: _VERSION = None) -> Response:
    """`Upload-Offset` says how many bytes are kept. A finished upload is 404: its bytes are in their place."""
    context = context_of(request)
    state = await find_upload(context, workspace, name, id)
    headers = _progress(context, state, state.offset) | {"Cache-Control": "no-store"}
    headers |= {"Upload-Defer-Length": "1"} if state.length is None else {"Upload-Length": str(state.length)}
    if state.metadata.get(SAID):
        headers["Upload-Metadata"] = state.metadata[SAID]
    return Response(headers=headers)


@router.patch(
    "/{id}",
    operation_id="append_to_upload",
    summary="Go on with an upload",
    status_code=204,
    responses=answers_of(204, None, (*WRITE, 410, 460)),
    openapi_extra={"requestBody": {"required": True, "content": _BYTES}},
)
@_tus
async def patch(
    request: Request,
    workspace: Home,
    name: str,
    id: str,
    upload_offset: Annotated[int | None, Header(ge=0, le=2**53, description="Where these bytes begin.")] = None,
    upload_length: _SIZE = None,
    upload_checksum: _CHECKSUM = None,
    tus_resumable: _VERSION = None,
) -> Response:
    """Bytes that follow those which are kept. What came of a request that breaks off is kept too.

    With `Upload-Checksum`, all of the request is kept or, with 460, nothing of it.
    """
    context = context_of(request)
    if (header(request, b"content-type") or b"").split(b";")[0].strip().lower() != _MEDIA.encode():
        raise UnsupportedMediaType(f"the body must be {_MEDIA}")
    if upload_offset is None:
        raise InvalidParameters.of(("header", "Upload-Offset"), "missing", "says where the bytes begin")
    checksum = _checksum(upload_checksum)
    state = await find_upload(context, workspace, name, id)
    done = await append(context, state, upload_offset, stream_body(request), length=upload_length, checksum=checksum)
    return await _answer(request, workspace, name, state, done, 204, {})


@router.delete(
    "/{id}",
    operation_id="delete_upload",
    summary="Give up an upload",
    status_code=204,
    responses=answers_of(204, None, (*DELETE, 410)),
)
@_tus
async def delete(request: Request, workspace: Home, name: str, id: str, tus_resumable: _VERSION = None) -> Response:
    """Its bytes are dropped."""
    context = context_of(request)
    state = await find_upload(context, workspace, name, id)
    await context.staging.discard(state.id)
    return Response(status_code=204)


@router.post("/{id}", include_in_schema=False)
async def overridden(request: Request, workspace: Home, name: str, id: str) -> Response:
    """For senders behind proxies that let only POST pass: the method stands in `X-HTTP-Method-Override`."""
    match header(request, b"x-http-method-override"):
        case b"PATCH":
            offset, length = (_number(request, key) for key in (b"upload-offset", b"upload-length"))
            checksum = header(request, b"upload-checksum")
            return await patch(
                request,
                workspace,
                name,
                id,
                upload_offset=offset,
                upload_length=length,
                upload_checksum=checksum.decode("latin-1") if checksum else None,
            )
        case b"DELETE":
            return await delete(request, workspace, name, id)
    raise MethodNotAllowed("Method Not Allowed; use PATCH", headers={"Allow": "DELETE, HEAD, OPTIONS, PATCH"})


async def _answer(
    request: Request,
    workspace: str,
    name: str,
    state: UploadState,
    done: Appended,
    status: int,
    headers: dict[str, str],
) -> Response:
    """Says how far the upload is; one that is complete is put into its place first."""
    headers |= _progress(context_of(request), state, done.offset)
    if done.blob is not None:
        headers["X-Checksum-Sha256"] = done.blob.digest
        if done.path is not None:
            change = FileChange(done.path, done.blob.digest, done.blob.size)
            write = put_file(context_of(request), caller_of(request), workspace, name, change, NONE)
            try:
                await commit_files(request, write)
            except SteelyardError as error:
                # The bytes are kept all the same: a commit can name them.
                error.details.setdefault("sha256", done.blob.digest)
                raise
            headers |= {"ETag": f'"{done.blob.digest}"', "X-Commit": write.done.commit.id}
    return Response(status_code=status, headers=headers)


def _progress(context: Context, state: UploadState, offset: int) -> dict[str, str]:
    expires = format_datetime(expiry_of(context, state), usegmt=True)
    return {"Upload-Offset": str(offset), "Upload-Expires": expires}


def _description(context: Context) -> Response:
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(context.policy.files.max_bytes),
        "Tus-Checksum-Algorithm": "sha256",
    }
    return Response(status_code=204, headers=headers)


def _length(length: int | None, deferred: str | None) -> int | None:
    if (length is None) == (deferred is None) or deferred not in {None, "1"}:
        message = "send either Upload-Length, the bytes of the file, or Upload-Defer-Length: 1"
        raise InvalidParameters.of(("header", "Upload-Length"), "tus", message)
    return length


def _metadata(text: str) -> dict[str, str]:
    """The pairs of `Upload-Metadata`. Raises InvalidParameters."""
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip(" ") for part in text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            decoded = b64decode(value.strip(" "), validate=True).decode()
        except (binascii.Error, ValueError):
            message = f"the value of {key[:50]!r} is not base64 of UTF-8"
            raise InvalidParameters.of(("header", "Upload-Metadata"), "tus", message) from None
        if not key.isascii() or key in found:
            message = f"the key {key[:50]!r} stands twice, or is not ASCII"
            raise InvalidParameters.of(("header", "Upload-Metadata"), "tus", message)
        found[key] = decoded
    return found


def _checksum(text: str | None) -> str | None:
    """The sha256 of `Upload-Checksum`, in hexadecimal. Raises InvalidParameters."""
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    if algorithm != "sha256":
        message = "must be `sha256` and the checksum in base64"
        raise InvalidParameters.of(("header", "Upload-Checksum"), "tus", message)
    return digest_of_base64(value.strip(), "Upload-Checksum")


def _has_body(request: Request) -> bool:
    """Whether the first bytes come with the creation. Raises UnsupportedMediaType for a body of another kind."""
    if header(request, b"content-length") in {None, b"0"} and header(request, b"transfer-encoding") is None:
        return False
    if (header(request, b"content-type") or b"").split(b";")[0].strip().lower() != _MEDIA.encode():
        raise UnsupportedMediaType(f"the body of a creation holds its first bytes, as {_MEDIA}")
    return True


def _number(request: Request, name: bytes) -> int | None:
    text = header(request, name) or b""
    return int(text) if text.isdigit() and len(text) < 17 else None
