"""Commits that a caller describes by what shall happen: puts, deletes, copies, or the state of an older commit."""

from collections.abc import Sequence

from steelyard.actions.context import Caller, Context
from steelyard.actions.files.commits import Changes, FileWrite, check_changes, check_own, head_of, prepare_commit
from steelyard.actions.files.tree import MOST_FILES, check_path, commit_named, require_fileset_row
from steelyard.errors import BadPath, Conflict, Gone, NotFound, PreconditionFailed
from steelyard.records.conditions import NONE, Conditions
from steelyard.records.edits import CopyFile, DeleteFile, DeleteFolder, FileEdit, PutFile
from steelyard.records.filesets import Commit, FileChange, FileEntry
from steelyard.records.kinds import Row
from steelyard.store.protocol import ReadTransaction

_HEAVY = 50


def edit_files(
    context: Context,
    caller: Caller,
    workspace: str,
    name: str,
    edits: Sequence[FileEdit],
    conditions: Conditions,
    *,
    message: str | None = None,
    parent: str | None = None,
) -> FileWrite:
    """Makes all `edits` one commit on what the files are at that moment.

    Raises BadPath; performed, what `change_files` raises.
    """
    for edit in edits:
        check_path(edit.to if isinstance(edit, CopyFile) else edit.path)

    async def changes(tx: ReadTransaction, row: Row, head: Commit) -> Changes:
        return await _resolve(tx, row, head, edits)

    heavy = len(edits) > _HEAVY or any(isinstance(edit, DeleteFolder) for edit in edits)
    return prepare_commit(
        context, caller, workspace, name, changes, conditions, message=message, parent=parent, heavy=heavy
    )


async def _resolve(tx: ReadTransaction, row: Row, head: Commit, edits: Sequence[FileEdit]) -> list[FileChange]:
    """The changes by path: what is put under a folder that is deleted stays."""
    found: dict[str, FileChange] = {}
    folders: dict[str, FileChange] = {}
    for edit in edits:
        match edit:
            case DeleteFolder():
                below = await tx.files_at(row.id, head.number, prefix=f"{edit.path}/", limit=MOST_FILES)
                if not below:
                    raise NotFound(f"Folder {edit.path!r} not found in the fileset {f'{row.workspace}/{row.name}'!r}")
                folders |= {entry.path: FileChange(entry.path, None) for entry in below}
                continue
            case PutFile():
                change = FileChange(edit.path, edit.sha256, edit.size)
            case DeleteFile():
                change = FileChange(edit.path, None)
            case CopyFile():
                change = await _copied(tx, row, edit)
        if change.path in found:
            raise BadPath(f"{change.path!r} stands twice in the commit", field="path")
        found[change.path] = change
    changes = list((folders | found).values())
    check_changes(changes)
    return changes


async def _copied(tx: ReadTransaction, row: Row, edit: CopyFile) -> FileChange:
    commit = await commit_named(tx, row, edit.revision)
    entry = await tx.file_at(row.id, commit.number, check_path(edit.from_))
    if entry is None:
        raise NotFound(f"File {edit.from_!r} not found in the fileset {f'{row.workspace}/{row.name}'!r}")
    return FileChange(edit.to, entry.digest, entry.size, entry.remote)


def restore_files(
    context: Context,
    caller: Caller,
    workspace: str,
    name: str,
    commit: str,
    conditions: Conditions,
    *,
    message: str | None = None,
) -> FileWrite:
    """Makes the files what they were at `commit` (an id, or `r` and a revision), as a new commit.

    Performed, it raises Gone if files of that commit are not kept any more, and what `change_files` raises.
    """

    async def changes(tx: ReadTransaction, row: Row, head: Commit) -> Changes:
        past = await commit_named(tx, row, commit)
        now = await tx.files_at(row.id, head.number, limit=MOST_FILES + 1)
        then = await tx.files_at(row.id, past.number, limit=MOST_FILES + 1)
        if max(len(now), len(then)) > MOST_FILES:
            raise Conflict(f"the fileset has more than {MOST_FILES} files; restore them by commits of copies")
        await _check_whole(tx, row, past, len(then))
        wanted = {entry.path: entry for entry in then}
        removed = [FileChange(entry.path, None) for entry in now if entry.path not in wanted]
        put = [FileChange(entry.path, entry.digest, entry.size, entry.remote) for entry in then]
        before = {entry.path: (entry.digest, entry.remote) for entry in now}
        return removed + [change for change in put if before.get(change.path) != (change.digest, change.remote)]

    said = message or f"Restore the files of {commit}"
    return prepare_commit(context, caller, workspace, name, changes, conditions, message=said, heavy=True)


