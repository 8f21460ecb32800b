"""Reads filters written as JSON: `{"name": {"$like": "race"}, "$or": [...]}`."""

import json
from typing import Any, NoReturn

from steelyard.errors import BadFilter
from steelyard.records.filters.ast import Filter, Has, Not, Operator, all_of, any_of
from steelyard.records.filters.criteria import Scope, criterion, operator_named
from steelyard.records.filters.fields import FieldType, bad, quoted, shown

MAX_DEPTH = 32
_COMPARISONS = frozenset(Operator)


def parse_json(text: str, scope: Scope) -> Filter:
    """Read a filter from JSON text; raises BadFilter where the JSON or what it says is wrong."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_not_a_number)
    except json.JSONDecodeError as error:
        raise bad(f"Invalid JSON in filter: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise too_deep() from None
    except ValueError:  # an integer of more digits than Python reads
        raise bad("Invalid JSON in filter: a number is too long") from None
    return _object(value, scope, 1)


def too_deep() -> BadFilter:
    """The error for a filter that is nested too deep."""
    return bad(f"The filter is nested deeper than {MAX_DEPTH} levels; join its parts in fewer groups")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise bad(f"Key {quoted(key)} stands twice in one object of the filter; join both with $and")
        read[key] = value
    return read


def _not_a_number(constant: str) -> NoReturn:
    raise bad(f"Invalid JSON in filter: {constant} is not a JSON value")


def _object(value: Any, scope: Scope, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise too_deep()
    if not isinstance(value, dict):
        raise bad(f'A filter in JSON is an object such as {{"name": "x"}}, not {shown(value)}')
    if not value:
        raise bad("The filter has no criteria: {} is empty; leave the filter out to get everything")
    return all_of(_member(key, inner, scope, depth) for key, inner in value.items())


def _member(key: str, value: Any, scope: Scope, depth: int) -> Filter:
    if key in {"$and", "$or"}:
        if not isinstance(value, list) or not value:
            raise bad(f"Operator {key} takes a list of at least one filter, not {shown(value)}")
        parts = [_object(one, scope, depth + 1) for one in value]
        return all_of(parts) if key == "$and" else any_of(parts)
    if key == "$not":
        return Not(_object(value, scope, depth + 1))
    if key.startswith("$"):
        operator = operator_named(key)
        raise bad(f'Operator {operator} needs a field: {{"<field>": {{"{operator}": ...}}}}')
    return _field(key, value, scope, depth)


def _field(name: str, value: Any, scope: Scope, depth: int) -> Filter:
    """What is said of one field: a value, operators, or the fields inside it."""
    if depth > MAX_DEPTH:
        raise too_deep()
    if not isinstance(value, dict):
        return criterion(scope, name, Operator.EQ, value)
    if not value:
        raise bad(f"Filter field {quoted(name)} has no criteria: {{}} is empty")
    field = scope.fields.get(name)
    if field is not None and field.type is FieldType.RELATION:
        own = [criterion(scope, name, Operator(k), v) for k, v in value.items() if k in _COMPARISONS]
        inner = {k: v for k, v in value.items() if k not in _COMPARISONS}
        one = [Has(field, _object(inner, scope.children(field), depth + 1))] if inner else []
        return all_of([*own, *one])
    return all_of(_inside(name, key, inner, scope, depth) for key, inner in value.items())


def _inside(name: str, key: str, value: Any, scope: Scope, depth: int) -> Filter:
    if key == "$not":
        if not isinstance(value, dict):
            raise bad(f"Operator $not on filter field {quoted(name)} takes an object, not {shown(value)}")
        return Not(_field(name, value, scope, depth + 1))
    if key in {"$and", "$or"}:
        raise bad(f"Operator {key} stands outside of filter field {quoted(name)}, with filters in its list")
    if key.startswith("$"):
        return criterion(scope, name, operator_named(key), value)
    return _field(f"{name}.{key}", value, scope, depth + 1)
