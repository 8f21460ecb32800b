"""What is kept of each change: when, by whom, why, and the record's state after it."""

from typing import Any, Literal, NamedTuple

from steelyard.records.kinds import Fields

Verb = Literal["create", "update", "revert", "delete", "undelete", "purge", "freeze", "unfreeze", "inspect", "distrust"]


class Note(NamedTuple):
    """Why and by whom a record changes; `cause` is the id of another one whose delete or undelete brought it about."""

    action: Verb
    at: str
    actor: str | None = None
    request_id: str = ""
    reason: str | None = None
    cause: str | None = None


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
