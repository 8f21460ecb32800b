"""What actions ask of a database, whichever it is.

An action is a coroutine function that takes a transaction. On SQLite its awaits never wait (the rows are in this
process), so a whole batch of actions runs between two turns of the event loop and shares one commit. On a database
behind a socket the same actions wait for it. An action may be run again after a lost race: it must touch nothing but its
transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from steelyard.records.filters.ast import Filter
from steelyard.records.kinds import Link, Row
from steelyard.records.names import Reference

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Query:
    """A list: the records of `kind` in `workspace` (None for all), in the order of `sort`, ties broken by id.

    `after` is the last row already seen, as its sort value and id.
    """

    kind: str
    workspace: str | None
    sort: str
    descending: bool
    limit: int
    offset: int = 0
    filter: Filter | None = None
    after: tuple[str, str] | None = None


class ReadTransaction(Protocol):
    """One consistent view of the database."""

    async def find(self, kind: str, workspace: str, name: str) -> Row | None:
        """The record of that name."""

    async def exists(self, kind: str, workspace: str, name: str) -> bool:
        """Whether there is a record of that name."""

    async def select(self, query: Query) -> list[Row]:
        """The rows of a list."""

    async def count(self, query: Query) -> int:
        """How many rows the list has on all its pages."""

    async def content(self, digest: str) -> bytes | None:
        """A large value, as JSON."""

    async def base_models(self, model: Reference) -> list[Reference]:
        """`model`, its base model, that one's, and so on, as far as they are here."""

    async def referrers(
        self, kind: str, target: Reference, besides: str, limit: int
    ) -> list[tuple[Row, str]]:
        """Up to `limit` records, other than the one of id `besides`, that name `target`, each with its field."""

    async def count_referrers(self, kind: str, target: Reference, besides: str) -> int:
        """How many records other than the one of id `besides` name `target`."""

    async def workspace_referrers(self, workspace: str) -> list[tuple[str, Reference]]:
        """Kind and name of the records of other workspaces that name a record of this one."""


class WriteTransaction(ReadTransaction, Protocol):
    """A view that can be changed; all its changes are stored together, or none."""

    async def insert(self, row: Row, links: Sequence[Link]) -> None:
        """Stores a new record. Raises AlreadyExists."""

    async def update(self, row: Row, links: Sequence[Link] | None) -> None:
        """Stores a new state of a record; `links` None means that they are as before."""

    async def delete(self, row: Row) -> None:
        """Removes a record."""

    async def delete_in_workspace(self, workspace: str) -> None:
        """Removes every record of a workspace (but not the workspace's own)."""

    async def put_content(self, digest: str, body: bytes) -> None:
        """Stores a large value (JSON) by its digest, once."""


class Store(Protocol):
    """A database of records."""

    async def read(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        """Runs a short read: a few records by name."""

    async def scan(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        """Runs a read that may be long, away from the event loop."""

    async def write(self, action: Callable[[WriteTransaction], Awaitable[T]], *, heavy: bool = False) -> T:
        """Runs `action` in a transaction; its answer comes when the change is durable.

        `heavy` says that it may touch many records, and must not hold up the event loop. Raises what `action` raises,
        StorageFull, or Unavailable.
        """

    async def ready(self) -> bool:
        """Whether the database answers."""

    async def close(self) -> None:
        """Waits for the writes under way and lets go of the database."""
