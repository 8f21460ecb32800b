"""What SQLite knows of where models come from: the part of a reading transaction that is about it."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from steelyard.records.lineage import Relative
from steelyard.records.names import Reference


class LineageReads:
    """Reads about ancestors and descendants; part of `SqliteReadTransaction`."""

    _execute: Callable[..., sqlite3.Cursor]

    async def lineage(self, model: Reference, *, up: int, down: int, limit: int) -> list[Relative]:
        values = (model.workspace, model.name, up, down, limit)
        return [_relative(found) for found in self._execute("lineage", values)]


def _relative(found: Sequence[Any]) -> Relative:
    direction, depth, kind, workspace, name, near_kind, near_workspace, near_name, via, here, has_workspace = found[:11]
    near = (near_kind, Reference(near_workspace, near_name))
    reference = Reference(workspace, name)
    return Relative(direction, depth, kind, reference, near, via, bool(here), bool(has_workspace), *found[11:])
