"""Where models come from, asked of the database: one statement, and bounded whatever the links say."""

import sqlite3
from collections.abc import Iterator
from itertools import count

import pytest

from steelyard.records.names import Reference
from steelyard.store.sqlite_transaction import SqliteReadTransaction
from steelyard.store.statements import load_migrations, load_statements

_NOW = "2026-01-01T00:00:00.000000Z"
_numbers = count(1)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """An empty database with one workspace, `w`."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for _, text in load_migrations():
        connection.executescript(text)
    add(connection, "workspace", "w", workspace="")
    yield connection
    connection.close()


def add(
    connection: sqlite3.Connection, kind: str, name: str, *targets: tuple[str, str, str], workspace: str = "w"
) -> None:
    """A record, and its links, each a field, a kind and a name."""
    id = f"{kind}-{next(_numbers)}"
    connection.execute(
        "INSERT INTO records (id, kind, workspace, name, revision, created_at, updated_at, fields) "
        "VALUES (?, ?, ?, ?, 1, ?, ?, '{}')",
        (id, kind, workspace, name, _NOW, _NOW),
    )
    for field, target_kind, target in targets:
        connection.execute("INSERT INTO links VALUES (?, ?, ?, 'w', ?)", (id, field, target_kind, target))


async def names(connection: sqlite3.Connection, name: str, **bounds: int) -> list[tuple[str, int, str]]:
    tx = SqliteReadTransaction(connection, load_statements())
    found = await tx.lineage(Reference("w", name), **{"up": 32, "down": 32, "limit": 100, **bounds})
    return [(one.direction, one.depth, one.reference.name) for one in found]


async def test_a_circle_of_links_ends(database: sqlite3.Connection) -> None:
    add(database, "model", "a", ("base_model", "model", "b"))
    add(database, "model", "b", ("base_model", "model", "a"))

    found = await names(database, "a", up=5, down=5)

    assert {depth for direction, depth, _ in found if direction == "up"} == {1, 2, 3, 4, 5}
    assert len(found) == 10


async def test_no_more_rows_than_the_limit_each_way(database: sqlite3.Connection) -> None:
    add(database, "model", "root")
    for number in range(50):
        add(database, "model", f"m{number}", ("base_model", "model", "root"))

    assert len(await names(database, "root", limit=20)) == 20
    assert len(await names(database, "root", limit=100)) == 50


async def test_one_statement_however_large_the_family_is(database: sqlite3.Connection) -> None:
    add(database, "model", "root")
    add(database, "alias", "root@prod", ("model", "model", "root"))
    for number in range(300):
        base = ("alias", "root@prod") if number % 2 else ("model", "root")
        add(database, "model", f"m{number}", ("base_model", *base))
        add(database, "adapter", f"a{number}", ("model", "model", f"m{number}"))
    said: list[str] = []
    database.set_trace_callback(said.append)

    found = await names(database, "root", limit=10_000)

    assert len(found) == 600
    assert len(said) == 1


async def test_what_only_names_a_model_is_no_relative(database: sqlite3.Connection) -> None:
    add(database, "model", "root")
    add(database, "prompt", "p", ("model", "model", "root"))
    add(database, "model", "other", ("model_providers", "model", "root"))
    add(database, "alias", "root@prod", ("model", "model", "root"))

    assert await names(database, "root") == []


async def test_no_index_is_left_unused(database: sqlite3.Connection) -> None:
    sql, order = load_statements()["lineage"]
    plan = database.execute(
        f"EXPLAIN QUERY PLAN {sql}", [("w", "a", 1, 1, 1)[place] for place in order or ()]
    ).fetchall()

    scanned = [row[3] for row in plan if row[3].startswith("SCAN")]
    tables = [step for step in scanned if "CONSTANT" not in step]
    assert [step for step in tables if step.split()[1] not in {"up", "down", "found"}] == []
