"""What SQLite keeps of filesets' files and of bytes: the part of both transactions that is about them."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from steelyard.records.blobs import Blob, BlobState, StoredInspection
from steelyard.records.filesets import Commit, FileChange, FileEntry
from steelyard.records.names import Reference

_LAST = "\U0010ffff"


class FileReads:
    """Reads about files and bytes; part of `SqliteReadTransaction`."""

    _execute: Callable[..., sqlite3.Cursor]

    async def head_commit(self, fileset_id: str) -> Commit | None:
        return self._commit("head_commit", (fileset_id,))

    async def commit_of_id(self, fileset_id: str, id: str) -> Commit | None:
        return self._commit("commit_of_id", (fileset_id, id))

    def _commit(self, statement: str, values: Sequence[Any]) -> Commit | None:
        found = self._execute(statement, values).fetchone()
        return Commit(*found) if found else None

    async def commits(self, fileset_id: str, newest: int, limit: int) -> list[Commit]:
        return [Commit(*found) for found in self._execute("commits", (fileset_id, newest, limit))]

    async def file_at(self, fileset_id: str, number: int, path: str) -> FileEntry | None:
        found = self._execute("file_at", (fileset_id, path, number)).fetchone()
        return _entry(found) if found else None

    async def files_at(
        self, fileset_id: str, number: int, *, after: str = "", prefix: str = "", limit: int
    ) -> list[FileEntry]:
        # No path holds the character NUL, so nothing lies between `after` and this.
        first = max(prefix, f"{after}\0") if after else prefix
        values = (fileset_id, number, first, prefix + _LAST, limit)
        return [_entry(found) for found in self._execute("files_at", values)]

    async def blob(self, digest: str) -> Blob | None:
        found = self._execute("blob", (digest,)).fetchone()
        return _blob(found) if found else None

    async def blobs_from(self, after: str, limit: int) -> list[Blob]:
        return [_blob(found) for found in self._execute("blobs_from", (after, limit))]

    async def blob_users(self, digest: str, limit: int) -> list[tuple[Reference, str]]:
        rows = self._execute("blob_users", (digest, limit))
        return [(Reference(workspace, name), path) for workspace, name, path in rows]

    async def workspace_has(self, workspace: str, digest: str, since: str) -> bool:
        return bool(self._execute("workspace_has", (digest, workspace, since)).fetchone()[0])

    async def unused_blobs(self, before: str, after: str, limit: int) -> list[str]:
        rows = self._execute("unused_blobs", (before, after, limit))
        return [digest for (digest,) in rows]

    async def garbage(self, limit: int) -> list[str]:
        return [digest for (digest,) in self._execute("garbage", (limit,))]

    async def filesets_ahead(self, limit: int) -> list[Reference]:
        return [Reference(*found) for found in self._execute("filesets_ahead", (limit,))]

    async def inspection(self, content: str) -> StoredInspection | None:
        found = self._execute("inspection", (content,)).fetchone()
        return StoredInspection(found[0], found[1], orjson.loads(found[2])) if found else None


class FileChanges:
    """Changes of files and bytes; part of `SqliteWriteTransaction`."""

    _change: Callable[[str, Sequence[Any]], int]

    async def put_commit(self, commit: Commit) -> None:
        self._change("put_commit", commit)

    async def set_commit_content(self, fileset_id: str, number: int, content: str) -> None:
        self._change("set_commit_content", (content, fileset_id, number))

    async def change_file(self, fileset_id: str, number: int, change: FileChange, at: str) -> None:
        self._change("close_file", (number, fileset_id, change.path))
        if not change.removes:
            remote = None if change.remote is None else orjson.dumps(change.remote).decode()
            self._change("put_file", (fileset_id, change.path, number, change.digest, change.size, at, remote))

    async def set_file_digest(self, fileset_id: str, entry: FileEntry, digest: str, size: int) -> None:
        self._change("set_file_digest", (digest, size, fileset_id, entry.path, entry.since))

    async def forget_files(self, fileset_id: str) -> None:
        self._change("forget_files", (fileset_id,))
        self._change("forget_commits", (fileset_id,))

    async def forget_replaced_files(self, before: str, limit: int) -> int:
        return self._change("forget_replaced_files", (before, limit))

    async def put_blob(self, blob: Blob) -> None:
        facts = orjson.dumps(blob.facts).decode()
        self._change("put_blob", (blob.digest, blob.size, blob.state, blob.seen_at, facts))

    async def touch_blob(self, digest: str, at: str) -> None:
        self._change("touch_blob", (at, digest))

    async def claim_blob(self, digest: str, workspace: str, at: str) -> None:
        self._change("claim_blob", (digest, workspace, at))

    async def set_blob_state(self, digest: str, state: BlobState) -> None:
        self._change("set_blob_state", (digest, state))

    async def mark_garbage(self, digest: str, before: str) -> bool:
        return bool(self._change("mark_garbage", (digest, before)))

    async def forget_blob(self, digest: str) -> None:
        self._change("forget_blob", (digest,))

    async def forget_claims(self, before: str) -> None:
        self._change("forget_claims", (before,))

    async def put_inspection(self, content: str, inspection: StoredInspection) -> None:
        body = orjson.dumps(inspection.body).decode()
        self._change("put_inspection", (content, inspection.version, inspection.at, body))

    async def forget_inspections(self, before: str) -> None:
        self._change("forget_inspections", (before,))


def _entry(found: Sequence[Any]) -> FileEntry:
    path, digest, size, since, at, remote, facts, state = found
    return FileEntry(
        *(path, digest, size, since, at),
        remote=orjson.loads(remote) if remote else None,
        facts=orjson.loads(facts) if facts else None,
        state=state,
    )


def _blob(found: Sequence[Any]) -> Blob:
    digest, size, state, seen_at, facts = found
    return Blob(digest, size, state, seen_at, orjson.loads(facts))
