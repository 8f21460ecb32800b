"""What SQLite knows of where models come from: the part of a reading transaction that is about it."""

import sqlite3
from collections.abc import Mapping

from steelyard.records.lineage import Relative
from steelyard.records.names import Reference


class LineageReads:
    """Reads about ancestors and descendants; part of `SqliteReadTransaction`."""

    _connection: sqlite3.Connection
    _sql: Mapping[str, str]

    async def lineage(self, model: Reference, *, up: int, down: int, limit: int) -> list[Relative]:
        values = (model.workspace, model.name, up, down, limit)
        rows = self._connection.execute(self._sql["lineage"], values)
        return [
            Relative(
                direction,
                depth,
                kind,
                Reference(workspace, name),
                (near_kind, Reference(near_workspace, near_name)),
                via,
                bool(here),
                bool(has_workspace),
                finetuning_type,
                fileset,
            )
            for direction, depth, kind, workspace, name, near_kind, near_workspace, near_name, via, here, has_workspace, finetuning_type, fileset in rows
        ]
