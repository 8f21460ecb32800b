"""Where SQLite keeps sealed secrets: the part of both transactions that finds and replaces them, wherever they are."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from steelyard.records.secrets import Sealed, SealedIn
from steelyard.store.queries import Key

_FIND = {"records": "sealed_records", "deleted": "sealed_deleted", "revisions": "sealed_revisions"}
_READ = {"records": "sealed_record", "deleted": "sealed_deleted_record", "revisions": "sealed_revision"}
_PUT = {"records": "put_sealed_record", "deleted": "put_sealed_deleted_record", "revisions": "put_sealed_revision"}


class SecretReads:
    """Reads about sealed secrets; part of `SqliteReadTransaction`."""

    _execute: Callable[..., sqlite3.Cursor]

    async def sealed(
        self, place: SealedIn, kind: str, path: str, *, after: str | int | None, limit: int, other_than: str = ""
    ) -> list[Sealed]:
        first = (0 if place == "revisions" else "") if after is None else after
        found = self._execute(_FIND[place], (first, kind, f"$.{path}", other_than, limit))
        return [_sealed(place, row) for row in found]

    async def sealed_at(self, place: SealedIn, key: str | int) -> Sealed | None:
        found = self._execute(_READ[place], (key,)).fetchone()
        return _sealed(place, found) if found else None

    async def sealing_keys(self, kind: str, path: str) -> set[str]:
        return {found[0] for found in self._execute("sealing_keys", (kind, f"$.{path}"))}


class SecretChanges:
    """Changes of sealed secrets; part of `SqliteWriteTransaction`."""

    _change: Callable[[str, Sequence[Any]], int]
    touched: list[Key]

    async def put_sealed(self, sealed: Sealed) -> None:
        if sealed.place == "records":
            self.touched.append(Key(sealed.kind, sealed.workspace, sealed.name))
        self._change(_PUT[sealed.place], (orjson.dumps(sealed.fields).decode(), sealed.key))


def _sealed(place: SealedIn, found: Sequence[Any]) -> Sealed:
    key, record_id, kind, workspace, name, fields = found
    return Sealed(place, key, record_id, kind, workspace, name, orjson.loads(fields))
