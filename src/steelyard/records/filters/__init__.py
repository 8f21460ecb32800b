"""Filters of lists: three syntaxes, one tree, one meaning. See `docs/filters.md`."""

from steelyard.records.filters.ast import (
    All,
    Any_,
    Compare,
    Filter,
    Has,
    Not,
    Operator,
    Scalar,
    Value,
    all_of,
    any_of,
)
from steelyard.records.filters.echo import echo
from steelyard.records.filters.evaluate import contains_folded, matches
from steelyard.records.filters.fields import COMMON, FieldType, FilterField, FilterFields
from steelyard.records.filters.parse import parse_filter

__all__ = [
    "COMMON",
    "All",
    "Any_",
    "Compare",
    "FieldType",
    "Filter",
    "FilterField",
    "FilterFields",
    "Has",
    "Not",
    "Operator",
    "Scalar",
    "Value",
    "all_of",
    "any_of",
    "contains_folded",
    "echo",
    "matches",
    "parse_filter",
]
