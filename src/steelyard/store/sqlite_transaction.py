"""A transaction on one SQLite connection. Its methods are coroutines that never wait: see `protocol.py`."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from steelyard.errors import AlreadyExists
from steelyard.records.kinds import Link, Row
from steelyard.records.names import Reference
from steelyard.store.filters import compile_filter
from steelyard.store.protocol import Query

_COLUMNS = "r.kind, r.workspace, r.name, r.id, r.revision, r.created_at, r.updated_at, r.created_by, r.updated_by, r.parent, r.fields"


class SqliteReadTransaction:
    """Reads on a connection; what it sees is consistent if the connection is within BEGIN and COMMIT."""

    def __init__(self, connection: sqlite3.Connection, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = statements

    async def find(self, kind: str, workspace: str, name: str) -> Row | None:
        found = self._connection.execute(self._sql["find"], (kind, workspace, name)).fetchone()
        if found is None:
            return None
        id, revision, created_at, updated_at, created_by, updated_by, parent, fields = found
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

    async def exists(self, kind: str, workspace: str, name: str) -> bool:
        return self._connection.execute(self._sql["exists"], (kind, workspace, name)).fetchone() is not None

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
        if query.filter is None:
            name, values = "count", [query.kind, query.workspace]
            if query.workspace is None:
                name, values = "count_everywhere", [query.kind]
            return int(self._connection.execute(self._sql[name], values).fetchone()[0])
        where, parameters = _where(query)
        sql = f"SELECT COUNT(*) FROM records AS r WHERE {where}"  # noqa: S608 - only column names and ? are put in
        return int(self._connection.execute(sql, parameters).fetchone()[0])

    async def content(self, digest: str) -> bytes | None:
        found = self._connection.execute(self._sql["content"], (digest,)).fetchone()
        return found[0].encode() if found else None

    async def base_models(self, model: Reference) -> list[Reference]:
        return [
            Reference(*found)
            for found in self._connection.execute(self._sql["base_models"], (model.workspace, model.name))
        ]

    async def referrers(
        self, kind: str, target: Reference, besides: str, limit: int
    ) -> list[tuple[Row, str]]:
        values = (kind, target.workspace, target.name, besides, limit)
        return [
            (_row(found[:-1]), found[-1])
            for found in self._connection.execute(self._sql["referrers"], values)
        ]

    async def count_referrers(self, kind: str, target: Reference, besides: str) -> int:
        values = (kind, target.workspace, target.name, besides)
        return int(self._connection.execute(self._sql["count_referrers"], values).fetchone()[0])

    async def workspace_referrers(self, workspace: str) -> list[tuple[str, Reference]]:
        rows = self._connection.execute(self._sql["workspace_referrers"], (workspace,))
        return [(kind, Reference(home, name)) for kind, home, name in rows]


class SqliteWriteTransaction(SqliteReadTransaction):
    """Reads and changes. The writer begins and ends it; each action of a batch gets one of its own.

    A savepoint is set before an action's first change, so that an action that fails later takes nothing of the others
    with it.
    """

    wrote = False

    def _change(self, statement: str, values: Sequence[Any]) -> int:
        if not self.wrote:
            self._connection.execute("SAVEPOINT action")
            self.wrote = True
        return self._connection.execute(self._sql[statement], values).rowcount

    async def insert(self, row: Row, links: Sequence[Link]) -> None:
        stamps = (row.id, row.kind, row.workspace, row.name, row.parent, row.revision)
        times = (row.created_at, row.updated_at, row.created_by, row.updated_by)
        if not self._change("insert", (*stamps, *times, orjson.dumps(row.fields).decode())):
            place = f" in the workspace {row.workspace!r}" if row.workspace else ""
            raise AlreadyExists(f"A {row.kind} named {row.name!r} exists already{place}")
        self._link(row, links)

    async def update(self, row: Row, links: Sequence[Link] | None) -> None:
        values = (row.revision, row.updated_at, row.updated_by, orjson.dumps(row.fields).decode(), row.id)
        self._change("update", values)
        if links is not None:
            self._change("unlink", (row.id,))
            self._link(row, links)

    async def delete(self, row: Row) -> None:
        self._change("delete", (row.id,))

    async def delete_in_workspace(self, workspace: str) -> None:
        self._change("delete_in_workspace", (workspace,))

    async def put_content(self, digest: str, body: bytes) -> None:
        self._change("put_content", (digest, body.decode()))

    def _link(self, row: Row, links: Sequence[Link]) -> None:
        for link in links:
            self._change(
                "link", (row.id, link.field, link.target_kind, link.target.workspace, link.target.name)
            )


_SORT_COLUMNS = {"created_at": "r.created_at", "updated_at": "r.updated_at", "name": "r.name"}


def _where(query: Query) -> tuple[str, list[Any]]:
    where, values = "r.kind = ?", [query.kind]
    if query.workspace is not None:
        where += " AND r.workspace = ?"
        values.append(query.workspace)
    if query.filter is not None:
        condition, parameters = compile_filter(query.filter)
        where += f" AND ({condition})"
        values.extend(parameters)
    return where, values


def _row(found: Sequence[Any]) -> Row:
    kind, workspace, name, id, revision, created_at, updated_at, created_by, updated_by, parent, fields = (
        found
    )
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
