"""What SQLite keeps of keys, roles and the audit: the part of both transactions that is about them."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from steelyard.errors import AlreadyExists
from steelyard.records.access import Binding, Narrowing
from steelyard.records.audit import START, Entry, StoredEntry, link
from steelyard.records.keys import ApiKey
from steelyard.store.queries import Key

KEY, BINDING = "api-key", "role-binding"
_COLUMNS = (
    "seq, at, outcome, action, subject, key_id, issuer, address, request_id, rule, kind, workspace, name, record_id, "
    "revision, detail, hash"
)


class AccessReads:
    """Reads about who may do what; part of `SqliteReadTransaction`."""

    _connection: sqlite3.Connection
    _execute: Callable[..., sqlite3.Cursor]

    async def keys(self) -> list[ApiKey]:
        return [_key(found) for found in self._execute("keys")]

    async def key(self, id: str) -> ApiKey | None:
        found = self._execute("key", (id,)).fetchone()
        return _key(found) if found else None

    async def bindings(self) -> list[Binding]:
        return [Binding(*found) for found in self._execute("bindings")]

    async def binding(self, id: str) -> Binding | None:
        found = self._execute("binding", (id,)).fetchone()
        return Binding(*found) if found else None

    async def last_audit(self) -> tuple[int, str]:
        found: tuple[int, str] | None = self._execute("last_audit").fetchone()
        return found or (0, START)

    async def audit(
        self,
        *,
        after: int,
        limit: int,
        newest_first: bool = False,
        workspaces: Sequence[str] | None = None,
        equal: Sequence[tuple[str, str]] = (),
        since: str | None = None,
        until: str | None = None,
    ) -> list[StoredEntry]:
        where = f"seq {'<' if newest_first else '>'} ?"
        values: list[Any] = [after]
        if workspaces is not None:
            where += " AND workspace IN (SELECT value FROM json_each(?))"
            values.append(orjson.dumps(list(workspaces)).decode())
        for column, value in equal:
            where += f" AND {_EQUAL[column]} = ?"
            values.append(value)
        for sign, time in ((">=", since), ("<", until)):
            if time is not None:
                where += f" AND at {sign} ?"
                values.append(time)
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {_COLUMNS} FROM audit WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - names of ours
        rows = self._connection.execute(sql, (*values, limit))
        return [StoredEntry(found[0], Entry(*found[1:-1]), found[-1]) for found in rows]


_EQUAL = {name: name for name in ("subject", "key_id", "outcome", "action", "kind", "name", "record_id", "request_id")}


class AccessChanges(AccessReads):
    """Changes of who may do what; part of `SqliteWriteTransaction`."""

    _change: Callable[..., int]
    touched: list[Key]

    async def put_key(self, key: ApiKey) -> None:
        narrowing = {**_fields(key.narrowing), "networks": key.networks, "email": key.email, "groups": key.groups}
        stamps = (key.id, key.owner, key.name, key.digest, key.created_at, key.created_by, key.expires_at)
        if not self._change("put_key", (*stamps, orjson.dumps(narrowing).decode(), key.made_by_key)):
            raise AlreadyExists(f"the key {key.name!r} exists already")
        self.touched.append(Key(KEY, "", key.id))

    async def revoke_key(self, id: str, at: str) -> bool:
        self.touched.append(Key(KEY, "", id))
        return self._change("revoke_key", (at, id)) > 0

    async def touch_key(self, id: str, at: str) -> None:
        self._change("touch_key", (at, id))

    async def put_binding(self, binding: Binding) -> bool:
        self.touched.append(Key(BINDING, binding.workspace, binding.id))
        return self._change("put_binding", binding[:-1]) > 0

    async def revoke_binding(self, binding: Binding, at: str) -> bool:
        self.touched.append(Key(BINDING, binding.workspace, binding.id))
        return self._change("revoke_binding", (at, binding.id)) > 0

    async def revoke_bindings_of_workspace(self, workspace: str, at: str) -> None:
        self.touched.append(Key(BINDING, workspace, ""))
        self._change("revoke_bindings_of_workspace", (at, workspace))

    async def put_audit(self, entry: Entry) -> None:
        self._audit(entry)

    def _audit(self, entry: Entry) -> None:
        found: tuple[int, str] | None = self._execute("last_audit").fetchone()
        seq, before = found or (0, START)
        self._change("put_audit", (seq + 1, *entry, link(before, seq + 1, entry)))


def _fields(narrowing: Narrowing) -> dict[str, Sequence[str]]:
    return {"scopes": narrowing.scopes, "workspaces": narrowing.workspaces, "models": narrowing.models}


def _key(found: Sequence[Any]) -> ApiKey:
    *stamps, narrowing, made_by_key = found
    given = orjson.loads(narrowing)
    narrow = Narrowing(tuple(given["scopes"]), tuple(given["workspaces"]), tuple(given["models"]))
    rest = (tuple(given["networks"]), given["email"], tuple(given["groups"]), made_by_key)
    return ApiKey._make((*stamps, narrow, *rest))
