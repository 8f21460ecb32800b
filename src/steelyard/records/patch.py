"""How a change is said and what it makes of a record: pure functions, the one way by which any record changes.

A change is said field by field (`Change`), or as a whole new document (`DocumentChange`, by the dialects of
`dialects.py`).

The dialect of `application/json`: what is absent or null keeps its value, objects and lists replace whole. A kind says
which fields null or an empty text clears. Parts that an answer hides (large values, secrets) are kept when they come
back hidden.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress
from operator import is_not
from typing import Any, Literal, NamedTuple

from steelyard.errors import Fault, InvalidInput, InvalidParameters
from steelyard.records.dialects import Transform, json_patch, masked, merge_patch
from steelyard.records.diff import same
from steelyard.records.forms import Form, UnknownFields, unknown_field_message, unknown_step, validate
from steelyard.records.kinds import Fields, Kind, Row
from steelyard.records.policy import Policy
from steelyard.records.strict_json import check_depth


@dataclass(slots=True)  # not frozen: that would take five times as long to make
class Change:
    """A change that has been validated: the fields to set, in stored form but for secrets and large values.

    `echoes` are the read-only fields that came along; they must be what the record says, or be null.
    """

    values: Mapping[str, Any]
    echoes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A change of the document as a whole, which can only be validated against the record that it is made to."""

    transform: Transform


class Said(NamedTuple):
    """What a caller sent to change a record, and in which dialect."""

    body: Any
    dialect: Literal["fields", "merge", "json_patch"] = "fields"
    mask: str | None = None
    put: bool = False
    """Whether it was sent to replace the record, for the kinds where that is another thing than to patch it."""


def read_change(kind: Kind, said: Said, workspace: str, name: str, policy: Policy) -> Change | DocumentChange:
    """The change that a caller asks for. Raises InvalidInput, InvalidParameters."""
    if said.mask is not None:
        if said.dialect != "fields":
            message = "update_mask goes with application/json; the other dialects say themselves what changes"
            raise InvalidParameters.of(("query", "update_mask"), "update_mask", message)
        return DocumentChange(masked(kind, said.body, said.mask))
    if said.dialect == "merge":
        if policy.unknown_fields == "refuse":
            _check_keys(kind, said.body)
        return DocumentChange(merge_patch(said.body))
    if said.dialect == "json_patch":
        return DocumentChange(json_patch(said.body, policy.max_record_bytes))
    replace = said.put and kind.put_style == "replace"
    return read_update(kind, said.body, workspace, name, policy.unknown_fields, replace=replace)


def _check_keys(kind: Kind, body: Any) -> None:
    """A merge patch may remove what is not there, but not with a name that nothing has: that is a typing error."""
    known = {key: value for key, value in body.items() if key not in kind.read_only} if isinstance(body, dict) else {}
    for path in _paths(known):
        if unknown := unknown_step(kind.update, path):
            message = unknown_field_message(kind.update, unknown)
            raise InvalidInput.of(("body", *unknown), "unknown_field", message)


def _paths(body: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in body.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _paths(value, (*above, key))


def apply_document(kind: Kind, row: Row, base: Mapping[str, Any], change: DocumentChange, policy: Policy) -> Fields:
    """The fields of `row`, whose whole document is `base`, after `change`. Raises InvalidInput, PreconditionFailed."""
    candidate = change.transform(dict(base))
    removed = [key for key in kind.read_only if key in base and key not in candidate]
    check_echoes(base, {key: candidate[key] for key in kind.read_only if key in candidate})
    missing = [key for key in kind.never_null if candidate.get(key) is None]
    faults = [Fault(("body", key), "read_only", f"{key!r} cannot be changed") for key in removed]
    faults += [Fault(("body", key), "required", f"{key!r} cannot be empty") for key in missing]
    if faults:
        raise InvalidInput(faults)
    body = {key: value for key, value in candidate.items() if key not in kind.read_only}
    check_depth(body, policy.max_depth)
    values = kind.complete(_dump(validate(kind.update, body, secrets=kind.secrets, unknown=policy.unknown_fields)))
    for key in kind.empty_clears:
        if values.get(key) == "":
            values[key] = kind.defaults.get(key)
    # What the server alone writes is kept.
    values |= {key: row.fields.get(key) for key in kind.order if key in kind.read_only}
    return kind.canonical(values, row.workspace, row.name)


def read_new(kind: Kind, body: Any, workspace: str, unknown: UnknownFields) -> tuple[str, Change]:
    """The name of a new record and all its fields. Raises InvalidInput."""
    form = validate(kind.create, body, secrets=kind.secrets, unknown=unknown)
    values = _dump(form)
    name: str = values.pop("name")
    given = {key: None if value == "" and key in kind.empty_clears else value for key, value in values.items()}
    return name, Change(kind.canonical(kind.complete(given), workspace, name))


def read_update(
    kind: Kind, body: Any, workspace: str, name: str, unknown: UnknownFields, *, replace: bool = False
) -> Change:
    """The change that an update's body says under `application/json`. Raises InvalidInput."""
    echoes: dict[str, Any] = {}
    if isinstance(body, dict) and not body.keys().isdisjoint(kind.read_only):
        echoes = {key: body[key] for key in kind.read_only if key in body}
        body = {key: value for key, value in body.items() if key not in echoes}
    given = _dump(validate(kind.update, body, secrets=kind.secrets, unknown=unknown))
    if replace:
        keeps = kind.kept_when_absent | kind.observed
        for key in keeps:
            if given.get(key) is None:
                given.pop(key, None)
        kept = keeps - given.keys()
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
        Fault(("body", key), "read_only", f"{key!r} cannot be changed; leave it out, or send its present value")
        for key, value in echoes.items()
        if value is not None and value != visible.get(key)
    ]
    if faults:
        raise InvalidInput(faults)


def changed_fields(old: Fields, new: Fields) -> list[str]:
    """The names of the fields whose values differ, in the record's order."""
    # What no change has touched is the very same object: these are sorted out first, without a loop of our own, for
    # every change asks this several times.
    touched = compress(new, map(is_not, new.values(), map(old.get, new)))
    return [key for key in touched if not same(old.get(key), new[key])]


def _dump(form: Form) -> dict[str, Any]:
    """The fields that a caller has set, each in full."""
    return form.model_dump(mode="json", by_alias=True, include=set(form.model_fields_set))
