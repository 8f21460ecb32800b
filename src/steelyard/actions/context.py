"""What every action is given: the store, the vault, the policy, the clock, and who is asking."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from steelyard.actions.files.pulls import Pulls
from steelyard.auth.vault import Sealer
from steelyard.blobs.protocol import BlobStore, Staging
from steelyard.errors import Forbidden
from steelyard.outbound.policy import OutboundPolicy
from steelyard.records.access import Access
from steelyard.records.audit import By, Entry
from steelyard.records.filesets import FileEntry, Pinned
from steelyard.records.history import Note, Verb
from steelyard.records.kinds import Fields, Row
from steelyard.records.policy import Policy
from steelyard.store.protocol import Store


class Caller(NamedTuple):
    """Who is asking, and why. Without `access` (a server without authentication) nobody has a name, and everybody may
    do everything.
    """

    name: str | None = None
    request_id: str = ""
    reason: str | None = None
    access: Access | None = None
    by: By | None = None
    """What the audit writes down of them."""

    def note(self, action: Verb, at: str, cause: str | None = None) -> Note:
        """The note that a change by this caller leaves in the history."""
        return Note(action, at, self.name, self.request_id, self.reason, cause, self.by)

    def entry(self, at: str, action: str, kind: str, workspace: str | None, name: str, detail: str) -> Entry:
        """What the audit says of something that they have done beside changing a record."""
        by = self.by or By()
        who = (self.name, by.key_id, by.issuer, by.address, self.request_id or None, by.rule)
        return Entry(at, "allowed", action, *who, kind, workspace, name, detail=detail)

    def may(self, permission: str, workspace: str | None) -> bool:
        """Whether they have a permission in a workspace; None: for the whole server."""
        return self.access is None or self.access.may(permission, workspace)

    def require(self, permission: str, workspace: str | None) -> None:
        """Raises Forbidden if they do not have a permission."""
        if not self.may(permission, workspace):
            raise forbidden(permission, workspace)

    def sees(self, kind: str, workspace: str, name: str) -> bool:
        """Whether a record is there for them."""
        return self.access is None or self.access.sees(kind, workspace, name)

    def shown(self, row: Row) -> Row:
        """A record as far as they see it: see `Access.shown`."""
        if self.access is None or row.kind != "model":
            return row
        fields = self.access.shown(row.kind, row.fields)
        return row if fields is row.fields else row._replace(fields=fields)


def forbidden(permission: str, workspace: str | None) -> Forbidden:
    """The error of a permission that is missing; it does not tell whether there is such a workspace."""
    where = f" in the workspace {workspace!r}" if workspace is not None else ""
    return Forbidden(f"you do not have the permission {permission}{where}", permission=permission)


class Sources(Protocol):
    """The places that filesets can take their files from."""

    async def pin(self, workspace: str, storage: Fields) -> Pinned:
        """What `storage` has now. Raises BadReference, InvalidInput, Forbidden, OutboundRefused, OutboundFailed."""

    async def read_range(self, fileset: Row, file: FileEntry, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`. Raises OutboundFailed, also if its content is another now."""

    def stream(self, fileset: Row, file: FileEntry) -> AsyncIterator[bytes]:
        """The bytes of a file, in pieces. Raises OutboundFailed, also if its content is another now."""

    async def close(self) -> None:
        """Ends all connections."""


@dataclass(frozen=True, slots=True)
class Context:
    """The outside world of the actions; one value, made when the server starts."""

    store: Store
    vault: Sealer
    blobs: BlobStore
    staging: Staging
    sources: Sources
    policy: Policy
    now: Callable[[], str]
    """The present time, as records write it."""
    ago: Callable[[float], str]
    """The time that many seconds ago, as records write it."""
    new_id: Callable[[str], str]
    """A new id with the given prefix."""
    outbound: OutboundPolicy = OutboundPolicy()  # noqa: RUF009 - frozen
    """Where the server may send requests."""
    pulls: Pulls = field(default_factory=Pulls)
    """What is being fetched from sources."""
    access: Access | None = None
    """What the caller may do in whose sight the store reads (`guard.py`); None: everything is seen."""

    def sees(self, kind: str, workspace: str, name: str) -> bool:
        """Whether a record is there for whom this context reads."""
        return self.access is None or self.access.sees(kind, workspace, name)

    def shown(self, row: Row) -> Row:
        """A record as far as it is seen: see `Access.shown`."""
        return Caller(access=self.access).shown(row)
