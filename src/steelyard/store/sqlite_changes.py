"""Changes on one SQLite connection; each leaves a revision behind. See `sqlite_transaction.py`."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from steelyard.errors import AlreadyExists
from steelyard.records.history import DeletedRow, Note, audited
from steelyard.records.kinds import Link, Row
from steelyard.store.queries import EVERY, KeptAnswer, Key
from steelyard.store.sqlite_access import AccessChanges
from steelyard.store.sqlite_files import FileChanges
from steelyard.store.sqlite_secrets import SecretChanges
from steelyard.store.sqlite_transaction import SqliteReadTransaction
from steelyard.store.sqlite_usage import UsageChanges
from steelyard.store.sqlite_webhooks import WebhookChanges
from steelyard.store.statements import Statement


class SqliteWriteTransaction(
    AccessChanges, FileChanges, SecretChanges, UsageChanges, WebhookChanges, SqliteReadTransaction
):
    """Reads and changes. The writer begins and ends it; each action of a batch gets one of its own.

    With `savepoint` one is set before the action's first change, so that its changes can be taken back without those of
    the others. It has its price: SQLite then copies each page that they touch.
    """

    def __init__(
        self, connection: sqlite3.Connection, statements: Mapping[str, Statement], *, history: bool, savepoint: bool
    ) -> None:
        super().__init__(connection, statements)
        self.wrote = False
        """Whether anything has been changed."""
        self.touched: list[Key] = []
        """Which records have been changed."""
        self._history = history
        self._savepoint = savepoint
        self._marked = False
        self._made: int | None = None

    def end(self, *, keep: bool) -> None:
        """Keeps the action's changes for the commit, or takes them back; without a savepoint they can only be kept."""
        # A full disk may have ended the whole transaction, and the savepoint with it.
        if self._marked and self._connection.in_transaction:
            if not keep:
                self._connection.execute("ROLLBACK TO action")
            self._connection.execute("RELEASE action")

    def _change(self, statement: str, values: Sequence[Any]) -> int:
        self._mark()
        return self._made_by(self._execute(statement, values))

    def _change_many(self, statement: str, rows: int, values: Sequence[Any]) -> int:
        """A statement whose last line are the values of one row, with those of many."""
        self._mark()
        sql = self._sql[statement].sql
        one = sql.rpartition("\n")[2]
        return self._made_by(self._connection.execute(sql + f",\n{one}" * (rows - 1), values))

    def _mark(self) -> None:
        if self._savepoint and not self._marked:
            self._connection.execute("SAVEPOINT action")
            self._marked = True

    def _made_by(self, cursor: sqlite3.Cursor) -> int:
        self.wrote = self.wrote or cursor.rowcount != 0
        self._made = cursor.lastrowid
        return cursor.rowcount

    async def insert(self, row: Row, links: Sequence[Link], note: Note) -> None:
        fields = orjson.dumps(row.fields).decode()
        stamps = (row.id, row.kind, row.workspace, row.name, row.parent, row.revision)
        times = (row.created_at, row.updated_at, row.created_by, row.updated_by)
        self._touch(row)
        if not self._change("insert", (*stamps, *times, fields, row.fields.get("project"))):
            place = f" in the workspace {row.workspace!r}" if row.workspace else ""
            raise AlreadyExists(f"{row.kind.capitalize()} {row.name!r} exists already{place}")
        self._link(row, links)
        self._note(row, note, list(row.fields), fields)

    async def update(self, row: Row, links: Sequence[Link] | None, note: Note, changed: Sequence[str]) -> None:
        fields = orjson.dumps(row.fields).decode()
        self._touch(row)
        seq = self._note(row, note, changed, fields)
        self._change("update", (row.revision, row.updated_at, row.updated_by, seq, fields, row.id))
        if "project" in changed:
            self._change("set_project", (row.fields["project"], row.id))
        if links is not None:
            self._change("unlink", (row.id,))
            self._link(row, links)

    async def put_fields(self, row: Row) -> None:
        self._touch(row)
        fields = orjson.dumps(row.fields).decode()
        self._change("update", (row.revision, row.updated_at, row.updated_by, None, fields, row.id))

    async def delete(self, row: Row, note: Note) -> None:
        # First the note: the numbers of a record's revisions go on when it is undeleted.
        self._touch(row)
        gone = row._replace(revision=row.revision + 1)
        self._note(gone, note, [], None)
        kept = (row.id, row.kind, row.workspace, row.name, row.parent, gone.revision, row.created_at, row.created_by)
        self._change("remember_deleted", (*kept, orjson.dumps(row.fields).decode(), note.at, note.cause))
        self._change("delete", (row.id,))

    async def delete_in_workspace(self, workspace: str, note: Note) -> int:
        if self._history:
            noted = (note.at, note.actor, note.request_id, note.reason, note.cause, workspace)
            self._change("note_workspace_delete", noted)
        self.touched.append(Key(EVERY, workspace, ""))
        self._change("remember_workspace", (note.at, note.cause, workspace))
        return self._change("delete_in_workspace", (workspace,))

    async def forget_deleted(self, id: str) -> None:
        self._change("forget_deleted", (id,))

    async def purge(self, row: DeletedRow, note: Note) -> None:
        # First the note: the number of a change that is forgotten must not be given to another one.
        stamps = (row.id, row.kind, row.workspace, row.name, row.revision + 1)
        self._change(
            "note", (*stamps, note.action, note.at, note.actor, note.request_id, note.reason, None, "[]", None)
        )
        if note.by is not None:
            gone = Row(row.kind, row.id, row.workspace, row.name, row.revision + 1, row.created_at, note.at, {})
            self._audit(audited(gone, note, []))
        self._change("forget_revisions", (row.id,))
        self._change("forget_deleted", (row.id,))
        if row.kind == "fileset":
            await self.forget_files(row.id)

    async def put_content(self, digest: str, body: bytes) -> None:
        self._change("put_content", (digest, body.decode()))

    async def sweep_contents(self) -> None:
        self._change("sweep_contents", ())

    async def keep_answer(self, scope: str, key: str, at: str, answer: KeptAnswer) -> None:
        headers = orjson.dumps(answer.headers).decode()
        self._change("keep_answer", (scope, key, answer.asked, at, answer.status, headers, answer.body))

    async def forget_answers(self, before: str) -> None:
        self._change("forget_answers", (before,))

    def _touch(self, row: Row) -> None:
        self.touched.append(Key(row.kind, row.workspace, row.name))

    def _note(self, row: Row, note: Note, changed: Sequence[str], fields: str | None) -> int | None:
        """The number of the revision; None where no history is kept. The audit has it too, where there is one."""
        if note.by is not None:
            self._audit(audited(row, note, changed))
        if not self._history:
            return None
        stamps = (row.id, row.kind, row.workspace, row.name, row.revision, note.action, note.at)
        who = (note.actor, note.request_id, note.reason, note.cause)
        self._change("note", (*stamps, *who, orjson.dumps(changed).decode(), fields))
        return self._made

    def _link(self, row: Row, links: Sequence[Link]) -> None:
        for link in links:
            self._change("link", (row.id, link.field, link.target_kind, link.target.workspace, link.target.name))
