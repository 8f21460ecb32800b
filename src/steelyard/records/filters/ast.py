"""What a filter is once it is understood: a small tree, the same whichever syntax it was written in.

The values in it are already read for their fields: a time is in the stored form, a bare reference has its
workspace, `true` on a field that is there or not has become `$exists`. What the tree means is written in
`evaluate.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from steelyard.records.filters.fields import FilterField

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]


class Operator(StrEnum):
    """The operators that compare a field with a value."""

    EQ = "$eq"
    LIKE = "$like"
    LT = "$lt"
    LTE = "$lte"
    GT = "$gt"
    GTE = "$gte"
    IN = "$in"
    NIN = "$nin"
    EXISTS = "$exists"


LOGICAL = ("$and", "$or", "$not")
"""The operators that join or negate filters."""


@dataclass(frozen=True, slots=True)
class Compare:
    """One field against one value: a tuple with `$in` and `$nin`, a bool with `$exists`."""

    field: FilterField
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class All:
    """Every one of two filters or more."""

    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 - `Any` is taken
    """At least one of two filters or more."""

    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """What the filter does not accept."""

    of: "Filter"


@dataclass(frozen=True, slots=True)
class Has:
    """At least one child by the relation `field` that the filter over the child's own fields accepts."""

    field: FilterField
    of: "Filter"


Filter = Compare | All | Any_ | Not | Has


def all_of(parts: Iterable[Filter]) -> Filter:
    """Join one filter or more by AND; an AND inside is opened, and a single one stays itself."""
    flat = tuple(p for part in parts for p in (part.of if isinstance(part, All) else (part,)))
    return flat[0] if len(flat) == 1 else All(flat)


def any_of(parts: Iterable[Filter]) -> Filter:
    """Join one filter or more by OR; an OR inside is opened, and a single one stays itself."""
    flat = tuple(p for part in parts for p in (part.of if isinstance(part, Any_) else (part,)))
    return flat[0] if len(flat) == 1 else Any_(flat)


def comparisons(filter: Filter) -> int:
    """Count the comparisons in a filter."""
    match filter:
        case Compare():
            return 1
        case Not(of) | Has(_, of):
            return comparisons(of)
        case All(parts) | Any_(parts):
            return sum(map(comparisons, parts))
