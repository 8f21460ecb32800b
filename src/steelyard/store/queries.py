"""What actions ask a store for, and what it keeps for them beside records: plain values, whichever the database is."""

from dataclasses import dataclass
from typing import NamedTuple

from steelyard.records.filters.ast import Filter


@dataclass(frozen=True, slots=True)
class Query:
    """A list: the records of `kind` in `workspace` (None for all), in the order of `sort`, ties broken by id.

    `after` is the last row already seen, as its sort value and id. `workspaces` leaves out those of all others (of
    workspaces themselves, the others).
    """

    kind: str
    workspace: str | None
    sort: str
    descending: bool
    limit: int
    offset: int = 0
    filter: Filter | None = None
    after: tuple[str, str] | None = None
    workspaces: frozenset[str] | None = None


class Key(NamedTuple):
    """Which record a change is of; the kind `EVERY` says that it is of all in a workspace."""

    kind: str
    workspace: str
    name: str


EVERY = "*"


class KeptAnswer(NamedTuple):
    """The answer to a write; `asked` is the digest of what was asked."""

    asked: str
    status: int
    headers: list[tuple[str, str]]
    body: str
