"""What a filter means, said in Python. The compilers to SQL must agree with it; tests compare them.

Every comparison is true or false, never unknown: a field that is missing, or whose value is of another JSON
type than the one compared with, is simply not equal, not less and not greater. Negation is plain negation.
"""

import operator as compare
from collections.abc import Callable, Mapping
from typing import Any

from steelyard.records.filters.ast import All, Any_, Compare, Filter, Has, Not, Operator, Scalar
from steelyard.records.filters.fields import FieldType, FilterField

_ORDERS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.LT: compare.lt,
    Operator.LTE: compare.le,
    Operator.GT: compare.gt,
    Operator.GTE: compare.ge,
}


def matches(filter: Filter, record: Mapping[str, Any]) -> bool:
    """Whether a filter accepts a record.

    The record has `id`, `kind`, `name`, `workspace`, `project`, `created_at`, `updated_at`, `fields` (the
    JSON of its kind) and `children` (records of the same shape by kind).
    """
    match filter:
        case All(parts):
            return all(matches(part, record) for part in parts)
        case Any_(parts):
            return any(matches(part, record) for part in parts)
        case Not(of):
            return not matches(of, record)
        case Has(field, of):
            return any(matches(of, child) for child in _children(record, field))
        case Compare(field, Operator.EXISTS, wanted):
            return _exists(record, field) is wanted
        case Compare(field, operator, value):
            return _holds(_actual(record, field), operator, value)


def contains_folded(haystack: object, needle: str) -> bool:
    """`$like`: whether a string holds another, by their lower case; nothing else holds anything."""
    return isinstance(haystack, str) and needle.lower() in haystack.lower()


def _children(record: Mapping[str, Any], field: FilterField) -> list[Mapping[str, Any]]:
    return list(record.get("children", {}).get(field.child_kind, ()))


def _exists(record: Mapping[str, Any], field: FilterField) -> bool:
    if field.type is FieldType.RELATION:
        return bool(_children(record, field))
    actual = _actual(record, field)
    return actual is not None and not (field.type is FieldType.PRESENCE and actual == {})


def _actual(record: Mapping[str, Any], field: FilterField) -> Any:
    value: Any = record["fields"] if field.path else record[field.column or ""]
    for key in field.path:
        value = value.get(key) if isinstance(value, Mapping) else None
    if not field.part:
        return value
    if not isinstance(value, str):
        return None
    before, slash, after = value.partition("/")
    return (after if slash else before) if field.part == "name" else (before if slash else "")


def _holds(actual: Any, operator: Operator, value: Any) -> bool:
    match operator:
        case Operator.EQ:
            return _equal(actual, value)
        case Operator.IN:
            return any(_equal(actual, one) for one in value)
        case Operator.NIN:
            return not any(_equal(actual, one) for one in value)
        case Operator.LIKE:
            return contains_folded(actual, value)
        case _:
            ordered = _sort(actual) == _sort(value) in {"text", "number"}
            return ordered and _ORDERS[operator](_stored(actual), value)


def _equal(actual: Any, value: Scalar) -> bool:
    return _sort(actual) == _sort(value) and bool(_stored(actual) == value)


def _sort(value: Any) -> str:
    """The kind of a JSON value; a whole object or list is never equal to anything, not even its own text."""
    match value:
        case None:
            return "null"
        case bool():
            return "flag"
        case int() | float():
            return "number"
        case str():
            return "text"
        case _:
            return "other"


def _stored(value: Any) -> Any:
    """Integers past 64 bits are doubles in the stores."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value
