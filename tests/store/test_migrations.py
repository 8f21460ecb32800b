"""A database of an earlier version is brought up to date with all that is in it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from steelyard.records.kinds import Row
from steelyard.store.protocol import ReadTransaction
from steelyard.store.sqlite import open_store
from steelyard.store.statements import load_migrations

LIGHTER_CHANGES = 5
CHANGES = 40
TIME = "2026-01-01T00:00:00.{:06}Z"


def _as_it_was(path: Path) -> None:
    """A database from before `0005`: a model of 40 revisions, with a project, and a deleted one of three."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for number, text in load_migrations():
            if number < LIGHTER_CHANGES:
                database.executescript(f"BEGIN;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")
        stamps = (TIME.format(1), TIME.format(CHANGES))
        database.execute(
            "INSERT INTO records (id, kind, workspace, name, revision, created_at, updated_at, fields) "
            "VALUES ('model-a', 'model', 'w', 'a', ?, ?, ?, '{\"project\": \"p\"}')",
            (CHANGES, *stamps),
        )
        revisions = [("model-a", "a", number) for number in range(1, CHANGES + 1)]
        for id, name, number in [*revisions[:20], ("model-b", "b", 1), ("model-b", "b", 2), *revisions[20:]]:
            database.execute(
                "INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, changed, fields) "
                "VALUES (?, 'model', 'w', ?, ?, ?, ?, '[]', json_object('number', ?))",
                (id, name, number, "create" if number == 1 else "update", TIME.format(number), number),
            )
        database.execute(
            "INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, changed) "
            "VALUES ('model-b', 'model', 'w', 'b', 3, 'delete', ?, '[]')",
            (TIME.format(3),),
        )
        database.execute(
            "INSERT INTO deleted (id, kind, workspace, name, revision, created_at, fields, deleted_at) "
            "VALUES ('model-b', 'model', 'w', 'b', 3, ?, '{}', ?)",
            (TIME.format(1), TIME.format(3)),
        )


async def test_every_revision_of_before_is_found_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "steelyard.db"
    _as_it_was(path)
    store = open_store(path, 1)

    async def look(tx: ReadTransaction) -> tuple[list[int], list[int], list[int], int, Row | None]:
        one_by_one = [await tx.revision("model-a", number) for number in range(1, CHANGES + 1)]
        listed = await tx.revisions("model-a", 2**62, 100)
        of_deleted = await tx.revisions("model-b", 2**62, 100)
        assert all(found is not None and found.fields is not None for found in one_by_one)
        numbers = [found.fields["number"] for found in one_by_one if found and found.fields]
        count = await tx.count_revisions("model-a")
        return (
            numbers,
            [r.revision for r in listed],
            [r.revision for r in of_deleted],
            count,
            await tx.find("model", "w", "a"),
        )

    numbers, listed, of_deleted, count, row = await store.scan(look)
    await store.close()

    assert numbers == list(range(1, CHANGES + 1))
    assert listed == numbers[::-1]
    assert of_deleted == [3, 2, 1]
    assert count == CHANGES
    assert row is not None
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT project FROM records").fetchall() == [("p",)]


GATEWAY = 6
PROMPT = {"system_prompt": "Be kind.", "inference_params": {"temperature": 0.5}}


def _before_the_gateway(path: Path) -> None:
    """A database from before `0006`: models with and without a prompt, one that is deleted, and a workspace."""
    bare, spoken = json.dumps({"description": "d", "prompt": None}), json.dumps({"description": "d", "prompt": PROMPT})
    rows = [
        ("model", "w", "bare", bare),
        ("model", "w", "spoken", spoken),
        ("workspace", "", "w", '{"description": "d"}'),
    ]
    rows.append(("prompt", "w", "alone", '{"description": "d"}'))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for number, text in load_migrations():
            if number < GATEWAY:
                database.executescript(f"BEGIN;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")
        for kind, workspace, name, fields in rows:
            database.execute(
                "INSERT INTO records (id, kind, workspace, name, revision, created_at, updated_at, fields) "
                "VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
                (name, kind, workspace, name, TIME.format(1), TIME.format(1), fields),
            )
            database.execute(
                "INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, changed, fields) "
                "VALUES (?, ?, ?, ?, 1, 'create', ?, '[]', ?)",
                (name, kind, workspace, name, TIME.format(1), fields),
            )
        database.execute(
            "INSERT INTO deleted (id, kind, workspace, name, revision, created_at, fields, deleted_at) "
            "VALUES ('gone', 'model', 'w', 'gone', 2, ?, ?, ?)",
            (TIME.format(1), spoken, TIME.format(2)),
        )


async def test_records_of_before_the_gateway_have_its_fields_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "steelyard.db"
    _before_the_gateway(path)
    store = open_store(path, 1)

    async def look(tx: ReadTransaction) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for kind, workspace, name in (("model", "w", "bare"), ("model", "w", "spoken"), ("workspace", "", "w")):
            row, past = await tx.find(kind, workspace, name), await tx.revision(name, 1)
            assert row is not None
            assert past is not None
            assert past.fields == row.fields
            found[name] = row.fields
        gone, alone = await tx.find_deleted("model", "w", "gone"), await tx.find("prompt", "w", "alone")
        assert gone is not None
        assert alone is not None
        return found | {"gone": gone.fields, "alone": alone.fields}

    found = await store.scan(look)
    await store.close()

    spoken = {"description": "d", "prompt": {**PROMPT, "inference_params_as": None}, "pricing": None, "routing": None}
    assert found == {
        "bare": {"description": "d", "prompt": None, "pricing": None, "routing": None},
        "spoken": spoken,
        "gone": spoken,
        "w": {"description": "d", "recording": None},
        "alone": {"description": "d"},
    }
