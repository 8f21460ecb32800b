"""SQL lives in `store/`: the fixed statements by name in the files of `store/sql/`, and nowhere else in the product."""

import ast
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.store.filters import register_functions
from steelyard.store.statements import Statement, load_migrations, load_statements
from tests.house.sources import SOURCE, Module, modules

_SQL = re.compile(
    r"\b(select\s.+\sfrom|insert\s+(or\s+\w+\s+)?into|update\s+\w+\s+set|delete\s+from|drop\s+table"
    r"|(create|alter)\s+(table|index|trigger)|pragma\s+\w+|begin\s+immediate|savepoint\s+\w+)\b",
    re.IGNORECASE | re.DOTALL,
)
_SQL_FILES = SOURCE / "store" / "sql"


def _texts(module: Module) -> Iterator[tuple[ast.expr, str]]:
    """The texts of a module but its docstrings; what is put into an f-string counts as one `x`."""
    skipped: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
            yield node, "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node, node.value


def strays(source: Path = SOURCE) -> Iterator[str]:
    """`file:line: text`, for each SQL statement outside `store/`."""
    for module in modules(source):
        if module.package != "store":
            for node, text in _texts(module):
                if _SQL.search(text):
                    yield f"{module.where(node)}: {text[:60]}"


def _stored_texts() -> set[str]:
    return {text for module in modules() if module.package == "store" for _, text in _texts(module)}


def _asked_for() -> Iterator[tuple[str, str]]:
    """Place and name of each statement that the store asks for by a literal name."""
    for module in modules():
        if module.package != "store":
            continue
        for node in ast.walk(module.tree):
            key: ast.expr | None = None
            if isinstance(node, ast.Subscript) and _last_name(node.value) in {"_sql", "_statements", "statements"}:
                key = node.slice
            elif isinstance(node, ast.Call) and _last_name(node.func) in {"_change", "_execute"}:
                key = node.args[0]
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield module.where(key), key.value


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def test_no_sql_is_written_outside_the_store() -> None:
    assert list(strays()) == []


@pytest.mark.parametrize(
    "text",
    [
        '"SELECT name FROM records"',
        'f"SELECT {columns} FROM records WHERE {where}"',
        '"INSERT OR IGNORE INTO links VALUES (?)"',
        '"update records set name = ?"',
        '"PRAGMA user_version"',
    ],
)
def test_sql_outside_the_store_is_found(tmp_path: Path, text: str) -> None:
    source = tmp_path / "src" / "steelyard"
    (source / "api").mkdir(parents=True)
    (source / "api" / "models.py").write_text(f'"""Says select x from y."""\n\nQUERY = {text}\n')

    (found,) = strays(source)

    assert found.startswith("src/steelyard/api/models.py:3: ")


def test_a_statement_has_plain_places_and_knows_which_value_stands_in_each() -> None:
    # Numbered places are named ones to Python's sqlite3, which takes no sequence for them from 3.14 on.
    assert Statement.of("SELECT ?2, ?1, ?2") == Statement("SELECT ?, ?, ?", (1, 0, 1))
    assert Statement.of("SELECT ?, ?") == Statement("SELECT ?, ?", None)
    with pytest.raises(ValueError, match="numbered"):
        Statement.of("SELECT ?, ?1")


def test_every_named_statement_is_used() -> None:
    assert set(load_statements()) - _stored_texts() == set()


def test_every_statement_that_is_asked_for_has_its_name_in_the_files() -> None:
    asked = list(_asked_for())

    assert len(asked) > 10, "the store asks in another way now: teach `_asked_for`"
    assert [f"{where}: {name}" for where, name in asked if name not in load_statements()] == []


def test_a_name_stands_once_in_the_files() -> None:
    files = [file for file in _SQL_FILES.rglob("*.sql") if not file.name[0].isdigit()]
    names = [name for file in files for name in re.findall(r"^-- name: (\w+)$", file.read_text(), re.MULTILINE)]

    assert sorted(names) == sorted(set(names)) == sorted(load_statements())


@pytest.mark.parametrize("name", sorted(load_statements()))
def test_a_named_statement_fits_the_tables_that_the_migrations_make(name: str) -> None:
    statement = load_statements()[name]
    connection = sqlite3.connect(":memory:")
    try:
        register_functions(connection)
        for _, text in load_migrations():
            connection.executescript(text)
        connection.execute(f"EXPLAIN {statement.sql}", (None,) * statement.sql.count("?"))
    finally:
        connection.close()
