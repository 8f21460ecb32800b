"""The files of filesets: put, read, listed, removed. Their commits stand in `commits.py`, resumable uploads in
`uploads.py`.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from steelyard.actions.context import Context
from steelyard.actions.files.bytes import check_size, receive
from steelyard.actions.files.commits import FileWrite
from steelyard.actions.files.edits import check_upload, delete_file, put_file
from steelyard.actions.files.pulling import cache_status
from steelyard.actions.files.tree import Tree, find_file, list_files
from steelyard.actions.following import follow_files
from steelyard.actions.perform import perform
from steelyard.api import answers
from steelyard.api.digests import announced_digest
from steelyard.api.multipart import first_part, is_multipart
from steelyard.api.operations import DELETE, READ, WRITE, answers_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, conditions_of, context_of, header, stream_body
from steelyard.api.resources import FILESETS
from steelyard.api.serving import serve_file
from steelyard.errors import InvalidParameters, UnsupportedMediaType
from steelyard.records.filesets import FileChange, FileEntry, FileOutput
from steelyard.records.forms import Shown
from steelyard.records.kinds import Document, Row

router = APIRouter(prefix=f"{FILESETS.prefix}/{{name}}", tags=["files"], default_response_class=Response)

Revision = Annotated[
    str | None,
    Query(max_length=64, description="A commit of the fileset (40 digits), or `r` and a revision of its record."),
]
_PAGE = 1000
_BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_FORM: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    }
}
_RANGES: dict[int | str, dict[str, Any]] = {
    **answers_of(200, None, (*READ, 400, 403, 500, 416), conditional=True),
    200: {"description": "The bytes.", "content": _BINARY | {"text/plain": {"schema": {"type": "string"}}}},
    206: {"description": "The bytes of a range.", "content": _BINARY},
    302: {"description": "Where the object store hands the bytes out, for ten minutes."},
}
_READ = {status: answer for status, answer in _RANGES.items() if status != 302}
_READ |= {200: {"description": "There is such a file."}, 206: {"description": "There is such a range."}}


class FileList(Shown):
    """Files of a fileset, by path, at a commit. `next` is the path to go on after, where there is a limit."""

    data: list[FileOutput]
    commit: str | None = None
    next: str | None = None


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
    path: Annotated[
        str | None, Query(max_length=1024, description="Only this file, or the files below this folder.")
    ] = None,
    include_cache_status: Annotated[bool, Query(description="Say whether a source's file is kept here.")] = False,
    revision: Revision = None,
    limit: Annotated[int | None, Query(ge=1, le=10_000, description="How many; all if absent.")] = None,
    after: Annotated[str, Query(max_length=1024, description="Only files whose path follows this one.")] = "",
) -> Response:
    """All files, or those below a folder, as they are or as they were at a commit."""
    context = context_of(request)
    size = limit or _PAGE
    tree = await list_files(context, workspace, name, revision, path=path, after=after, limit=size + 1)
    shape = FileShape(request, tree.row, cache=include_cache_status)
    shown, more = [shape(file) for file in tree.files[:size]], len(tree.files) > size
    if limit is not None or not more:
        following = tree.files[size - 1].path if more else None
        return answers.json({"data": shown, "commit": tree.commit.id, "next": following})
    return StreamingResponse(_all_files(context, shape, tree, path), media_type="application/json")


async def _all_files(context: Context, shape: "FileShape", tree: Tree, path: str | None) -> AsyncIterator[bytes]:
    """A list that is long, page by page, in the form of a short one. A commit does not change while it is read."""
    start = b'{"data":['
    while tree.files:
        page = tree.files[:_PAGE]
        yield start + b",".join(orjson.dumps(shape(file)) for file in page)
        start, row, last = b",", tree.row, page[-1].path
        tree = await list_files(context, row.workspace, row.name, tree.commit.id, path=path, after=last, limit=_PAGE)
    yield b'],"commit":' + orjson.dumps(tree.commit.id) + b',"next":null}'


@router.get("/-/{path:path}", operation_id="download_file", summary="Download a file", responses=_RANGES)
@router.head("/-/{path:path}", operation_id="head_file", summary="Look at a file", responses=_READ)
async def download(
    request: Request,
    workspace: Home,
    name: str,
    path: str,
    revision: Revision = None,
    review: Annotated[bool, Query(description="Read a Python file, as text, that nobody has trusted yet.")] = False,
) -> Response:
    """Its bytes, or a range of them. The entity tag is their sha256.

    A file that policy does not let out is 403 `file_refused`; the message says how it can be approved.
    """
    found = await find_file(context_of(request), workspace, name, path, revision)
    return await serve_file(request, found, review=review)


@router.put(
    "/-/{path:path}",
    operation_id="upload_file",
    summary="Upload a file",
    responses=answers_of(200, FileOutput, WRITE),
    openapi_extra={"requestBody": {"required": True, "content": _BINARY | _FORM}},
)
async def upload(request: Request, workspace: Home, name: str, path: str) -> Response:
    """Puts a file in its place, whole or not at all; one that is there is replaced.

    Of a form, the first part is the file. `X-Checksum-Sha256`, `Repr-Digest` and `Content-Digest` are held against the
    bytes; `If-Match` and `If-None-Match` against the file that is there, whose entity tag is its sha256.
    """
    context, conditions = context_of(request), conditions_of(request)
    _check_whole(request)
    kind = header(request, b"content-type")
    form = is_multipart(kind)
    expected = announced_digest(request, of_content=not form)
    length = None if form else content_length(request)
    check_size(context, length or 0)
    await check_upload(context, workspace, name, path, conditions)
    body = stream_body(request)
    pieces = first_part(kind or b"", body) if form else body
    blob = await receive(context, workspace, pieces, length=length, expected=expected)
    change = FileChange(path, blob.digest, blob.size)
    write = put_file(context, caller_of(request), workspace, name, change, conditions)
    done = (await commit_files(request, write)).done
    entry = done.files[0]
    assert entry is not None  # noqa: S101 - it was put just now
    shown = FileShape(request, done.written.row)(entry)
    tags = [(b"etag", b'"%s"' % blob.digest.encode()), (b"x-commit", done.commit.id.encode())]
    return answers.json(shown, headers=tags)


@router.delete(
    "/-/{path:path}",
    operation_id="delete_file",
    summary="Delete a file",
    responses=answers_of(200, FileOutput, (*DELETE, 400, 403)),
)
async def delete(request: Request, workspace: Home, name: str, path: str) -> Response:
    """Removes a file; it can be read by an older commit still."""
    context, caller = context_of(request), caller_of(request)
    write, removed = delete_file(context, caller, workspace, name, path, conditions_of(request))
    done = (await commit_files(request, write)).done
    shown = FileShape(request, done.written.row)(removed[0])
    return answers.json(shown, headers=[(b"x-commit", done.commit.id.encode())])


async def commit_files(request: Request, write: FileWrite) -> FileWrite:
    """Performs a change of files, and brings the models of the fileset up to it."""
    context, caller = context_of(request), caller_of(request)
    await perform(context, write.write)
    if write.changed:
        await follow_files(context, caller, write.done.written.row)
    return write


class FileShape:
    """How the files of one fileset are answered."""

    def __init__(self, request: Request, row: Row, *, cache: bool = True) -> None:
        base = str(request.base_url).rstrip("/")
        prefix = FILESETS.prefix.replace("{workspace}", quote(row.workspace))
        self._reference = f"{row.workspace}/{row.name}#"
        self._url = f"{base}{prefix}/{quote(row.name)}/-/"
        self._context, self._row = context_of(request), row
        self._cache = cache

    def __call__(self, file: FileEntry) -> Document:
        return {
            "file_ref": self._reference + file.path,
            "file_url": self._url + quote(file.path),
            "path": file.path,
            "size": file.size,
            "cache_status": cache_status(self._context, self._row, file) if self._cache else None,
            "sha256": file.digest,
            "updated_at": file.at,
            "scan": (file.facts or {}).get("scan"),
        }


def file_output(request: Request, row: Row, file: FileEntry, *, cache: bool = True) -> Document:
    """A file as it is answered."""
    return FileShape(request, row, cache=cache)(file)


def content_length(request: Request) -> int | None:
    """How many bytes the request says that its body has."""
    declared = header(request, b"content-length") or b""
    return int(declared) if declared.isdigit() else None


def _check_whole(request: Request) -> None:
    """Raises for a body that would not be the file itself: UnsupportedMediaType, InvalidParameters."""
    if header(request, b"content-encoding") not in {None, b"identity"}:
        raise UnsupportedMediaType("files are taken as they are; leave out Content-Encoding")
    if header(request, b"content-range") is not None:
        message = "a file is put as a whole; for parts use a resumable upload (POST …/uploads)"
        raise InvalidParameters.of(("header", "Content-Range"), "content_range", message)
