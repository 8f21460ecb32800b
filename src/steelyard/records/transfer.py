"""A record as it travels between registries: what a caller can write, without secrets, stamps or the workspace."""

from typing import Any

from steelyard.records.kinds import Document, Kind, Row, split_path
from steelyard.records.names import parse_reference

EXPORT_VERSION = 1
ORDER = ("workspace", "project", "prompt", "fileset", "model", "alias")
"""The order of kinds in an export: what is referred to, and must be there, comes first."""


def header() -> Document:
    """The first line of an export."""
    return {"steelyard_export": EXPORT_VERSION}


def exported(kind: Kind, row: Row, document: Document) -> Document:
    """The line of a record, whose whole document with its large values is `document`."""
    record = {field: document[field] for field in kind.order if field not in kind.read_only}
    for path in kind.secrets:
        parent, child = split_path(path)
        if not child:
            del record[path]
        elif record.get(parent):
            record[parent] = {key: value for key, value in record[parent].items() if key not in {child, f"{child}_set"}}
    for field in kind.link_fields:
        record[field] = _relative(record[field], row.workspace)
    return {"kind": kind.name, "name": row.name, "record": record}


def _relative(value: Any, workspace: str) -> Any:
    """References into the own workspace as bare names, so that the line means the same in another one."""
    if isinstance(value, list):
        return [_relative(item, workspace) for item in value]
    if not isinstance(value, str):
        return value
    reference = parse_reference(value, workspace)
    return reference.name if reference and reference.workspace == workspace else value
