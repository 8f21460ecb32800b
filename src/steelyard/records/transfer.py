"""A record as it travels between registries: what a caller can write, without secrets, stamps or the workspace."""

from collections.abc import Collection
from typing import Any

from steelyard.records.kinds import Document, Kind, Row, split_path
from steelyard.records.model_names import BETWEEN, parse_model_name

EXPORT_VERSION = 1
ORDER = ("workspace", "project", "prompt", "fileset", "model-provider", "model", "alias", "virtual-model", "limit")
"""The order of kinds in an export: what is referred to, and must be there, comes first."""


def header() -> Document:
    """The first line of an export."""
    return {"steelyard_export": EXPORT_VERSION}


def exported(kind: Kind, row: Row, document: Document) -> Document:
    """The line of a record, whose whole document with its large values is `document`."""
    unsaid = {*kind.read_only, *kind.unsaid(row.fields)}
    record = {field: document[field] for field in kind.order if field not in unsaid}
    for path in kind.secrets:
        parent, child = split_path(path)
        if not child:
            del record[path]
        elif record.get(parent):
            record[parent] = {key: value for key, value in record[parent].items() if key not in {child, f"{child}_set"}}
    for field in kind.link_fields:
        if field in record:
            record[field] = _relative(record[field], row.workspace, kind.reference_keys)
    return {"kind": kind.name, "name": row.name, "record": record}


def _relative(value: Any, workspace: str, keys: Collection[str]) -> Any:
    """References into the own workspace as bare names, so that the line means the same in another one."""
    if isinstance(value, list):
        return [_relative(item, workspace, keys) for item in value]
    if isinstance(value, dict):
        return {key: _relative(item, workspace, keys) if key in keys else item for key, item in value.items()}
    return _relative_name(value, workspace) if isinstance(value, str) else value


def _relative_name(text: str, workspace: str) -> str:
    name = parse_model_name(text, workspace)
    if name is None:
        return text
    parts = (name.base, name.adapter) if name.adapter else (name.base,)
    return BETWEEN.join(part.name if part.workspace == workspace else str(part) for part in parts)
