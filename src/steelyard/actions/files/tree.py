"""Finding files: which fileset, which of its commits, which path."""

import re
from typing import NamedTuple

from steelyard.actions.context import Context
from steelyard.actions.records import missing
from steelyard.errors import BadPath, NotFound
from steelyard.records.filesets import FILESET, Commit, FileEntry
from steelyard.records.kinds import Row
from steelyard.records.paths import path_fault
from steelyard.store.protocol import ReadTransaction

HEAD_NAMES = frozenset({"", "main", "head", "HEAD", "master"})
"""The names of the only branch there is."""
MOST_FILES = 100_000
_COMMIT_ID = re.compile(r"[0-9a-f]{40}")


class Tree(NamedTuple):
    """Files of a fileset at a commit, by path."""

    row: Row
    commit: Commit
    files: list[FileEntry]


class Found(NamedTuple):
    """A file of a fileset at a commit."""

    row: Row
    commit: Commit
    file: FileEntry


async def require_fileset_row(tx: ReadTransaction, workspace: str, name: str) -> Row:
    """The fileset of that name. Raises NotFound."""
    row = await tx.find(FILESET.name, workspace, name)
    if row is None:
        raise missing(FILESET, workspace, name)
    return row


async def require_fileset(context: Context, workspace: str, name: str) -> Row:
    """The fileset of that name. Raises NotFound."""

    async def action(tx: ReadTransaction) -> Row:
        return await require_fileset_row(tx, workspace, name)

    return await context.store.read(action)


async def commit_named(tx: ReadTransaction, row: Row, revision: str | None) -> Commit:
    """The commit that a caller means: the head for None or the branch's name, else the one of that id, or of a number
    of the fileset's record (`r12`). Raises NotFound.
    """
    head = await tx.head_commit(row.id)
    assert head is not None  # noqa: S101 - a fileset begins with a commit
    if revision is None or revision in HEAD_NAMES or revision == head.id:
        return head
    if _COMMIT_ID.fullmatch(revision):
        found = await tx.commit_of_id(row.id, revision)
        if found is not None:
            return found
    elif re.fullmatch(r"r[1-9][0-9]{0,14}", revision):
        past = await tx.revision(row.id, int(revision[1:]))
        if past is not None and past.fields is not None:
            found = await tx.commit_of_id(row.id, past.fields["commit"])
            if found is not None:
                return found
    raise NotFound(f"Revision {revision[:64]!r} not found in the fileset {f'{row.workspace}/{row.name}'!r}")


def check_path(path: str) -> str:
    """The path itself. Raises BadPath for one that no file can have."""
    if fault := path_fault(path):
        raise BadPath(f"{path[:200]!r}: {fault}", field="path")
    return path


async def find_file(context: Context, workspace: str, name: str, path: str, revision: str | None = None) -> Found:
    """A file of a fileset, as it is or as it was at a commit. Raises NotFound, BadPath."""
    check_path(path)

    async def action(tx: ReadTransaction) -> Found:
        row = await require_fileset_row(tx, workspace, name)
        commit = await commit_named(tx, row, revision)
        entry = await tx.file_at(row.id, commit.number, path)
        if entry is None:
            raise NotFound(f"File {path!r} not found in the fileset {f'{workspace}/{name}'!r}")
        return Found(row, commit, entry)

    return await context.store.read(action)


async def list_files(
    context: Context,
    workspace: str,
    name: str,
    revision: str | None = None,
    *,
    prefix: str = "",
    path: str | None = None,
    after: str = "",
    limit: int = MOST_FILES,
) -> Tree:
    """The files of a fileset at a commit, by path: those after the path `after` that start with `prefix`.

    Instead of a prefix, `path` names one file, or a folder, with or without a `/` at its end. Raises NotFound.
    """

    async def action(tx: ReadTransaction) -> Tree:
        row = await require_fileset_row(tx, workspace, name)
        commit = await commit_named(tx, row, revision)
        if path and (file := await tx.file_at(row.id, commit.number, path)) is not None:
            return Tree(row, commit, [file] if path > after else [])
        # A folder with its slash: `sub` is not the beginning of `sub2/file`.
        start = f"{path.rstrip('/')}/" if path else prefix
        return Tree(row, commit, await tx.files_at(row.id, commit.number, after=after, prefix=start, limit=limit))

    return await context.store.scan(action)


async def list_commits(
    context: Context, workspace: str, name: str, *, newest: int | None = None, limit: int = 100
) -> tuple[Row, list[Commit]]:
    """Up to `limit` commits of a fileset, from the number `newest` (the head for None) down. Raises NotFound."""

    async def action(tx: ReadTransaction) -> tuple[Row, list[Commit]]:
        row = await require_fileset_row(tx, workspace, name)
        return row, await tx.commits(row.id, 2**62 if newest is None else newest, limit)

    return await context.store.scan(action)


class FileDifference(NamedTuple):
    """How a path differs between two commits."""

    path: str
    change: str
    before: FileEntry | None
    after: FileEntry | None


async def compare_commits(
    context: Context, workspace: str, name: str, first: str, second: str | None
) -> tuple[Commit, Commit, list[FileDifference]]:
    """What differs between two commits, by path. Raises NotFound."""
    before = await list_files(context, workspace, name, first)
    after = await list_files(context, workspace, name, second)
    old = {entry.path: entry for entry in before.files}
    new = {entry.path: entry for entry in after.files}
    found = []
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path), new.get(path)
        if was is None:
            found.append(FileDifference(path, "added", None, now))
        elif now is None:
            found.append(FileDifference(path, "removed", was, None))
        elif (was.digest, was.size, was.remote) != (now.digest, now.size, now.remote):
            found.append(FileDifference(path, "modified", was, now))
    return before.commit, after.commit, found
