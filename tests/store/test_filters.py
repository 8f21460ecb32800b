"""Compiled to SQLite, a filter selects exactly the records that `matches` accepts."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.records.filters import (
    COMMON,
    All,
    Any_,
    Compare,
    FieldType,
    Filter,
    FilterField,
    FilterFields,
    Has,
    Not,
    Operator,
    matches,
    parse_filter,
)
from steelyard.store.filters import compile_filter, register_functions
from steelyard.store.statements import load_migrations

SCHEMA = "\n".join(text for _, text in load_migrations())
Record = dict[str, Any]

SCALARS: list[Any] = [
    None, True, False, 0, 1, 1.0, -1, 0.5, 0.1, 0.30000000000000004, 0.3, 5e-324,
    1.7976931348623157e308, -0.0, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), float(2**63), 1e22,
    "", "0", "1", "true", "null", "a", "A", "ab", "%", "_", "a_b", "w/a", "v/a", "é", "É", "\uffff",
    "\U00010000", '"', "\\", "'", "{}", "[]", '{"a":1}', "x\ny", "straße", "İ",
]  # fmt: skip
STORED: list[Any] = [*SCALARS, 2**64, 10**30, {}, [], {"a": 1}, ["a"], {"x": None}, "a/b/c", "/a", "a/"]
TIMES = ["2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000001Z", "2026-06-01T12:00:00.000000Z"]

X = FilterField("data.x", FieldType.ANY, path=("x",))
DEEP = FilterField("data.x.x", FieldType.ANY, path=("x", "x"))
NAME_PART = FilterField("x.name", FieldType.TEXT, path=("x",), part="name")
WORKSPACE_PART = FilterField("x.workspace", FieldType.TEXT, path=("x",), part="workspace")
PRESENCE = FilterField.presence("x")
JSON_FIELDS = [X, DEEP, NAME_PART, WORKSPACE_PART, PRESENCE]
COLUMNS = [*COMMON, FilterField("project.name", FieldType.TEXT, column="project", part="name")]
ADAPTERS = FilterField.relation("adapters", "adapter", ("x",))
ORDERS = [Operator.LT, Operator.LTE, Operator.GT, Operator.GTE]


def record(number: int, x: Any = None, children: tuple[Record, ...] = (), **columns: Any) -> Record:
    base = {
        "id": f"id-{number}",
        "kind": "model",
        "name": f"n{number}",
        "workspace": "w",
        "project": None,
        "created_at": TIMES[0],
        "updated_at": TIMES[1],
    }
    return {**base, **columns, "fields": {"x": x}, "children": {"adapter": list(children)}}


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    register_functions(connection)
    yield connection
    connection.close()


def fill(database: sqlite3.Connection, records: list[Record]) -> None:
    database.execute("DELETE FROM records")
    for one in records:
        _insert(database, one, None)


def _insert(database: sqlite3.Connection, one: Record, parent: str | None) -> None:
    row = {k: v for k, v in one.items() if k not in {"fields", "children"}}
    fields = one["fields"] if one["project"] is None else one["fields"] | {"project": one["project"]}
    row |= {"parent": parent, "revision": 1, "fields": json.dumps(fields, ensure_ascii=False)}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    database.execute(f"INSERT INTO records ({names}) VALUES ({marks})", list(row.values()))
    for child in one["children"]["adapter"]:
        _insert(database, child, one["id"])


def selected(database: sqlite3.Connection, filter: Filter) -> set[str]:
    sql, parameters = compile_filter(filter)
    rows = database.execute(f"SELECT id, {sql} FROM records r WHERE parent IS NULL", parameters).fetchall()
    assert {accepted for _, accepted in rows} <= {0, 1}, "an expression is never NULL"
    return {id for id, accepted in rows if accepted}


def accepted(filter: Filter, records: list[Record]) -> set[str]:
    return {one["id"] for one in records if matches(filter, one)}


EVERY_VALUE = [record(n, x, name=f"n{n}") for n, x in enumerate([*STORED, *({"x": x} for x in STORED)])]


@pytest.mark.parametrize("field", JSON_FIELDS, ids=lambda field: f"{field.name}-{field.type.value}")
def test_every_comparison_with_every_json_value(database: sqlite3.Connection, field: FilterField) -> None:
    fill(database, [*EVERY_VALUE, no_x := record(999)])
    database.execute("UPDATE records SET fields = '{}' WHERE id = 'id-999'")
    no_x["fields"] = {}
    everything = [*EVERY_VALUE, no_x]
    filters = [Compare(field, Operator.EXISTS, flag) for flag in (True, False)]
    for value in SCALARS:
        filters += [Compare(field, Operator.EQ, value)]
        filters += [Compare(field, op, (value,)) for op in (Operator.IN, Operator.NIN)]
        if isinstance(value, str):
            filters += [Compare(field, op, value) for op in (*ORDERS, Operator.LIKE)]
        elif value is not None and not isinstance(value, bool):
            filters += [Compare(field, op, value) for op in ORDERS]
    filters += [Compare(field, op, values) for op in (Operator.IN, Operator.NIN) for values in ((), tuple(SCALARS))]
    for filter in filters:
        assert selected(database, filter) == accepted(filter, everything), filter
        assert selected(database, Not(filter)) == accepted(Not(filter), everything), filter


COLUMN_VALUES = st.sampled_from(["w", "v", "a", "A", "ab", "w/a", "v/a", "w/b", "é", "'", *TIMES])


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        children = [
            record(1000 + 10 * number + n, draw(st.sampled_from(STORED)), kind="adapter", name=f"c{number}-{n}")
            for n in range(draw(st.integers(0, 2)))
        ]
        made.append(
            record(
                number,
                draw(st.sampled_from(STORED)),
                tuple(children),
                kind=draw(st.sampled_from(["model", "prompt"])),
                workspace=draw(st.sampled_from(["w", "v"])),
                name=f"{draw(COLUMN_VALUES)}-{number}",
                project=draw(st.sampled_from([None, "w/a", "v/a", "w/b"])),
                created_at=draw(st.sampled_from(TIMES)),
                updated_at=draw(st.sampled_from(TIMES)),
            )
        )
    return made


@st.composite
def compared(draw: st.DrawFn, fields: list[FilterField], values: st.SearchStrategy[Any]) -> Filter:
    field, operator = draw(st.sampled_from(fields)), draw(st.sampled_from(list(Operator)))
    if operator is Operator.EXISTS:
        return Compare(field, operator, draw(st.booleans()))
    if operator in {Operator.IN, Operator.NIN}:
        return Compare(field, operator, tuple(draw(st.lists(values, max_size=4))))
    if operator in ORDERS:
        values = values.filter(lambda v: v is not None and not isinstance(v, bool))
    return Compare(field, operator, draw(values.filter(_is_text) if operator is Operator.LIKE else values))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def grown(leaves: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    def grow(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return inner.map(Not) | several.map(All) | several.map(Any_)

    return st.recursive(leaves, grow, max_leaves=6)


JSON_LEAVES = compared(JSON_FIELDS, st.sampled_from(SCALARS))
COLUMN_LEAVES = compared(list(COLUMNS), COLUMN_VALUES | st.sampled_from(SCALARS))
CHILD_LEAVES = grown(compared([X, *COMMON], COLUMN_VALUES | st.sampled_from(SCALARS))).map(
    lambda inner: Has(ADAPTERS, inner)
) | st.booleans().map(lambda flag: Compare(ADAPTERS, Operator.EXISTS, flag))


@settings(max_examples=400, deadline=None)
@given(records(), grown(JSON_LEAVES | COLUMN_LEAVES | CHILD_LEAVES))
def test_any_filter_selects_what_it_accepts(
    database: sqlite3.Connection, given_records: list[Record], filter: Filter
) -> None:
    fill(database, given_records)
    assert selected(database, filter) == accepted(filter, given_records)


LEAF = Compare(COMMON[1], Operator.EQ, "n0")
DEEPEST: dict[str, Filter] = {}
for _kind in ("first", "last", "negated", "children"):
    _filter: Filter = Compare(X, Operator.IN, ("a", 1, True, None))
    if _kind == "children":
        _filter = Has(ADAPTERS, _filter)
    for _level in range(31):
        _group = Any_ if _level % 2 else All
        _filter = _group((_filter, LEAF) if _kind == "first" else (LEAF, LEAF, _filter))
        _filter = Not(_filter) if _kind == "negated" else _filter
    DEEPEST[_kind] = _filter


@pytest.mark.parametrize("shape", DEEPEST)
def test_the_deepest_filter_fits_into_a_query_of_some_depth(database: sqlite3.Connection, shape: str) -> None:
    one = record(0, "a")
    fill(database, [one])
    sql, parameters = compile_filter(DEEPEST[shape])
    query = f"SELECT count(*) FROM (SELECT 1 FROM (SELECT 1 FROM records r WHERE ((({sql})))))"
    assert database.execute(query, parameters).fetchone() == (int(matches(DEEPEST[shape], one)),)


def test_the_widest_filters_fit_into_a_query(database: sqlite3.Connection) -> None:
    one = record(0, "x")
    fill(database, [one])
    branches: list[Filter] = [LEAF] * 200

    def halves(parts: list[Filter], level: int) -> Filter:
        if len(parts) == 1:
            return parts[0]
        middle = len(parts) // 2
        group = All if level % 2 else Any_
        return group((halves(parts[:middle], level + 1), halves(parts[middle:], level + 1)))

    long = Compare(X, Operator.IN, tuple(f"value {n}" for n in range(1000)))
    for filter in (All(tuple(branches)), Any_((long,) * 200), halves(branches, 0), Not(halves(branches, 1))):
        assert selected(database, filter) == accepted(filter, [one])


def test_values_never_stand_in_the_text() -> None:
    evil = "x') OR 1=1 --"
    for operator in Operator:
        for field in (X, NAME_PART, *COLUMNS, FilterField.text("t", path=("quote\"'",))):
            value = True if operator is Operator.EXISTS else evil
            filter = Compare(field, operator, (evil, "b") if operator in {Operator.IN, Operator.NIN} else value)
            sql, parameters = compile_filter(Has(ADAPTERS, filter))
            assert evil not in sql
            assert "quote" not in sql
            assert sql.count("?") == len(parameters)


def test_an_object_is_not_compared_by_its_text(database: sqlite3.Connection) -> None:
    fill(database, [record(0, {"api_key": "secret"})])
    for operator in (Operator.LIKE, Operator.GT, Operator.LT):
        for value in ("secret", "{", "~"):
            for field in (X, NAME_PART, FilterField.text("x")):
                assert selected(database, Compare(field, operator, value)) == set()


def test_children_of_another_kind_are_not_asked(database: sqlite3.Connection) -> None:
    other = record(1, "a", kind="note")
    fill(database, [record(0, children=(other,))])
    assert selected(database, Compare(ADAPTERS, Operator.EXISTS, True)) == set()
    assert selected(database, Has(ADAPTERS, Compare(X, Operator.EQ, "a"))) == set()


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('name:"a"', "(kind=? AND workspace=? AND name=?)"),
        ('name IN ["a","b"]', "(kind=? AND workspace=? AND name=?)"),
        ('name>"a" -prompt:true', "(kind=? AND workspace=? AND name>?)"),
        ('created_at>="2026-01-01" created_at<"2026-02-01"', "created_at>? AND created_at<?)"),
    ],
)
def test_columns_are_found_by_their_indexes(database: sqlite3.Connection, text: str, index: str) -> None:
    filter = parse_filter([("filter", text)], FilterFields("model", (FilterField.presence("prompt"),)), home="w")
    assert filter is not None
    sql, parameters = compile_filter(filter)
    plan = database.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM records r WHERE kind = 'model' AND workspace = 'w' AND {sql}",
        parameters,
    ).fetchall()
    assert index in " ".join(step[3] for step in plan)


def test_children_are_found_by_their_parent(database: sqlite3.Connection) -> None:
    sql, parameters = compile_filter(Has(ADAPTERS, Compare(X, Operator.EQ, "a")))
    plan = database.execute(f"EXPLAIN QUERY PLAN SELECT * FROM records r WHERE {sql}", parameters).fetchall()
    assert "records_by_parent (parent=?)" in " ".join(step[3] for step in plan)