async def _check_whole(tx: ReadTransaction, row: Row, commit: Commit, count: int) -> None:
    """Raises Gone unless all files that the commit had are still known: replaced files are not kept for ever."""
    revision = await tx.revision(row.id, commit.revision) if commit.number else None
    if revision is not None and revision.fields is not None and revision.fields["file_count"] != count:
        raise Gone(f"files of the commit {commit.id} are not kept any more (setting files.keep_replaced_days)")


def put_file(
    context: Context, caller: Caller, workspace: str, name: str, change: FileChange, conditions: Conditions
) -> FileWrite:
    """Gives one path its content, under `conditions` about the file that is there: see `check_file`.

    Performed, it raises PreconditionFailed, and what `change_files` raises.
    """

    async def changes(tx: ReadTransaction, row: Row, head: Commit) -> Changes:
        check_file(conditions, await tx.file_at(row.id, head.number, change.path))
        return [change]

    return prepare_commit(context, caller, workspace, name, changes, NONE)


def delete_file(
    context: Context, caller: Caller, workspace: str, name: str, path: str, conditions: Conditions
) -> tuple[FileWrite, list[FileEntry]]:
    """Removes one file, under `conditions` about it; the list is the file, once it was performed.

    Performed, it raises NotFound, PreconditionFailed, and what `change_files` raises.
    """
    check_path(path)
    removed: list[FileEntry] = []

    async def changes(tx: ReadTransaction, row: Row, head: Commit) -> Changes:
        entry = await tx.file_at(row.id, head.number, path)
        if entry is None:
            raise NotFound(f"File {path!r} not found in the fileset {f'{workspace}/{name}'!r}")
        check_file(conditions, entry)
        removed[:] = [entry]
        return [FileChange(path, None)]

    return prepare_commit(context, caller, workspace, name, changes, NONE), removed


async def check_upload(context: Context, workspace: str, name: str, path: str, conditions: Conditions) -> Row:
    """The fileset that a file of that path can be put into, as things are now: it is asked before the bytes are taken.

    Raises NotFound, BadPath, Forbidden, PreconditionFailed.
    """
    check_path(path)

    async def action(tx: ReadTransaction) -> Row:
        row = await require_fileset_row(tx, workspace, name)
        check_own(row)
        check_file(conditions, await tx.file_at(row.id, (await head_of(tx, row)).number, path))
        return row

    return await context.store.read(action)


def check_file(conditions: Conditions, entry: FileEntry | None) -> None:
    """Raises PreconditionFailed if the file of a path, or that there is none, is not what the caller believes: its
    entity tag is its sha256.
    """
    etag = f'"{entry.digest}"' if entry is not None else None
    headers = {"ETag": etag} if etag else {}
    match, none_match = conditions.match, conditions.none_match
    if match is not None and (etag is None or (match != ("*",) and etag not in match)):
        what = f"the file is {etag} now" if etag else "there is no such file"
        raise PreconditionFailed(f"If-Match does not hold: {what}", headers=headers, current_etag=etag)
    if etag and none_match is not None and (none_match == ("*",) or etag in none_match or f"W/{etag}" in none_match):
        raise PreconditionFailed("If-None-Match does not hold: the file is there", headers=headers, current_etag=etag)
