"""The audit: who did what, and who was not allowed to; a chain of hashes, so that nothing can be taken out unseen.

The hash of a row is the sha256 of the hash before it and of its words, as one JSON array (`link`). The first one
follows `START`.
"""

import hashlib
from typing import Literal, NamedTuple

import orjson

START = "0" * 64


class By(NamedTuple):
    """Who does something, and by which rule they may: what the audit knows beyond a note in the history."""

    key_id: str | None = None
    issuer: str | None = None
    address: str | None = None
    rule: str | None = None


class Entry(NamedTuple):
    """One thing that was done, or refused. `action` is a permission, or `kind.verb` for a change of a record."""

    at: str
    outcome: Literal["allowed", "refused"]
    action: str
    subject: str | None = None
    key_id: str | None = None
    issuer: str | None = None
    address: str | None = None
    request_id: str | None = None
    rule: str | None = None
    kind: str | None = None
    workspace: str | None = None
    name: str | None = None
    record_id: str | None = None
    revision: int | None = None
    detail: str | None = None


class StoredEntry(NamedTuple):
    """An entry with its number and its hash."""

    seq: int
    entry: Entry
    hash: str


def link(before: str, seq: int, entry: Entry) -> str:
    """The hash of the entry of that number, which follows the one with the hash `before`."""
    return hashlib.sha256(orjson.dumps([before, seq, *entry])).hexdigest()
