"""The files of filesets: put, read, listed, removed; and the commits that each change leaves."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from steelyard.actions.files.bytes import receive
from steelyard.actions.files.commits import FileWrite, change_files, removals
from steelyard.actions.files.tree import MOST_FILES, check_path, find_file, list_files
from steelyard.actions.inspections import follow_files
from steelyard.actions.perform import perform
from steelyard.api import answers
from steelyard.api.operations import DELETE, READ, WRITE, answers_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, conditions_of, context_of, header
from steelyard.api.resources import FILESETS
from steelyard.api.serving import serve_file
from steelyard.errors import InvalidParameters
from steelyard.records.filesets import FileChange, FileEntry, FileOutput, is_external
from steelyard.records.forms import Shown
from steelyard.records.kinds import Document, Row

router = APIRouter(prefix=f"{FILESETS.prefix}/{{name}}", tags=["files"], default_response_class=Response)

Revision = Annotated[
    str | None,
    Query(max_length=64, description="A commit of the fileset (40 digits), or `r` and a revision of its record."),
]


class FileList(Shown):
    """Files of a fileset, by path, at a commit."""

    data: list[FileOutput]
    commit: str | None = None


@router.get(
    "/files",
    operation_id="list_files",
    summary="List the files of a fileset",
    responses=answers_of(200, FileList, READ),
)
async def list_(
    request: Request,
    workspace: Home,
    name: str,
    path: Annotated[str | None, Query(max_length=1024, description="Only files whose path starts so.")] = None,
    include_cache_status: Annotated[bool, Query(description="Say whether a source's file is kept here.")] = False,
    revision: Revision = None,
) -> Response:
    """All files, or those below a folder, as they are or as they were at a commit."""
    tree = await list_files(context_of(request), workspace, name, revision, prefix=path or "", limit=MOST_FILES)
    shown = [file_output(request, tree.row, file, cache=include_cache_status) for file in tree.files]
    return answers.json({"data": shown, "commit": tree.commit.id})


_BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/-/{path:path}",
    operation_id="download_file",
    summary="Download a file",
    responses={
        **answers_of(200, None, READ, conditional=True),
        200: {"description": "The bytes.", "content": _BINARY},
        206: {"description": "The bytes of a range.", "content": _BINARY},
    },
)
@router.head(
    "/-/{path:path}", operation_id="head_file", summary="Look at a file", responses=answers_of(200, None, READ)
)
async def download(request: Request, workspace: Home, name: str, path: str, revision: Revision = None) -> Response:
    """Its bytes, or a range of them. The entity tag is their sha256."""
    found = await find_file(context_of(request), workspace, name, path, revision)
    return await serve_file(request, found)


@router.put(
    "/-/{path:path}",
    operation_id="upload_file",
    summary="Upload a file",
    responses=answers_of(200, FileOutput, WRITE),
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
)
async def upload(request: Request, workspace: Home, name: str, path: str) -> Response:
    """Puts a file in its place, whole or not at all; one that is there is replaced."""
    context = context_of(request)
    check_path(path)
    await list_files(context, workspace, name, limit=1)  # not found is told before the bytes are taken
    blob = await receive(context, workspace, _body(request), length=_length(request), expected=_expected(request))
    change = FileChange(path, blob.digest, blob.size)
    done = await commit_files(
        request, change_files(context, caller_of(request), workspace, name, [change], conditions_of(request))
    )
    entry = done.done.files[0]
    assert entry is not None  # noqa: S101 - it was put just now
    return answers.json(file_output(request, done.done.written.row, entry))


@router.delete(
    "/-/{path:path}",
    operation_id="delete_file",
    summary="Delete a file",
    responses=answers_of(200, FileOutput, DELETE),
)
async def delete(request: Request, workspace: Home, name: str, path: str) -> Response:
    """Removes a file; it can be read by an older commit still."""
    context = context_of(request)
    found = await find_file(context, workspace, name, path)
    await commit_files(
        request,
        change_files(context, caller_of(request), workspace, name, removals([found.file]), conditions_of(request)),
    )
    return answers.json(file_output(request, found.row, found.file))


async def commit_files(request: Request, write: FileWrite) -> FileWrite:
    """Performs a change of files, and brings the models of the fileset up to it."""
    context, caller = context_of(request), caller_of(request)
    await perform(context, write.write)
    if write.done.changed:
        await follow_files(context, caller, write.done.written.row)
    return write


def file_output(request: Request, row: Row, file: FileEntry, *, cache: bool = True) -> Document:
    """A file as it is answered."""
    base = str(request.base_url).rstrip("/")
    prefix = FILESETS.prefix.replace("{workspace}", quote(row.workspace))
    status = "not_cacheable"
    if is_external(row.fields):
        status = "cached" if file.digest else "not_cached"
    return {
        "file_ref": f"{row.workspace}/{row.name}#{file.path}",
        "file_url": f"{base}{prefix}/{quote(row.name)}/-/{quote(file.path)}",
        "path": file.path,
        "size": file.size,
        "cache_status": status if cache else None,
        "sha256": file.digest,
        "updated_at": file.at,
        "scan": (file.facts or {}).get("scan"),
    }


def _length(request: Request) -> int | None:
    declared = header(request, b"content-length") or b""
    return int(declared) if declared.isdigit() else None


def _expected(request: Request) -> str | None:
    """The sha256 that the caller announces, in `X-Checksum-Sha256`."""
    sent = header(request, b"x-checksum-sha256")
    if sent is None:
        return None
    text = sent.decode("latin-1").lower()
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        message = "must be a sha256 as 64 hexadecimal digits"
        raise InvalidParameters.of(("header", "X-Checksum-Sha256"), "sha256", message)
    return text


async def _body(request: Request) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        if part := message.get("body", b""):
            yield part
        if not message.get("more_body", False):
            return
