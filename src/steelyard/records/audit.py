"""The audit: who did what, and who was not allowed to; a chain of hashes, so that nothing can be taken out unseen.

The hash of a row is the sha256 of the hash before it and of its words, as one JSON array (`link`). The first one
follows `START`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

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


def entry_document(stored: StoredEntry) -> dict[str, Any]:
    """An entry as it is answered and exported."""
    return {"seq": stored.seq, **stored.entry._asdict(), "hash": stored.hash}


def read_entry(document: Mapping[str, Any]) -> StoredEntry:
    """The entry that a line of an export says. Raises KeyError, TypeError for what is none."""
    fields = {name: document[name] for name in Entry._fields}
    if not isinstance(document["seq"], int) or not isinstance(document["hash"], str):
        raise TypeError("seq must be a number, and hash a text")
    return StoredEntry(document["seq"], Entry(**fields), document["hash"])


@dataclass(slots=True)
class Chain:
    """Holds entries against their hashes, one after the other, from the first one on.

    `noted` is a hash that somebody has written down elsewhere: that it is found shows that nothing was cut off before.
    """

    noted: str | None = None
    rows: int = 0
    head: str = START
    broken: int | None = None
    why: str | None = None
    noted_found: bool = False

    def __post_init__(self) -> None:
        self.noted_found = self.noted == START

    def add(self, stored: StoredEntry) -> bool:
        """Whether the chain is whole up to this entry; the first one that breaks it is remembered."""
        if self.broken is not None:
            return False
        if stored.seq != self.rows + 1:
            return self._breaks(stored.seq, f"the entry {self.rows + 1} should come before it")
        if link(self.head, stored.seq, stored.entry) != stored.hash:
            return self._breaks(stored.seq, "its hash is not that of the one before and of its own words")
        self.rows, self.head = stored.seq, stored.hash
        self.noted_found = self.noted_found or stored.hash == self.noted
        return True

    def _breaks(self, seq: int, why: str) -> bool:
        self.broken, self.why = seq, why
        return False

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.broken is None and (self.noted is None or self.noted_found)

    def document(self) -> dict[str, Any]:
        """As it is answered."""
        why = self.why
        if why is None and not self.whole:
            why = "no entry has the hash that was noted: the end has been cut off, or the hash is of another server"
        return {
            "whole": self.whole,
            "rows": self.rows,
            "head": self.head,
            "broken_at": self.broken,
            "why": why,
            "noted_found": self.noted_found if self.noted is not None else None,
        }
