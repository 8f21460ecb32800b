"""Changing the files of a repository: how each is to be sent, and the commit itself."""

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.context import Context
from steelyard.actions.files.bytes import known_blob, missing_bytes, receive
from steelyard.actions.files.edits import edit_files
from steelyard.actions.files.tree import HEAD_NAMES, check_path, find_file, list_files
from steelyard.api import answers
from steelyard.api.files import commit_files
from steelyard.api.hub.commit_lines import (
    Copy,
    Delete,
    Header,
    Operation,
    PutContent,
    PutObject,
    lines_of,
    read_header,
    read_operation,
)
from steelyard.api.hub.ignoring import ignored_paths
from steelyard.api.hub.routes import (
    Repository,
    hub_router,
    json_body,
    on_repository,
    repository_of,
    require_writable,
    revision_of,
    url_of,
)
from steelyard.api.hub.shown import REGULAR_BYTES, git_oid_of
from steelyard.api.requests import caller_of, context_of, header, stream_body
from steelyard.errors import BadReference, InvalidInput, MissingBytes, NotFound, PreconditionFailed
from steelyard.records.conditions import NONE
from steelyard.records.edits import CopyFile, DeleteFile, DeleteFolder, FileEdit, PutFile

router = hub_router()

_MOST_ASKED = 1000


@on_repository(router, "/preupload/{revision:path}", "POST")
async def preupload(request: Request) -> Response:
    """For each file of a commit to come, whether it is sent in the commit or before it, and what is there now."""
    body, repository, context = await json_body(request), repository_of(request), context_of(request)
    files = body.get("files")
    if not isinstance(files, list) or len(files) > _MOST_ASKED:
        raise InvalidInput.of(("body", "files"), "list_type", f"must be a list of at most {_MOST_ASKED} files")
    await require_writable(request, repository)
    tree = await list_files(context, repository.workspace, repository.name, revision_of(request), limit=1)
    asked = [_asked(number, file) for number, file in enumerate(files)]
    ignored = ignored_paths(body.get("gitIgnore"), [path for path, _ in asked])
    # Clients before 1.0, which find by this that nothing has changed, then stumble over an endpoint with a path.
    before_1 = b"hf_hub/0." in (header(request, b"user-agent") or b"")
    shown: list[dict[str, Any]] = []
    for path, regular in asked:
        one: dict[str, Any] = {"path": path, "uploadMode": "regular" if regular else "lfs"}
        one["shouldIgnore"] = path in ignored
        try:
            found = await find_file(context, repository.workspace, repository.name, path, tree.commit.id)
        except NotFound:
            pass
        else:
            if not before_1:
                one["oid"] = git_oid_of(found.file) if regular else found.file.digest
        shown.append(one)
    return answers.json({"files": shown, "commitOid": tree.commit.id})


def _asked(number: int, file: Any) -> tuple[str, bool]:
    """The path of a file to come, and whether it is sent in the commit: small texts are.

    Raises InvalidInput, BadPath.
    """
    match file:
        case {"path": str(path), "size": int(size), "sample": str(sample)} if size >= 0 and not isinstance(size, bool):
            try:
                start = base64.b64decode(sample, validate=True)
            except (binascii.Error, ValueError):
                message = "must be the start of the file, in base64"
                raise InvalidInput.of(("body", "files", number, "sample"), "base64", message) from None
            return check_path(path), size <= REGULAR_BYTES and _is_text(start)
        case _:
            raise InvalidInput.of(("body", "files", number), "file", "needs a path, a size in bytes and a sample")


def _is_text(start: bytes) -> bool:
    # The sample may end inside a character.
    text = start.decode("utf-8", "ignore").encode()
    return b"\0" not in start and len(start) - len(text) < 4


@on_repository(router, "/commit/{revision:path}", "POST")
async def commit(request: Request) -> Response:
    """All changes of the body in one commit on the only branch, or none of them."""
    repository, context = repository_of(request), context_of(request)
    _check_branch(request)
    await require_writable(request, repository)  # before any bytes are taken
    said, edits = await _read(context, repository, stream_body(request))
    write = edit_files(
        context,
        caller_of(request),
        repository.workspace,
        repository.name,
        edits,
        NONE,
        message=said.message or None,
        parent=await _whole_parent(context, repository, said.parent),
    )
    done = await commit_files(request, write)
    oid = done.done.commit.id
    return answers.json(
        {
            "success": True,
            "commitOid": oid,
            "commitUrl": f"{url_of(request, repository)}/commit/{oid}",
            "hookOutput": "",
        }
    )


def _check_branch(request: Request) -> None:
    revision = revision_of(request)
    if revision not in HEAD_NAMES:
        raise BadReference(f"{str(revision)[:100]!r} cannot be written: 'main' is the only branch of a fileset")
    if request.query_params.get("create_pr", "0") not in {"0", "false"}:
        raise BadReference("there are no pull requests here; commit to 'main'")


async def _read(
    context: Context, repository: Repository, pieces: AsyncIterator[bytes]
) -> tuple[Header, list[FileEdit]]:
    """What a body says; the bytes in it are kept on the way, one file at a time. Of several edits of a path, the last
    one counts.
    """
    said, edits = None, dict[tuple[str, bool], FileEdit]()
    async for number, line in lines_of(pieces):
        if said is None:
            said = read_header(number, line)
            continue
        operation = read_operation(number, line)
        check_path(operation.path)
        is_folder = isinstance(operation, Delete) and operation.folder
        edits[operation.path, is_folder] = await _edit(context, repository, operation)
    if said is None:
        raise InvalidInput.of(("body",), "missing", "the first line must be the header of the commit")
    return said, list(edits.values())


async def _edit(context: Context, repository: Repository, operation: Operation) -> FileEdit:
    match operation:
        case PutContent(path, content):
            blob = await receive(context, repository.workspace, _once(content), length=len(content))
            return PutFile(op="put", path=path, sha256=blob.digest, size=blob.size)
        case PutObject(path, digest, size):
            size = await _size_of(context, repository.workspace, path, digest, size)
            return PutFile(op="put", path=path, sha256=digest, size=size)
        case Copy(path, source, revision):
            said = {"op": "copy", "to": path, "from": check_path(source), "revision": revision}
            return CopyFile.model_validate(said)
        case Delete(path, folder):
            return DeleteFolder(op="delete_folder", path=path) if folder else DeleteFile(op="delete", path=path)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _size_of(context: Context, workspace: str, path: str, digest: str, size: int | None) -> int:
    if size is not None:
        return size
    known = None if await missing_bytes(context, workspace, [digest]) else await known_blob(context, digest)
    if known is None:
        message = f"the bytes of {path!r} (sha256 {digest}) are not here; upload them, then commit"
        raise MissingBytes(message, digest=digest)
    return known.size


async def _whole_parent(context: Context, repository: Repository, parent: str | None) -> str | None:
    """The id of the head, if it begins as the caller says. Raises PreconditionFailed."""
    if parent is None:
        return None
    head = (await list_files(context, repository.workspace, repository.name, limit=1)).commit.id
    if not head.startswith(parent):
        raise PreconditionFailed(
            f"the head of the repository is {head}, not {parent}: somebody changed files; read them again",
            current_commit=head,
        )
    return head
