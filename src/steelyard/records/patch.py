"""How a change is said and what it makes of a record: pure functions, the one way by which any record changes.

The dialect of `application/json` (wire.md 1.1): what is absent or null keeps its value, objects and lists replace
whole. A kind says which fields null or an empty text clears. Parts that an answer hides (large values, secrets) are kept
when they come back hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steelyard.errors import Fault, InvalidInput
from steelyard.records.forms import Form, UnknownFields, validate
from steelyard.records.kinds import Fields, Kind, Row


@dataclass(frozen=True, slots=True)
class Change:
    """A change that has been validated: the fields to set, in stored form but for secrets and large values.

    `echoes` are the read-only fields that came along; they must be what the record says, or be null.
    """

    values: Mapping[str, Any]
    echoes: Mapping[str, Any] = field(default_factory=dict)


def read_new(kind: Kind, body: Any, workspace: str, unknown: UnknownFields) -> tuple[str, Change]:
    """The name of a new record and all its fields. Raises InvalidInput."""
    form = validate(kind.create, body, secrets=kind.secrets, unknown=unknown)
    values = _dump(form)
    name: str = values.pop("name")
    given = {
        key: None if value == "" and key in kind.empty_clears else value for key, value in values.items()
    }
    return name, Change(kind.canonical(kind.complete(given), workspace, name))


def read_update(kind: Kind, body: Any, workspace: str, name: str, unknown: UnknownFields) -> Change:
    """The change that an update's body says under `application/json`. Raises InvalidInput."""
    echoes: dict[str, Any] = {}
    if isinstance(body, dict):
        echoes = {key: body[key] for key in kind.read_only if key in body}
        body = {key: value for key, value in body.items() if key not in echoes} if echoes else body
    given = _dump(validate(kind.update, body, secrets=kind.secrets, unknown=unknown))
    if kind.update_style == "replace":
        for key in kind.kept_when_absent:
            if given.get(key) is None:
                given.pop(key, None)
        kept = kind.kept_when_absent - given.keys()
        values = {key: value for key, value in kind.complete(given).items() if key not in kept}
    else:
        values = {key: value for key, value in given.items() if value is not None or key in kind.null_clears}
    for key in kind.empty_clears:
        if values.get(key) == "":
            values[key] = kind.defaults.get(key)
    return Change(kind.canonical(values, workspace, name), echoes)


def apply_change(kind: Kind, row: Row, change: Change) -> Fields:
    """The fields of `row` after `change`. Raises InvalidInput where a hidden part or a read-only field does not fit."""
    fields = {**row.fields, **change.values}
    for path in kind.contents:
        parent, child = path.split(".")
        new, old = change.values.get(parent), row.fields.get(parent)
        if new and old and new[child] is None:
            fields[parent] = {**new, child: old[child]}
    return fields


def check_echoes(visible: Mapping[str, Any], echoes: Mapping[str, Any]) -> None:
    """Raises InvalidInput if a read-only field that came along differs from what the record says."""
    faults = [
        Fault(
            ("body", key), "read_only", f"{key!r} cannot be changed; leave it out, or send its present value"
        )
        for key, value in echoes.items()
        if value is not None and value != visible.get(key)
    ]
    if faults:
        raise InvalidInput(faults)


def changed_fields(old: Fields, new: Fields) -> list[str]:
    """The names of the fields whose values differ, in the record's order."""
    return [key for key in new if new[key] != old.get(key)]


def _dump(form: Form) -> dict[str, Any]:
    """The fields that a caller has set, each in full."""
    return form.model_dump(mode="json", include=set(form.model_fields_set))


def split_path(path: str) -> Sequence[str]:
    """The two steps of a path to a hidden part."""
    return path.split(".")
