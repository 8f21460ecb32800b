"""Writes a filter back as JSON, as some lists show it: `{"name": {"$eq": "x"}}`."""

from typing import Any

from steelyard.records.filters.ast import All, Any_, Compare, Filter, Has, Not


def echo(filter: Filter) -> dict[str, Any]:
    """The filter as a JSON object; read again as a filter it is the same one."""
    match filter:
        case Compare(field, operator, value):
            return {field.name: {str(operator): list(value) if isinstance(value, tuple) else value}}
        case Has(field, of):
            return {field.name: echo(of)}
        case Not(of):
            return {"$not": echo(of)}
        case Any_(parts):
            return {"$or": [echo(part) for part in parts]}
        case All(parts):
            return _joined(parts)


def _joined(parts: tuple[Filter, ...]) -> dict[str, Any]:
    """One object for all parts in their order; a list under `$and` when two want the same key."""
    joined: dict[str, Any] = {}
    previous: Filter | None = None
    for part in parts:
        ((key, value),) = echo(part).items()
        if key not in joined:
            joined[key] = value
        elif _same_field(previous, part) and not joined[key].keys() & value.keys():
            joined[key].update(value)
        else:
            return {"$and": [echo(one) for one in parts]}
        previous = part
    return joined


def _same_field(first: Filter | None, second: Filter) -> bool:
    return isinstance(first, Compare) and isinstance(second, Compare) and first.field == second.field
