"""Reads one criterion, a field with an operator and a value, into the tree, by the type of the field."""

from dataclasses import dataclass, replace
from typing import Any

from steelyard.records.filters.ast import Compare, Filter, Has, Operator, Scalar, all_of, any_of
from steelyard.records.filters.fields import (
    FieldType,
    FilterField,
    FilterFields,
    bad,
    quoted,
    shown,
    suggestion,
)
from steelyard.records.filters.values import WORDS, read_string, read_value

MAX_LIST = 1000
ANYWHERE = "-"
"""The home of a list over all workspaces."""

_ORDER = {Operator.LT, Operator.LTE, Operator.GT, Operator.GTE}
_LISTS = {Operator.IN, Operator.NIN}
_ALL = frozenset(Operator)
_OPERATORS = {
    FieldType.TEXT: _ALL,
    FieldType.TEXT_OR_PRESENCE: _ALL,
    FieldType.ANY: _ALL,
    FieldType.TIME: _ALL - {Operator.LIKE},
    FieldType.ENUM: _ALL - _ORDER,
    FieldType.REFERENCE: _ALL - _ORDER,
    FieldType.FLAG: _ALL - _ORDER - {Operator.LIKE},
    FieldType.PRESENCE: frozenset({Operator.EQ, Operator.EXISTS}),
    FieldType.RELATION: frozenset({Operator.EQ, Operator.EXISTS}),
}
_ASKED_BY_BOOL = {
    FieldType.ENUM,
    FieldType.PRESENCE,
    FieldType.TEXT_OR_PRESENCE,
    FieldType.REFERENCE,
    FieldType.RELATION,
}
_ONLY_ASKED = {FieldType.PRESENCE, FieldType.RELATION}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a criterion is read by: the fields there are, and the workspace that bare references are in."""

    fields: FilterFields
    home: str

    def children(self, relation: FilterField) -> "Scope":
        """The scope of a filter over the children by a relation."""
        return Scope(self.fields.children(relation), self.home)


def operator_named(name: str) -> Operator:
    """The comparison operator of a name with its `$`; raises BadFilter for any other."""
    try:
        return Operator(name)
    except ValueError:
        valid = [*Operator, "$and", "$or", "$not"]
        near = suggestion(name, valid)
        raise bad(f"Unknown filter operator {quoted(name)}{near} Valid operators: {', '.join(valid)}") from None


def criterion(scope: Scope, name: str, operator: Operator, value: Any, *, loose: bool = False) -> Filter:
    """Read `name operator value`; `loose` says that the value is from brackets, where everything is a string.

    Raises BadFilter for an unknown field, an operator that the field does not take, or a value of the wrong
    kind.
    """
    relation, field = scope.fields.resolve(name)
    if operator not in _OPERATORS[field.type]:
        takes = ", ".join(o for o in Operator if o in _OPERATORS[field.type])
        raise bad(f"Operator {operator} cannot be used on filter field {quoted(name)}; it takes {takes}")
    compared = _compare(field, operator, value, scope.home, loose)
    return compared if relation is None else Has(relation, compared)


def _compare(field: FilterField, operator: Operator, value: Any, home: str, loose: bool) -> Filter:
    if operator in _LISTS:
        return _one_of(field, operator, _values(field, operator, value, loose), home)
    asked = _asked(field, operator, value, loose)
    if asked is not None:
        return Compare(field, Operator.EXISTS, asked)
    if operator is Operator.LIKE:
        return Compare(field, operator, read_string(field, value))
    if operator in _ORDER:
        return any_of(Compare(field, operator, v) for v in _ordered(field, operator, value, loose))
    read = read_value(field, value, loose)
    if len(read) > 1:
        return Compare(field, Operator.IN, read)
    return _one_of(field, operator, read, home)


def _asked(field: FilterField, operator: Operator, value: Any, loose: bool) -> bool | None:
    """What the criterion says about the field being there, or None when it compares a value."""
    flag = WORDS.get(value) if loose and isinstance(value, str) else value
    if operator is Operator.EXISTS:
        if not isinstance(flag, bool):
            raise bad(f"Operator $exists takes true or false, not {shown(value)}")
        return flag
    if operator is not Operator.EQ or field.type not in _ASKED_BY_BOOL:
        return None
    if value is None and field.type in _ONLY_ASKED:
        return False
    return flag if isinstance(flag, bool) else None


def _values(field: FilterField, operator: Operator, value: Any, loose: bool) -> tuple[Scalar, ...]:
    if loose and isinstance(value, str):
        value = value.split(",") if value else []
    if not isinstance(value, list):
        raise bad(f"Operator {operator} on filter field {quoted(field.name)} takes a list, not {shown(value)}")
    if len(value) > MAX_LIST:
        raise bad(f"Operator {operator} takes at most {MAX_LIST} values, not {len(value)}")
    return tuple(read for one in value for read in read_value(field, one, loose))


def _one_of(field: FilterField, operator: Operator, values: tuple[Scalar, ...], home: str) -> Filter:
    """Compare with a list, or with its only value for `$eq`; bare references find their workspace here."""
    single = operator is Operator.EQ
    if field.type is not FieldType.REFERENCE:
        return Compare(field, operator, values[0] if single else values)
    whole: list[Scalar] = []
    bare: list[Scalar] = []
    for value in values:
        if value is None:
            whole.append(None)
            continue
        reference = _reference(field, str(value), home)
        (whole if "/" in reference else bare).append(reference)
    named = replace(field, name=f"{field.name}.name", type=FieldType.TEXT, part="name")
    sides = [(field, whole)] * bool(whole or not bare) + [(named, bare)] * bool(bare)
    parts = [Compare(side, operator, found[0] if single else tuple(found)) for side, found in sides]
    return all_of(parts) if operator is Operator.NIN else any_of(parts)


def _reference(field: FilterField, value: str, home: str) -> str:
    workspace, slash, name = value.rpartition("/")
    if not name or "/" in workspace or (slash and not workspace):
        takes = "a reference, 'name' or 'workspace/name'"
        raise bad(f"Filter field {quoted(field.name)} takes {takes}, not {shown(value)}")
    return value if slash or home == ANYWHERE else f"{home}/{name}"


def _ordered(field: FilterField, operator: Operator, value: Any, loose: bool) -> tuple[Scalar, ...]:
    found = tuple(v for v in read_value(field, value, loose) if v is not None and not isinstance(v, bool))
    if not found:
        raise bad(
            f"Operator {operator} on filter field {quoted(field.name)} needs something that has an order, "
            f"not {shown(value)}"
        )
    return found
