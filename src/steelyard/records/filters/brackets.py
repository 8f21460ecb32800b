"""Reads filters written as query keys: `filter[name][$like]=race&filter[adapters][finetuning_type]=lora`."""

import re
from collections.abc import Sequence

from steelyard.errors import BadFilter
from steelyard.records.filters.ast import LOGICAL, Filter, Has, Not, Operator, all_of
from steelyard.records.filters.criteria import Scope, criterion, operator_named
from steelyard.records.filters.fields import FieldType, bad, quoted
from steelyard.records.filters.objects import MAX_DEPTH, too_deep

_KEY = re.compile(r"filter((?:\[[^\[\]]+\])+)")
_OPERATORS = frozenset(Operator)

Item = tuple[tuple[str, ...], str]


def parse_brackets(pairs: Sequence[tuple[str, str]], scope: Scope) -> Filter:
    """Read a filter from `filter[...]` keys with their values, all of which must hold.

    Raises BadFilter for a key that is not well formed, and for what any criterion may raise.
    """
    return _together([(_keys(key), value) for key, value in pairs], scope, 1)


def _keys(key: str) -> tuple[str, ...]:
    found = _KEY.fullmatch(key)
    if found is None:
        raise bad(f"{quoted(key)} is not a filter key; write filter[field] or filter[field][$operator]")
    return tuple(found[1][1:-1].split("]["))


def _together(items: Sequence[Item], scope: Scope, depth: int) -> Filter:
    """AND of all items; those of one relation speak of one child, those under `$not` are negated as one."""
    if depth > MAX_DEPTH:
        raise too_deep()
    groups: dict[object, list[Item]] = {}
    for number, (keys, value) in enumerate(items):
        grouped = len(keys) > 1 and (keys[0] == "$not" or _enters_relation(keys, scope))
        groups.setdefault(keys[0] if grouped else number, []).append((keys, value))
    parts: list[Filter] = []
    for group, members in groups.items():
        if isinstance(group, str):
            inner = [(keys[1:], value) for keys, value in members]
            if group == "$not":
                parts.append(Not(_together(inner, scope, depth + 1)))
            else:
                relation = scope.fields[group]
                parts.append(Has(relation, _together(inner, scope.children(relation), depth + 1)))
        else:
            parts.extend(_one(keys, value, scope) for keys, value in members)
    return all_of(parts)


def _enters_relation(keys: tuple[str, ...], scope: Scope) -> bool:
    field = scope.fields.get(keys[0])
    if field is None or field.type is not FieldType.RELATION:
        return False
    return len(keys) > 2 or not _is_operator(keys[1])


def _is_operator(key: str) -> bool:
    return key.startswith("$") or f"${key}" in _OPERATORS


def _one(keys: tuple[str, ...], value: str, scope: Scope) -> Filter:
    operator = Operator.EQ
    if len(keys) > 1 and _is_operator(keys[-1]):
        *names, last = keys
        name = last if last.startswith("$") else f"${last}"
        if name in LOGICAL:
            raise _logical(name)
        operator = operator_named(name)
    else:
        names = list(keys)
    for misplaced in (name for name in names if name.startswith("$")):
        if misplaced in LOGICAL:
            raise _logical(misplaced)
        raise bad(f"Operator {operator_named(misplaced)} stands last in a filter key: filter[field][$operator]")
    return criterion(scope, ".".join(names), operator, value, loose=True)


def _logical(name: str) -> BadFilter:
    if name == "$not":
        return bad("Operator $not in brackets stands first, with a field after it: filter[$not][field]=value")
    return bad(f"Operator {name} cannot be written in brackets; write the filter as JSON or text")
