"""Commits that a caller describes by what shall happen: puts, deletes, copies, or the state of an older commit."""

from collections.abc import Sequence

from steelyard.actions.context import Caller, Context
from steelyard.actions.files.commits import Changes, FileWrite, check_changes, prepare_commit
from steelyard.actions.files.tree import MOST_FILES, check_path, commit_named
from steelyard.errors import BadPath, Conflict, Gone, NotFound
from steelyard.records.conditions import Conditions
from steelyard.records.edits import CopyFile, DeleteFile, DeleteFolder, FileEdit, PutFile
from steelyard.records.filesets import Commit, FileChange
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
