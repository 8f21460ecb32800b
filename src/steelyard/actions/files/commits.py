"""Changing the files of a fileset: any number of paths in one commit, or none of them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.files.leaving import check_put
from steelyard.actions.files.tree import check_path, require_fileset_row
from steelyard.actions.records import shown
from steelyard.actions.trust import withdraw_trust
from steelyard.actions.writes import Write, Written
from steelyard.errors import (
    BadPath,
    Conflict,
    Forbidden,
    Frozen,
    InvalidInput,
    MissingBytes,
    NotFound,
    PreconditionFailed,
)
from steelyard.records.conditions import Conditions
from steelyard.records.filesets import FILESET, Commit, FileChange, FileEntry, commit_id, is_external
from steelyard.records.kinds import Row
from steelyard.records.names import Reference
from steelyard.records.paths import folders_above
from steelyard.store.protocol import ReadTransaction, WriteTransaction

MOST_CHANGES = 25_000
CLAIM_SECONDS = 24 * 3600
_HEAVY = 50
_MOST_MODELS = 10_000
_DIGESTS_NAMED = 1_000

Changes = Sequence[FileChange]


@dataclass(frozen=True, slots=True)
class Committed:
    """What a change of files did; `commit` is the head as it was, if nothing changed."""

    written: Written
    commit: Commit
    files: list[FileEntry | None]
    """The files that were put, as they are now; None for a path that was removed."""
    changed: bool


class FileWrite:
    """A prepared change of files; `done` is there once it was performed."""

    def __init__(self, write: Write, results: list[Committed]) -> None:
        self.write = write
        self._results = results

    @property
    def changed(self) -> bool:
        """Whether it was performed, and changed something."""
        return bool(self._results) and self._results[-1].changed

    @property
    def done(self) -> Committed:
        """What it did."""
        return self._results[-1]


def change_files(
    context: Context,
    caller: Caller,
    workspace: str,
    name: str,
    changes: Sequence[FileChange],
    conditions: Conditions,
    *,
    message: str | None = None,
    parent: str | None = None,
) -> FileWrite:
    """Makes all `changes` one commit; `parent` is the id of the commit that the caller believes to be the head.

    Raises BadPath, InvalidInput; performed, NotFound, MissingBytes, Conflict, Forbidden, Frozen, PreconditionFailed.
    """
    check_changes(changes)

    async def as_they_are(tx: ReadTransaction, row: Row, head: Commit) -> Changes:
        return changes

    heavy = len(changes) > _HEAVY
    return prepare_commit(
        context, caller, workspace, name, as_they_are, conditions, message=message, parent=parent, heavy=heavy
    )


def prepare_commit(
    context: Context,
    caller: Caller,
    workspace: str,
    name: str,
    plan: Callable[[ReadTransaction, Row, Commit], Awaitable[Changes]],
    conditions: Conditions,
    *,
    message: str | None = None,
    parent: str | None = None,
    heavy: bool = False,
) -> FileWrite:
    """Makes one commit of what `plan` answers for the fileset and its head. Performed, it raises as `change_files`."""
    caller.require("filesets.update", workspace)
    results: list[Committed] = []

    async def run(tx: WriteTransaction) -> Written:
        row = await require_fileset_row(tx, workspace, name)
        await writes.check_conditions(tx, FILESET, row, conditions)
        head = await head_of(tx, row)
        if parent is not None and parent != head.id:
            raise PreconditionFailed(
                f"the head of the fileset is {head.id}, not {parent}: somebody changed files; read them again",
                current_commit=head.id,
            )
        check_own(row)
        changes = await plan(tx, row, head)
        new, commit = await commit_changes(tx, context, caller, row, head, changes, message)
        files = [None if change.removes else await tx.file_at(row.id, commit.number, change.path) for change in changes]
        written = Written(FILESET, row, new, await shown(tx, FILESET, new, verbose=False))
        results.append(Committed(written, commit, files, commit.id != head.id))
        return written

    return FileWrite(Write(FILESET, "update", run, heavy=heavy), results)


def check_own(row: Row) -> None:
    """Raises Forbidden for a fileset whose files are those of a source."""
    if is_external(row.fields):
        raise Forbidden("the files of this fileset are those of its source, and can only be read")


def check_changes(changes: Sequence[FileChange]) -> None:
    """Raises BadPath for a path that no file can have or that stands twice, InvalidInput for too many changes."""
    if len(changes) > MOST_CHANGES:
        raise InvalidInput.of(("body",), "too_long", f"a commit changes at most {MOST_CHANGES} files; make several")
    seen: set[str] = set()
    for change in changes:
        check_path(change.path)
        if change.path in seen:
            raise BadPath(f"{change.path!r} stands twice in the commit", field="path")
        seen.add(change.path)


async def head_of(tx: ReadTransaction, row: Row) -> Commit:
    """The last commit of a fileset."""
    head = await tx.head_commit(row.id)
    assert head is not None  # noqa: S101 - a fileset begins with a commit
    return head


async def first_commit(tx: WriteTransaction, caller: Caller, row: Row) -> Commit:
    """The empty state, with which a fileset begins."""
    commit = Commit(row.id, 0, commit_id(None, row.id, ()), None, row.created_at, caller.name, None, row.revision)
    await tx.put_commit(commit)
    return commit


async def commit_changes(
    tx: WriteTransaction,
    context: Context,
    caller: Caller,
    row: Row,
    head: Commit,
    changes: Sequence[FileChange],
    message: str | None = None,
    *,
    id: str | None = None,
    also: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Row, Commit]:
    """The fileset and its head after `changes`; both are as before if the files have those contents already.

    `id` is that of the commit where a source has given it one; `also` are fields that change with the files. A path
    that is removed must be there, and what is put must be bytes that the workspace may name.
    """
    real, count, size = await _effect(tx, row, head, changes)
    if not real:
        return row, head
    await _check_places(tx, row, head, changes)
    await _check_bytes(tx, context, row, real)
    await _check_frozen(tx, row)
    id = id or commit_id(head.id, row.id, real)
    fields = {**row.fields, **also, "commit": id, "file_count": count, "total_size": size}
    new = await writes.change_fields(tx, context, caller, FILESET, row, fields)
    commit = Commit(row.id, head.number + 1, id, head.id, new.updated_at, caller.name, message, new.revision)
    await tx.put_commit(commit)
    for change in real:
        await tx.change_file(row.id, commit.number, change, new.updated_at)
    await withdraw_trust(tx, context, caller, new, [change.path for change in real])
    return new, commit


async def _effect(
    tx: ReadTransaction, row: Row, head: Commit, changes: Sequence[FileChange]
) -> tuple[list[FileChange], int, int]:
    """The changes that change something, and how many files and bytes there are after them."""
    real, count, size = [], row.fields["file_count"], row.fields["total_size"]
    for change in changes:
        before = await tx.file_at(row.id, head.number, change.path)
        if change.removes and before is None:
            raise NotFound(f"File {change.path!r} not found in the fileset {f'{row.workspace}/{row.name}'!r}")
        if (
            before is not None
            and not change.removes
            and (before.digest, before.remote)
            == (
                change.digest,
                change.remote,
            )
        ):
            continue
        count += (not change.removes) - (before is not None)
        size += change.size - (before.size if before else 0)
        real.append(change)
    return real, count, size


async def _check_places(tx: ReadTransaction, row: Row, head: Commit, changes: Sequence[FileChange]) -> None:
    """Raises Conflict where a path would be both a file and a folder."""
    put = {change.path for change in changes if not change.removes}
    removed = {change.path for change in changes if change.removes}
    folders = {folder for path in put for folder in folders_above(path)}
    for folder in sorted(folders):
        is_file = folder not in removed and await tx.file_at(row.id, head.number, folder) is not None
        if folder in put or is_file:
            raise Conflict(f"{folder!r} is a file, so nothing can lie below it; remove it first", field="path")
    for path in sorted(put - folders):
        below = await tx.files_at(row.id, head.number, prefix=f"{path}/", limit=len(removed) + 1)
        if any(entry.path not in removed for entry in below):
            raise Conflict(f"{path!r} is a folder; remove the files below it first", field="path")


async def _check_bytes(tx: ReadTransaction, context: Context, row: Row, changes: Changes) -> None:
    """Raises MissingBytes, which names the digests, unless the workspace may name all of the bytes."""
    since, missing = context.ago(CLAIM_SECONDS), dict[str, str]()
    for change in changes:
        if change.digest is None:
            continue
        blob = await tx.blob(change.digest)
        if blob is None or blob.state != "live" or not await tx.workspace_has(row.workspace, change.digest, since):
            missing[change.digest] = change.path
        elif blob.size != change.size:
            raise InvalidInput.of(("body", "size"), "size", f"{change.path!r} has {blob.size} bytes, not {change.size}")
        else:
            await check_put(tx, context, row, change.path, blob.facts)
    if missing:
        digest, path = next(iter(missing.items()))
        more = f", and those of {len(missing) - 1} others," if len(missing) > 1 else ""
        raise MissingBytes(
            f"the bytes of {path!r} (sha256 {digest}){more} are not here; upload them, then commit",
            digest=digest,
            missing=list(missing)[:_DIGESTS_NAMED],
        )


async def _check_frozen(tx: ReadTransaction, row: Row) -> None:
    """Raises Frozen if a frozen model's files would change."""
    for model, field in await tx.referrers(FILESET.name, Reference(row.workspace, row.name), row.id, _MOST_MODELS):
        if field == "fileset" and model.fields.get("frozen"):
            raise Frozen(
                f"the files are those of the frozen model {f'{model.workspace}/{model.name}'!r}; unfreeze it, or use "
                "another fileset",
                field="fileset",
            )


def removals(files: Iterable[FileEntry]) -> list[FileChange]:
    """The changes that remove files."""
    return [FileChange(entry.path, None) for entry in files]
