"""What is kept of each change: when, by whom, why, and the record's state after it."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from steelyard.records.audit import By, Entry
from steelyard.records.kinds import Fields, Row

Verb = Literal["create", "update", "revert", "delete", "undelete", "purge", "freeze", "unfreeze", "inspect", "distrust"]


class Note(NamedTuple):
    """Why and by whom a record changes; `cause` is the id of another one whose delete or undelete brought it about."""

    action: Verb
    at: str
    actor: str | None = None
    request_id: str = ""
    reason: str | None = None
    cause: str | None = None
    by: By | None = None
    """What the audit writes down of the caller; None where there is no audit."""


def audited(row: Row, note: Note, changed: Sequence[str]) -> Entry:
    """A change of a record, as the audit tells it."""
    by = note.by or By()
    detail = ", ".join(changed) if note.action != "create" else None
    return Entry(
        note.at,
        "allowed",
        f"{row.kind}.{note.action}",
        note.actor,
        by.key_id,
        by.issuer,
        by.address,
        note.request_id or None,
        by.rule,
        row.kind,
        row.workspace or (row.name if row.kind == "workspace" else None),
        row.name,
        row.id,
        row.revision,
        (detail or note.reason) and f"{detail or ''}{': ' if detail and note.reason else ''}{note.reason or ''}",
    )


class Revision(NamedTuple):
    """One change of one record. `seq` orders all changes of all records; `fields` is None after a delete."""

    seq: int
    record_id: str
    kind: str
    workspace: str
    name: str
    revision: int
    action: Verb
    at: str
    actor: str | None
    request_id: str | None
    reason: str | None
    cause: str | None
    changed: list[str]
    fields: Fields | None


def unseen(revision: Revision) -> Revision:
    """A change of which no more is told than that there was one: its kind is empty."""
    return Revision(revision.seq, "", "", "", "", 0, "update", "", None, None, None, None, [], None)


class DeletedRow(NamedTuple):
    """A record that is deleted and can be undeleted."""

    id: str
    kind: str
    workspace: str
    name: str
    parent: str | None
    revision: int
    created_at: str
    created_by: str | None
    fields: dict[str, Any]
    deleted_at: str
    deleted_with: str | None
