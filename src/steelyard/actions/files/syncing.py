"""Filesets of sources: pinned when they are made, brought up to their source, and fetched as a whole."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.files.commits import commit_changes, head_of, removals
from steelyard.actions.files.pulling import ended, pull_of
from steelyard.actions.files.pulls import Sync
from steelyard.actions.files.tree import MOST_FILES, require_fileset_row
from steelyard.actions.filesets import check_secrets, create_fileset, fileset_rules
from steelyard.actions.following import follow_files
from steelyard.actions.records import require_workspace
from steelyard.actions.writes import Write
from steelyard.errors import AlreadyExists, Conflict, NotFound, SteelyardError
from steelyard.records.conditions import Conditions
from steelyard.records.filesets import FILESET, Commit, FileEntry, Pinned, commit_id, is_external
from steelyard.records.kinds import Document, Fields, Row
from steelyard.records.patch import read_new
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_log = logging.getLogger("steelyard.files")

_AT_ONCE = 4


async def create_from_source(
    context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions
) -> Write:
    """A new fileset; that of a source has, as its first commit, all files that the source has at this moment.

    Raises InvalidInput, BadReference, Forbidden, OutboundRefused, OutboundFailed; performed, AlreadyExists,
    PreconditionFailed.
    """
    name, change = read_new(FILESET, body, workspace, context.policy.unknown_fields)
    if not is_external(dict(change.values)):
        return create_fileset(context, caller, workspace, body, conditions)

    async def check(tx: ReadTransaction) -> None:
        # What cannot succeed does not ask the source first.
        await require_workspace(tx, workspace)
        there = await tx.find(FILESET.name, workspace, name)
        conditions.check_write(there)
        if there is not None:
            raise AlreadyExists(f"Fileset {name!r} exists already in the workspace {workspace!r}")

    await context.store.read(check)
    check_secrets(caller, workspace, change.values["storage"])
    pinned = await context.sources.pin(workspace, change.values["storage"])

    async def rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
        await fileset_rules(tx, context, caller, row, fields)
        await _begin(tx, caller, row, fields, pinned)

    return writes.create(context, caller, FILESET, workspace, body, conditions, rules)


async def _begin(tx: WriteTransaction, caller: Caller, row: Row, fields: Fields, pinned: Pinned) -> None:
    """Makes the files of a source the first commit of a fileset that is being made, and has no record yet."""
    fields["storage"] = dict(pinned.storage)
    if not pinned.files:
        return
    head = await head_of(tx, row)
    id = pinned.commit or commit_id(head.id, row.id, pinned.files)
    await tx.put_commit(Commit(row.id, head.number + 1, id, head.id, row.created_at, caller.name, None, row.revision))
    for change in pinned.files:
        await tx.change_file(row.id, head.number + 1, change, row.created_at)
    fields["commit"] = id
    fields["file_count"] = len(pinned.files)
    fields["total_size"] = sum(change.size for change in pinned.files)


async def start_sync(context: Context, caller: Caller, workspace: str, name: str, *, repin: bool = False) -> Document:
    """Begins to fetch all files of a fileset, or goes on; with `repin`, of its source as that is now.

    A fileset that was made without asking its source (in a batch or an import) is pinned first. Raises NotFound,
    Conflict for a fileset whose files are its own.
    """
    row, _, _ = await _look(context, workspace, name)
    if not is_external(row.fields):
        raise Conflict(f"the files of {f'{workspace}/{name}'!r} are its own: there is no source to fetch them from")
    sync = context.pulls.syncs.get(row.id)
    if sync is None or sync.task is None or sync.task.done():
        sync = Sync(context.now())
        sync.task = asyncio.create_task(_run(context, caller, row, sync, repin=repin))
        sync.task.add_done_callback(lambda task: _settle(context, sync, task))
        context.pulls.remember(row.id, sync)
    elif repin:
        raise Conflict("the fileset is being fetched; wait for that, or cancel it, before it is pinned anew")
    return sync.document()


async def sync_status(context: Context, workspace: str, name: str) -> Document:
    """How far the last fetching of a fileset has come; what is kept of it, where there was none. Raises NotFound."""
    row, commit, files = await _look(context, workspace, name)
    sync = context.pulls.syncs.get(row.id)
    if sync is not None:
        return sync.document()
    kept = [file for file in files if file.digest is not None]
    return Sync(
        "",
        "idle",
        commit.id,
        files_total=len(files),
        files_done=len(kept),
        bytes_total=sum(file.size for file in files),
        bytes_done=sum(file.size for file in kept),
    ).document() | {"started_at": None}


async def cancel_sync(context: Context, workspace: str, name: str) -> Document:
    """Ends the fetching of a fileset; what is whole by then is kept. Raises NotFound."""
    row, _, _ = await _look(context, workspace, name)
    sync = context.pulls.syncs.get(row.id)
    if sync is not None and sync.task is not None and not sync.task.done():
        under_way = list(sync.under_way.values())
        sync.task.cancel()
        for pull in under_way:
            if not pull.is_followed and pull.task is not None:
                pull.task.cancel()
        await asyncio.wait([sync.task])
    return await sync_status(context, workspace, name)


async def _look(context: Context, workspace: str, name: str) -> tuple[Row, Commit, list[FileEntry]]:
    async def action(tx: ReadTransaction) -> tuple[Row, Commit, list[FileEntry]]:
        row = await require_fileset_row(tx, workspace, name)
        head = await head_of(tx, row)
        return row, head, await tx.files_at(row.id, head.number, limit=MOST_FILES)

    return await context.store.scan(action)


async def _run(context: Context, caller: Caller, row: Row, sync: Sync, *, repin: bool) -> None:
    _, commit, files = await _look(context, row.workspace, row.name)
    if repin or commit.number == 0:
        await pin_anew(context, caller, row, repin=repin)
    row, commit, files = await _look(context, row.workspace, row.name)
    sync.commit = commit.id
    sync.files_total, sync.bytes_total = len(files), sum(file.size for file in files)
    left = iter(files)
    # A file at a time for each of a few; a task for each file would be a hundred thousand.
    workers = [asyncio.create_task(_work(context, row, sync, left)) for _ in range(_AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _work(context: Context, row: Row, sync: Sync, left: Iterator[FileEntry]) -> None:
    for file in left:
        if file.digest is None:
            pull = sync.under_way[file.path] = pull_of(context, row, file)
            try:
                await ended(pull)
            finally:
                del sync.under_way[file.path]
        sync.files_done += 1
        sync.bytes_done += file.size


def _settle(context: Context, sync: Sync, task: "asyncio.Task[None]") -> None:
    sync.finished_at = context.now()
    error = None if task.cancelled() else task.exception()
    if task.cancelled():
        sync.state = "cancelled"
    elif error is None:
        sync.state = "done"
    elif isinstance(error, SteelyardError):
        sync.state, sync.error = "failed", error.message
    else:
        sync.state, sync.error = "failed", "an unexpected error occurred; the server's log has it"
        _log.error("the files of a source could not be fetched", exc_info=error)


async def pin_anew(context: Context, caller: Caller, row: Row, *, repin: bool = True) -> Row:
    """Makes what the source of a fileset has now its next commit, unless that is what it has.

    With `repin` it is asked for the revision that the fileset was made with, else for the one that it is pinned to.
    Raises Frozen, NotFound, and what asking the source raises.
    """
    wanted = dict(row.fields["storage"])
    if repin and wanted["type"] == "huggingface":
        wanted["revision"] = wanted["original_revision"] or wanted["revision"]
    elif repin and wanted["type"] == "ngc":
        wanted["version"] = wanted["original_version"]
    pinned = await context.sources.pin(row.workspace, wanted)

    async def action(tx: WriteTransaction) -> tuple[Row, bool]:
        now = await require_fileset_row(tx, row.workspace, row.name)
        if now.id != row.id:
            raise NotFound(f"the fileset {f'{row.workspace}/{row.name}'!r} has been deleted")
        head, also = await head_of(tx, now), {"storage": dict(pinned.storage)}
        before = {file.path: file for file in await tx.files_at(now.id, head.number, limit=MOST_FILES)}
        kept = {change.path for change in pinned.files}
        changes = removals(file for path, file in before.items() if path not in kept)
        changes += [
            change for change in pinned.files if _pin(before.get(change.path)) != (change.remote or {}).get("pin")
        ]
        new, commit = await commit_changes(tx, context, caller, now, head, changes, id=pinned.commit, also=also)
        if commit.number == head.number:
            new = await writes.change_fields(tx, context, caller, FILESET, now, {**now.fields, **also})
        return new, commit.number != head.number

    new, moved = await context.store.write(action, heavy=True)
    if moved:
        await follow_files(context, caller, new)
    return new


def _pin(file: FileEntry | None) -> str | None:
    return None if file is None else (file.remote or {}).get("pin")
