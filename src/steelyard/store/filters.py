"""Filters as SQLite SQL: a boolean expression over the alias `r` of `records`.

Each expression is 0 or 1, never NULL, so that NOT means the same as in `records/filters/evaluate.py`.
Values and JSON paths are parameters; a list is one parameter, a JSON array. SQLite's parser has room for
about 100 open terms, which is why negation is carried down to the comparisons and the deepest part of a
group is written first: 32 levels then need little more than 32 of them. Numbers pass through SQLite's own
reading of JSON, as those in the records do, so that equal ones stay equal to the last bit.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from steelyard.records.filters.ast import All, Any_, Compare, Filter, Has, Not, Operator, Scalar
from steelyard.records.filters.evaluate import contains_folded
from steelyard.records.filters.fields import FieldType, FilterField

Sql = tuple[str, list[Any]]

_ORDERS = {Operator.LT: "<", Operator.LTE: "<=", Operator.GT: ">", Operator.GTE: ">="}
_NULLABLE = {"project"}


def compile_filter(filter: Filter) -> Sql:
    """The SQL expression that accepts what the filter accepts, and its parameters.

    The connection that runs it needs `register_functions`.
    """
    return _compile(filter, "r", negated=False)


def register_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that compiled filters call."""
    connection.create_function("contains_folded", 2, _contains_folded, deterministic=True)


def _contains_folded(haystack: object, needle: str) -> int:
    return int(contains_folded(haystack, needle))


def _compile(filter: Filter, alias: str, *, negated: bool) -> Sql:
    match filter:
        case Not(of):
            return _compile(of, alias, negated=not negated)
        case All(parts) | Any_(parts):
            both = isinstance(filter, All) is not negated
            deepest_first = sorted(parts, key=_depth, reverse=True)
            compiled = [_compile(part, alias, negated=negated) for part in deepest_first]
            return _join(" AND " if both else " OR ", compiled)
        case Has(field, of):
            return _negated(_child(field, alias, _compile(of, "c", negated=False)), negated)
        case Compare():
            return _negated(_compare(filter, alias), negated)


def _depth(filter: Filter) -> int:
    match filter:
        case Not(of):
            return _depth(of)
        case All(parts) | Any_(parts):
            return 1 + max(map(_depth, parts))
        case Has(_, of):
            return 2 + _depth(of)
        case Compare():
            return 1


def _join(word: str, parts: Sequence[Sql]) -> Sql:
    return f"({word.join(sql for sql, _ in parts)})", [value for _, values in parts for value in values]


def _negated(compiled: Sql, negated: bool) -> Sql:
    sql, parameters = compiled
    return (f"NOT {sql}", parameters) if negated else compiled


def _child(field: FilterField, alias: str, inner: Sql | None) -> Sql:
    sql, parameters = inner or ("1", [])
    exists = f"EXISTS (SELECT 1 FROM records c WHERE c.parent = {alias}.id AND c.kind = ? AND {sql})"  # noqa: S608
    return exists, [field.child_kind, *parameters]


def _compare(filter: Compare, alias: str) -> Sql:
    field, value = filter.field, filter.value
    match filter.operator:
        case Operator.EXISTS:
            return _negated(_exists(field, alias), value is False)
        case Operator.EQ:
            return _one_of(field, alias, (value,)) if not isinstance(value, tuple) else ("0", [])
        case Operator.IN | Operator.NIN:
            values = value if isinstance(value, tuple) else (value,)
            return _negated(_one_of(field, alias, values), filter.operator is Operator.NIN)
        case Operator.LIKE:
            return _typed(field, alias, "text", ("contains_folded({}, ?)", [value]))
        case order if isinstance(value, str):
            return _typed(field, alias, "text", (f"{{}} {_ORDERS[order]} ?", [value]))
        case order:
            test = f"{{}} {_ORDERS[order]} json_extract(?, '$')"
            return _typed(field, alias, "number", (test, [json.dumps(value)]))


def _exists(field: FilterField, alias: str) -> Sql:
    if field.type is FieldType.RELATION:
        return _child(field, alias, None)
    if field.column:
        return f"({alias}.{field.column} IS NOT NULL)", []
    kind, path = f"json_type({alias}.fields, ?)", _path(field)
    if field.part:
        return f"({kind} IS 'text')", [path]
    there = f"IFNULL({kind}, 'null') <> 'null'"
    if field.type is not FieldType.PRESENCE:
        return f"({there})", [path]
    empty = f"{kind} IS 'object' AND json_extract({alias}.fields, ?) = '{{}}'"
    return f"({there} AND NOT ({empty}))", [path, path, path]


def _one_of(field: FilterField, alias: str, values: Sequence[Scalar]) -> Sql:
    """Equal to one of some values, each by its JSON type; a list travels as one parameter, a JSON array."""
    texts = [v for v in values if isinstance(v, str)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    tests: list[Sql] = []
    if texts:
        test = ("{} = ?", texts[:1]) if len(texts) == 1 else (_IN_LIST, [json.dumps(texts)])
        tests.append(_typed(field, alias, "text", test))
    if numbers:
        tests.append(_typed(field, alias, "number", (_IN_LIST, [json.dumps(numbers)])))
    for flag in sorted({v for v in values if isinstance(v, bool)}):
        if not _only_text(field):
            tests.append((f"(json_type({alias}.fields, ?) IS '{json.dumps(flag)}')", [_path(field)]))
    if None in values:
        tests.append(_negated(_exists_as_any(field, alias), True))
    if not tests:
        return "0", []
    return tests[0] if len(tests) == 1 else _join(" OR ", tests)


_IN_LIST = "{} IN (SELECT value FROM json_each(?))"


def _exists_as_any(field: FilterField, alias: str) -> Sql:
    """There and not null; an empty object is there."""
    if field.type is not FieldType.PRESENCE:
        return _exists(field, alias)
    return f"(IFNULL(json_type({alias}.fields, ?), 'null') <> 'null')", [_path(field)]


def _typed(field: FilterField, alias: str, kind: str, test: Sql) -> Sql:
    """A test of the field's value, false unless the value is of the kind; `{}` in the test is the value."""
    sql, parameters = test
    if kind != "text" and _only_text(field):
        return "0", []
    if field.column:
        return _typed_column(field, f"{alias}.{field.column}", test)
    path = _path(field)
    value, paths = _part(field, f"json_extract({alias}.fields, ?)", [path])
    kinds = "= 'text'" if kind == "text" else "IN ('integer', 'real')"
    guard = f"IFNULL(json_type({alias}.fields, ?), '') {kinds}"
    return f"({guard} AND {sql.format(value)})", [path, *paths, *parameters]


def _only_text(field: FilterField) -> bool:
    return field.column is not None or field.part != ""


def _typed_column(field: FilterField, column: str, test: Sql) -> Sql:
    sql, parameters = test
    value, _ = _part(field, column, [])
    guard = f"{column} IS NOT NULL AND " if field.column in _NULLABLE else ""
    return f"({guard}{sql.format(value)})", parameters


def _part(field: FilterField, value: str, parameters: list[Any]) -> Sql:
    """The value, or what stands after or before its first slash."""
    if field.part == "name":
        return f"substr({value}, instr({value}, '/') + 1)", parameters * 2
    if field.part == "workspace":
        return f"substr({value}, 1, max(instr({value}, '/') - 1, 0))", parameters * 2
    return value, parameters


def _path(field: FilterField) -> str:
    return "$" + "".join(f'."{segment}"' for segment in field.path)
