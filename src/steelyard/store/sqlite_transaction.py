"""A transaction on one SQLite connection. Its methods are coroutines that never wait: see `protocol.py`."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from steelyard.records.history import DeletedRow, Revision
from steelyard.records.kinds import Row
from steelyard.records.names import Reference
from steelyard.store.filters import compile_filter
from steelyard.store.queries import KeptAnswer, Query
from steelyard.store.sqlite_access import AccessReads
from steelyard.store.sqlite_files import FileReads
from steelyard.store.sqlite_lineage import LineageReads
from steelyard.store.sqlite_secrets import SecretReads
from steelyard.store.sqlite_usage import UsageReads
from steelyard.store.sqlite_webhooks import WebhookReads
from steelyard.store.statements import Statement

_COLUMNS = (
    "r.kind, r.workspace, r.name, r.id, r.revision, r.created_at, r.updated_at, r.created_by, r.updated_by, r.parent, "
    "r.fields"
)


class SqliteReadTransaction(AccessReads, FileReads, LineageReads, SecretReads, UsageReads, WebhookReads):
    """Reads on a connection; what it sees is consistent if the connection is within BEGIN and COMMIT."""

    def __init__(self, connection: sqlite3.Connection, statements: Mapping[str, Statement]) -> None:
        self._connection = connection
        self._sql = statements

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        sql, order = self._sql[statement]
        return self._connection.execute(sql, values if order is None else [values[place] for place in order])

    async def find(self, kind: str, workspace: str, name: str) -> Row | None:
        found = self._execute("find", (kind, workspace, name)).fetchone()
        return _row((kind, workspace, name, *found)) if found else None

    async def exists(self, kind: str, workspace: str, name: str) -> bool:
        return self._execute("exists", (kind, workspace, name)).fetchone() is not None

    async def select(self, query: Query) -> list[Row]:
        where, values = _where(query)
        direction, beyond = ("DESC", "<") if query.descending else ("ASC", ">")
        column = _SORT_COLUMNS[query.sort]
        if query.after is not None:
            where += f" AND ({column}, r.id) {beyond} (?, ?)"
            values.extend(query.after)
        sql = (
            f"SELECT {_COLUMNS} FROM records AS r WHERE {where} "  # noqa: S608 - only column names and ? are put in
            f"ORDER BY {column} {direction}, r.id {direction} LIMIT ? OFFSET ?"
        )
        rows = self._connection.execute(sql, (*values, query.limit, query.offset))
        return [_row(found) for found in rows]

    async def count(self, query: Query) -> int:
        if query.filter is None and query.workspaces is None:
            name, values = "count", [query.kind, query.workspace]
            if query.workspace is None:
                name, values = "count_everywhere", [query.kind]
            return int(self._execute(name, values).fetchone()[0])
        where, parameters = _where(query)
        sql = f"SELECT COUNT(*) FROM records AS r WHERE {where}"  # noqa: S608 - only column names and ? are put in
        return int(self._connection.execute(sql, parameters).fetchone()[0])

    async def content(self, digest: str) -> bytes | None:
        found = self._execute("content", (digest,)).fetchone()
        return found[0].encode() if found else None

    async def referrers(self, kind: str, target: Reference, besides: str, limit: int) -> list[tuple[Row, str]]:
        values = (kind, target.workspace, target.name, besides, limit)
        return [(_row(found[:-1]), found[-1]) for found in self._execute("referrers", values)]

    async def count_referrers(self, kind: str, target: Reference, besides: str) -> int:
        values = (kind, target.workspace, target.name, besides)
        return int(self._execute("count_referrers", values).fetchone()[0])

    async def workspace_referrers(self, workspace: str) -> list[tuple[str, Reference]]:
        rows = self._execute("workspace_referrers", (workspace,))
        return [(kind, Reference(home, name)) for kind, home, name in rows]

    async def children(self, id: str, limit: int) -> list[Row]:
        return [_row(found) for found in self._execute("children", (id, limit))]

    async def find_deleted(self, kind: str, workspace: str, name: str) -> DeletedRow | None:
        found = self._execute("find_deleted", (kind, workspace, name)).fetchone()
        return _deleted(found) if found else None

    async def deleted_with(self, id: str) -> list[DeletedRow]:
        return [_deleted(found) for found in self._execute("deleted_with", (id,))]

    async def deleted_in(self, workspace: str) -> list[DeletedRow]:
        return [_deleted(found) for found in self._execute("deleted_in", (workspace,))]

    async def deleted_before(self, time: str, limit: int) -> list[DeletedRow]:
        return [_deleted(found) for found in self._execute("deleted_before", (time, limit))]

    async def revision(self, id: str, number: int) -> Revision | None:
        return self._revision("revision", (id, number))

    async def revision_at(self, id: str, time: str) -> Revision | None:
        return self._revision("revision_at", (id, time))

    def _revision(self, statement: str, values: Sequence[Any]) -> Revision | None:
        found = self._execute(statement, values).fetchone()
        return _revision(found) if found else None

    async def revisions(self, id: str, newest: int, limit: int) -> list[Revision]:
        return [_revision(found) for found in self._execute("revisions", (id, newest, limit))]

    async def count_revisions(self, id: str) -> int:
        return int(self._execute("count_revisions", (id,)).fetchone()[0])

    async def caused(self, id: str) -> list[Revision]:
        return [_revision(found) for found in self._execute("caused", (id,))]

    async def created(self, id: str) -> tuple[str, str | None] | None:
        found: tuple[str, str | None] | None = self._execute("created", (id,)).fetchone()
        return found

    async def events(self, after: int, limit: int) -> list[Revision]:
        return [_revision(found) for found in self._execute("events", (after, limit))]

    async def last_event(self) -> int:
        return int(self._execute("last_event").fetchone()[0])

    async def find_answer(self, scope: str, key: str, since: str) -> KeptAnswer | None:
        found = self._execute("find_answer", (scope, key, since)).fetchone()
        if found is None:
            return None
        asked, status, headers, body = found
        return KeptAnswer(asked, status, [(name, value) for name, value in orjson.loads(headers)], body)


def _row(found: Sequence[Any]) -> Row:
    kind, workspace, name, id, revision, created_at, updated_at, created_by, updated_by, parent, fields = found
    return Row(
        kind,
        id,
        workspace,
        name,
        revision,
        created_at,
        updated_at,
        orjson.loads(fields),
        created_by,
        updated_by,
        parent,
    )


def _deleted(found: Sequence[Any]) -> DeletedRow:
    row = DeletedRow(*found)
    return row._replace(fields=orjson.loads(found[8]))


def _revision(found: Sequence[Any]) -> Revision:
    changed, fields = orjson.loads(found[12]), orjson.loads(found[13]) if found[13] else None
    return Revision(*found)._replace(changed=changed, fields=fields)


_SORT_COLUMNS = {
    "created_at": "r.created_at",
    "updated_at": "r.updated_at",
    "name": "r.name",
    "status": "json_extract(r.fields, '$.status')",
}


_IN_WORKSPACES = " AND r.workspace IN (SELECT value FROM json_each(?))"
_OF_WORKSPACES = " AND r.name IN (SELECT value FROM json_each(?))"


def _where(query: Query) -> tuple[str, list[Any]]:
    where, values = "r.kind = ?", [query.kind]
    if query.workspace is not None:
        where += " AND r.workspace = ?"
        values.append(query.workspace)
    if query.workspaces is not None:
        where += _OF_WORKSPACES if query.kind == "workspace" else _IN_WORKSPACES
        values.append(orjson.dumps(sorted(query.workspaces)).decode())
    if query.filter is not None:
        condition, parameters = compile_filter(query.filter)
        where += f" AND ({condition})"
        values.extend(parameters)
    return where, values
