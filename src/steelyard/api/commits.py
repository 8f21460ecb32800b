"""The commits of a fileset: listed, compared, made of many changes at once, and gone back to."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.files.bytes import missing_bytes
from steelyard.actions.files.commits import FileWrite
from steelyard.actions.files.edits import edit_files, restore_files
from steelyard.actions.files.tree import compare_commits, list_commits, require_fileset
from steelyard.actions.following import follow_files
from steelyard.actions.perform import perform_for_show
from steelyard.actions.writes import Written
from steelyard.api import answers
from steelyard.api.answers import Answer
from steelyard.api.operations import READ, WRITE, answers_of, body_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, conditions_of, context_of, parsed, raw_body
from steelyard.api.resources import FILESETS
from steelyard.api.writes import Options, WriteOptions, answer_write
from steelyard.records.edits import CommitRequest, MissingBlobsRequest, RestoreRequest
from steelyard.records.filesets import Commit
from steelyard.records.forms import Shown, validate
from steelyard.records.kinds import Document

router = APIRouter(prefix=f"{FILESETS.prefix}/{{name}}", tags=["files"], default_response_class=Response)


class CommitOutput(Shown):
    """A change of the files of a fileset."""

    id: str
    number: int
    parent: str | None = None
    at: str = Field("", json_schema_extra={"format": "date-time"})
    actor: str | None = None
    message: str | None = None
    revision: int


class CommitList(Shown):
    """Commits of a fileset, newest first; `next` is the number that the next page starts with."""

    data: list[CommitOutput]
    next: int | None = None


class FileDifferences(Shown):
    """What differs between two commits, by path."""

    from_: Annotated[str, Field(alias="from")]
    to: str
    data: list[dict[str, Any]]


class CommitDone(CommitOutput):
    """The head after a commit; `changed` is false if the files were so already. Sizes are in bytes."""

    changed: bool
    file_count: int
    total_size: int
    dry_run: dict[str, Any] | None = Field(None, description="Only in the answer to a dry run.")


class MissingBlobs(Shown):
    """The digests whose bytes have to be sent before a commit can name them."""

    missing: list[str]


@router.get(
    "/commits",
    operation_id="list_commits",
    summary="List the commits of a fileset",
    responses=answers_of(200, CommitList, READ),
)
async def commits(
    request: Request,
    workspace: Home,
    name: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 100,
    newest: Annotated[int | None, Query(ge=0, le=2**53, description="The number to start with.")] = None,
) -> Response:
    """The changes of its files, newest first."""
    _, found = await list_commits(context_of(request), workspace, name, newest=newest, limit=limit + 1)
    following = found[limit].number if len(found) > limit else None
    return answers.json({"data": [commit_output(commit) for commit in found[:limit]], "next": following})


@router.get(
    "/commits:compare",
    operation_id="compare_commits",
    summary="Compare two commits",
    responses=answers_of(200, FileDifferences, READ),
)
async def compare(
    request: Request,
    workspace: Home,
    name: str,
    from_: Annotated[str, Query(alias="from", max_length=64, description="The older commit.")],
    to: Annotated[str | None, Query(max_length=64, description="The newer commit; the head if absent.")] = None,
) -> Response:
    """Which paths were added, removed and modified."""
    first, second, found = await compare_commits(context_of(request), workspace, name, from_, to)
    data = [
        {
            "path": one.path,
            "change": one.change,
            "before": one.before and {"sha256": one.before.digest, "size": one.before.size},
            "after": one.after and {"sha256": one.after.digest, "size": one.after.size},
        }
        for one in found
    ]
    return answers.json({"from": first.id, "to": second.id, "data": data})


@router.post(
    "/commits",
    operation_id="commit_files",
    summary="Change many files at once",
    responses=answers_of(200, CommitDone, WRITE),
    openapi_extra=body_of(CommitRequest),
)
async def commit(request: Request, workspace: Home, name: str, options: Options) -> Response:
    """All changes in one commit, or none of them.

    Bytes are named by their sha256 and must be here: 409 `missing_bytes` names those that have to be uploaded first.
    """
    body = await raw_body(request, batch=True)
    asked = validate(CommitRequest, parsed(request, body))
    write = edit_files(
        context_of(request),
        caller_of(request),
        workspace,
        name,
        asked.changes,
        conditions_of(request),
        message=asked.message,
        parent=asked.parent,
    )
    return await _answer_commit(request, write, options, body)


@router.post(
    ":restore",
    operation_id="restore_files",
    summary="Go back to a commit",
    responses=answers_of(200, CommitDone, WRITE),
    openapi_extra=body_of(RestoreRequest),
)
async def restore(request: Request, workspace: Home, name: str, options: Options) -> Response:
    """The files become what they were at a commit, as a new commit; 410 if some of them are kept no longer."""
    body = await raw_body(request)
    asked = validate(RestoreRequest, parsed(request, body))
    write = restore_files(
        context_of(request),
        caller_of(request),
        workspace,
        name,
        asked.commit,
        conditions_of(request),
        message=asked.message,
    )
    return await _answer_commit(request, write, options, body)


@router.post(
    "/blobs:missing",
    operation_id="list_missing_blobs",
    summary="Ask which bytes must be sent",
    responses=answers_of(200, MissingBlobs, WRITE),
    openapi_extra=body_of(MissingBlobsRequest),
)
async def missing(request: Request, workspace: Home, name: str) -> Response:
    """Which of the bytes the workspace has to send before a commit can name them; the others are kept a day for it."""
    context = context_of(request)
    asked = validate(MissingBlobsRequest, parsed(request, await raw_body(request, batch=True)))
    await require_fileset(context, workspace, name)
    digests = list(dict.fromkeys(blob.sha256 for blob in asked.digests))
    absent = await missing_bytes(context, workspace, digests)
    return answers.json({"missing": [digest for digest in digests if digest in absent]})


async def _answer_commit(request: Request, write: FileWrite, options: WriteOptions, body: bytes) -> Response:
    def shape(written: Written) -> Answer:
        row = written.row
        done = commit_output(write.done.commit) | {
            "changed": write.done.changed,
            "file_count": row.fields["file_count"],
            "total_size": row.fields["total_size"],
        }
        return answers.json(done, headers=[(b"etag", row.etag.encode())])

    if options.dry_run:
        written, preview = await perform_for_show(context_of(request), write.write)
        document = orjson.loads(shape(written).body) | {"dry_run": preview.document()}
        return answers.json(document)
    answer = await answer_write(request, write.write, options, shape, body)
    if write.changed:
        await follow_files(context_of(request), caller_of(request), write.done.written.row)
    return answer


def commit_output(commit: Commit) -> Document:
    """A commit as it is answered."""
    return {
        "id": commit.id,
        "number": commit.number,
        "parent": commit.parent,
        "at": commit.at,
        "actor": commit.actor,
        "message": commit.message,
        "revision": commit.revision,
    }
