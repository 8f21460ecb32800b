"""How a stored record is shown: stamps and fields in one object, hidden parts hidden."""

from collections.abc import Mapping
from typing import Any

from steelyard.records.dialects import MASK
from steelyard.records.kinds import Document, Fields, Kind, Row, split_path


def visible(
    kind: Kind,
    row: Row,
    *,
    contents: Mapping[str, Any] | None = None,
) -> Document:
    """The record as it is answered: secrets never, large values only where `contents` has them (by digest)."""
    document: Document = {"id": row.id, "name": row.name}
    if row.workspace:
        document["workspace"] = row.workspace
    if "project" in row.fields:
        document["project"] = row.fields["project"]
    document["created_at"] = row.created_at
    document["updated_at"] = row.updated_at
    if "created_by" in kind.read_only:
        document["created_by"] = row.created_by
        document["updated_by"] = row.updated_by
    if "entity_id" in kind.read_only:
        document["entity_id"] = row.id
        document["parent"] = row.parent
    document["revision"] = row.revision
    document.update(row.fields)
    for path in kind.secrets:
        _hide_secret(document, path)
    for path in kind.contents:
        _fill_content(document, path, contents)
    return document


def _hide_secret(document: Document, path: str) -> None:
    parent, child = split_path(path)
    if not child:
        document.pop(path, None)
        return
    holder = document.get(parent)
    if holder:
        document[parent] = {**holder, child: None, f"{child}_set": bool(holder[child])}


def _fill_content(document: Document, path: str, contents: Mapping[str, Any] | None) -> None:
    parent, child = split_path(path)
    holder = document.get(parent)
    if holder and holder[child]:
        document[parent] = {**holder, child: contents.get(holder[child]["sha256"]) if contents else None}


def whole(kind: Kind, row: Row, *, contents: Mapping[str, Any]) -> Document:
    """The record as changes of whole documents see it: with its large values, and a mask for a secret that is kept."""
    document = visible(kind, row, contents=contents)
    for path in kind.secrets:
        parent, child = split_path(path)
        if not child:
            document[path] = MASK if row.fields.get(path) else None
            continue
        holder = document.get(parent)
        if holder:
            is_set = holder.pop(f"{child}_set")
            holder[child] = MASK if is_set else None
    return document


def content_digests(kind: Kind, fields: Fields) -> list[str]:
    """The digests of the large values that `fields` hold."""
    digests = []
    for path in kind.contents:
        parent, child = split_path(path)
        if fields.get(parent) and fields[parent][child]:
            digests.append(fields[parent][child]["sha256"])
    return digests


def without_nulls(kind: Kind, document: Document) -> Document:
    """`document` without the fields that are null; what a caller put in an object of their own is left as it is."""
    return {
        key: _pruned(value) if key in kind.structs else value for key, value in document.items() if value is not None
    }


def _pruned(value: Any) -> Any:
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _pruned(item) for key, item in value.items() if item is not None}
