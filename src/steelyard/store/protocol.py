"""What actions ask of a database, whichever it is.

An action is a coroutine function that takes a transaction. On SQLite its awaits never wait (the rows are in this
process), so a whole batch of actions runs between two turns of the event loop and shares one commit. On a database
behind a socket the same actions wait for it. An action may be run again after a lost race: it must touch nothing but
its transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from steelyard.records.access import Binding
from steelyard.records.audit import Entry, StoredEntry
from steelyard.records.blobs import Blob, BlobState, StoredInspection
from steelyard.records.deliveries import Delivery, Follower, WebhookState
from steelyard.records.filesets import Commit, FileChange, FileEntry
from steelyard.records.history import DeletedRow, Note, Revision
from steelyard.records.keys import ApiKey
from steelyard.records.kinds import Link, Row
from steelyard.records.lineage import Relative
from steelyard.records.names import Reference
from steelyard.records.secrets import Sealed, SealedIn
from steelyard.records.usage import Place, Spent, UsageQuery, UsageRow, UsageSum
from steelyard.store.queries import KeptAnswer, Key, Query
from steelyard.store.signal import Signal

T = TypeVar("T")


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

    async def referrers(self, kind: str, target: Reference, besides: str, limit: int) -> list[tuple[Row, str]]:
        """Up to `limit` records, other than the one of id `besides`, that name `target`, each with its field."""

    async def count_referrers(self, kind: str, target: Reference, besides: str) -> int:
        """How many records other than the one of id `besides` name `target`."""

    async def workspace_referrers(self, workspace: str) -> list[tuple[str, Reference]]:
        """Kind and name of the records of other workspaces that name a record of this one."""

    async def children(self, id: str, limit: int) -> list[Row]:
        """Up to `limit` records whose parent is the record `id`."""

    async def lineage(self, model: Reference, *, up: int, down: int, limit: int) -> list[Relative]:
        """The relatives of a model, up to `limit` each way: base models up to `up` steps away, and what is made from
        it, models and adapters, up to `down` steps away.
        """

    async def find_deleted(self, kind: str, workspace: str, name: str) -> DeletedRow | None:
        """The record of that name that was deleted last, and can be undeleted."""

    async def deleted_with(self, id: str) -> list[DeletedRow]:
        """The deleted records that went with the one of that id."""

    async def deleted_in(self, workspace: str) -> list[DeletedRow]:
        """The deleted records that were in the workspace, whenever they went."""

    async def deleted_before(self, time: str, limit: int) -> list[DeletedRow]:
        """Up to `limit` records that were deleted before `time`, the oldest first."""

    async def revision(self, id: str, number: int) -> Revision | None:
        """The change of that number of the record `id`."""

    async def revision_at(self, id: str, time: str) -> Revision | None:
        """The last change of the record `id` at or before `time`."""

    async def revisions(self, id: str, newest: int, limit: int) -> list[Revision]:
        """Up to `limit` changes of the record `id`, from number `newest` down."""

    async def count_revisions(self, id: str) -> int:
        """How many changes of the record `id` are kept."""

    async def caused(self, id: str) -> list[Revision]:
        """The changes of other records that the last delete of the record `id` brought about."""

    async def created(self, id: str) -> tuple[str, str | None] | None:
        """When and by whom the record `id` was created, deleted or not."""

    async def events(self, after: int, limit: int) -> list[Revision]:
        """Up to `limit` changes of any record that follow the one of number `after`, in their order."""

    async def last_event(self) -> int:
        """The number of the last change."""

    async def find_answer(self, scope: str, key: str, since: str) -> KeptAnswer | None:
        """The answer that was given to a write with that key."""

    async def followers(self) -> list[Follower]:
        """All webhooks, each with how far it has come."""

    async def webhook_state(self, webhook_id: str) -> WebhookState | None:
        """How far a webhook has come; None before its first delivery."""

    async def webhook_start(self, webhook_id: str) -> int | None:
        """The number of the change that made the webhook or brought it back."""

    async def deliveries(self, webhook_id: str, newest: int, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries of a webhook, from number `newest` down."""

    async def count_deliveries(self, webhook_id: str) -> int:
        """How many deliveries of a webhook are remembered."""

    async def find_delivery(self, webhook_id: str, seq: int) -> Delivery | None:
        """The delivery of the change of that number, as the feed brought it."""

    async def waiting_deliveries(self, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries that were asked for by hand and not tried yet, the oldest first."""

    async def head_commit(self, fileset_id: str) -> Commit | None:
        """The last commit of a fileset."""

    async def commit_of_id(self, fileset_id: str, id: str) -> Commit | None:
        """The commit of that id."""

    async def commits(self, fileset_id: str, newest: int, limit: int) -> list[Commit]:
        """Up to `limit` commits of a fileset, from number `newest` down."""

    async def file_at(self, fileset_id: str, number: int, path: str) -> FileEntry | None:
        """The file of that path at the commit of that number."""

    async def files_at(
        self, fileset_id: str, number: int, *, after: str = "", prefix: str = "", limit: int
    ) -> list[FileEntry]:
        """Up to `limit` files at the commit of that number, by path, those after the path `after` with that prefix."""

    async def blob(self, digest: str) -> Blob | None:
        """What is known of the bytes of that digest."""

    async def blobs_from(self, after: str, limit: int) -> list[Blob]:
        """Up to `limit` blobs whose digests follow `after`."""

    async def blob_users(self, digest: str, limit: int) -> list[tuple[Reference, str]]:
        """Up to `limit` filesets, each with a path, that name those bytes at any commit."""

    async def workspace_has(self, workspace: str, digest: str, since: str) -> bool:
        """Whether a workspace has sent those bytes since a time, or one of its filesets names them at any commit."""

    async def unused_blobs(self, before: str, after: str, limit: int) -> list[str]:
        """Up to `limit` digests after `after` of bytes that nothing names, claims or has asked for since a time."""

    async def garbage(self, limit: int) -> list[str]:
        """Up to `limit` digests of bytes that are being swept."""

    async def filesets_ahead(self, limit: int) -> list[Reference]:
        """Up to `limit` filesets at another commit than some model's spec was read at."""

    async def inspection(self, content: str) -> StoredInspection | None:
        """What was read in a content."""

    async def sealed(
        self, place: SealedIn, kind: str, path: str, *, after: str | int | None, limit: int, other_than: str = ""
    ) -> list[Sealed]:
        """Up to `limit` states of records of a kind with a secret at `path`, after the one of the key `after`; only
        those that another master key sealed than the one of the id `other_than`, if one is given.
        """

    async def sealed_at(self, place: SealedIn, key: str | int) -> Sealed | None:
        """The state of a record of that key, as it is now."""

    async def sealing_keys(self, kind: str, path: str) -> set[str]:
        """The ids of the master keys that sealed what stands at `path` in records of a kind, also of the past."""

    async def usage(
        self, query: UsageQuery, *, newest_first: bool, after: Place | None, limit: int
    ) -> list[tuple[Place, UsageRow]]:
        """Up to `limit` rows of usage, in the order of their times, those that follow the place `after`."""

    async def sum_usage(self, query: UsageQuery, groups: Sequence[str], limit: int) -> list[UsageSum]:
        """Usage by those of `records.usage.GROUPS`: the `limit` groups with the most requests."""

    async def spent(self, day: str) -> list[Spent]:
        """All that was spent, by workspace, model, key and currency, as of a day (`2026-01-31`)."""

    async def keys(self) -> list[ApiKey]:
        """All API keys, also those that are revoked, in the order in which they were made."""

    async def key(self, id: str) -> ApiKey | None:
        """The API key of that id."""

    async def bindings(self) -> list[Binding]:
        """All bindings of roles, also those that are revoked, in the order in which they were granted."""

    async def binding(self, id: str) -> Binding | None:
        """The binding of that id."""

    async def last_audit(self) -> tuple[int, str]:
        """The number and the hash of the last entry of the audit; those of its beginning if there is none."""

    async def audit(
        self,
        *,
        after: int,
        limit: int,
        newest_first: bool = False,
        workspaces: Sequence[str] | None = None,
        equal: Sequence[tuple[str, str]] = (),
        since: str | None = None,
        until: str | None = None,
    ) -> list[StoredEntry]:
        """Up to `limit` entries of the audit that follow number `after` (newest first: that are before it), of those
        workspaces (None: all and none), whose columns have the values of `equal`, from a time until before another.
        """


class WriteTransaction(ReadTransaction, Protocol):
    """A view that can be changed; all its changes are stored together, or none. A change leaves a revision."""

    async def insert(self, row: Row, links: Sequence[Link], note: Note) -> None:
        """Stores a new record. Raises AlreadyExists."""

    async def update(self, row: Row, links: Sequence[Link] | None, note: Note, changed: Sequence[str]) -> None:
        """Stores a new state of a record; `links` None means that they are as before."""

    async def put_fields(self, row: Row) -> None:
        """Stores the fields of a record that say the same as before in other words: it leaves no revision."""

    async def put_sealed(self, sealed: Sealed) -> None:
        """Stores fields with the same secrets, sealed anew: it leaves no revision."""

    async def delete(self, row: Row, note: Note) -> None:
        """Removes a record, which can be undeleted."""

    async def delete_in_workspace(self, workspace: str, note: Note) -> int:
        """Removes every record of a workspace (but not the workspace's own, whose id is the note's cause), and answers
        how many they were.
        """

    async def forget_deleted(self, id: str) -> None:
        """A deleted record is so no more: it has been undeleted, or is purged."""

    async def purge(self, row: DeletedRow, note: Note) -> None:
        """Removes a deleted record with its history; only that this was done is kept."""

    async def put_content(self, digest: str, body: bytes) -> None:
        """Stores a large value (JSON) by its digest, once."""

    async def sweep_contents(self) -> None:
        """Removes the large values that nothing holds any more."""

    async def keep_answer(self, scope: str, key: str, at: str, answer: KeptAnswer) -> None:
        """Keeps the answer to a write with that key."""

    async def forget_answers(self, before: str) -> None:
        """Removes the answers that were kept before a time."""

    async def put_webhook_state(self, state: WebhookState) -> None:
        """Stores how far a webhook has come. Its record must be there."""

    async def put_delivery(self, delivery: Delivery) -> None:
        """Stores a delivery: a new one if its number is 0."""

    async def forget_deliveries(self, webhook_id: str, keep: int) -> None:
        """Removes all but the newest deliveries of a webhook, except those that are not settled."""

    async def put_commit(self, commit: Commit) -> None:
        """Stores a commit; its number follows that of the last one."""

    async def set_commit_content(self, fileset_id: str, number: int, content: str) -> None:
        """Stores the digest of all that a commit holds."""

    async def change_file(self, fileset_id: str, number: int, change: FileChange, at: str) -> None:
        """Makes a change of a file a part of the commit of that number."""

    async def set_file_digest(self, fileset_id: str, entry: FileEntry, digest: str, size: int) -> None:
        """Stores which bytes a file of a source turned out to have."""

    async def forget_files(self, fileset_id: str) -> None:
        """Removes all that is known of the files of a fileset which is purged."""

    async def forget_replaced_files(self, before: str, limit: int) -> int:
        """Removes up to `limit` files that were replaced or removed before a time, and answers how many."""

    async def put_blob(self, blob: Blob) -> None:
        """Stores that there are, or will be, such bytes; those that are live stay so."""

    async def touch_blob(self, digest: str, at: str) -> None:
        """Notes that somebody means to name those bytes."""

    async def claim_blob(self, digest: str, workspace: str, at: str) -> None:
        """Notes that a workspace has sent those bytes."""

    async def set_blob_state(self, digest: str, state: BlobState) -> None:
        """Stores whether bytes that should be here are (`live`) or not (`corrupt`)."""

    async def mark_garbage(self, digest: str, before: str) -> bool:
        """Marks bytes as being swept, if nothing names, claims or has asked for them since a time; answers whether."""

    async def forget_blob(self, digest: str) -> None:
        """Forgets bytes that have been swept."""

    async def forget_claims(self, before: str) -> None:
        """Forgets the claims of before a time."""

    async def put_inspection(self, content: str, inspection: StoredInspection) -> None:
        """Stores what was read in a content."""

    async def forget_inspections(self, before: str) -> None:
        """Removes what was read before a time in contents that no commit has any more."""

    async def add_usage(self, rows: Sequence[UsageRow]) -> None:
        """Stores what was used."""

    async def forget_usage(self, before: str, limit: int) -> int:
        """Removes up to `limit` rows of usage of before a time, and answers how many. What was spent stays known."""

    async def put_days_together(self, before: str) -> None:
        """Makes one sum for each month of what was spent on the days before a day."""

    async def put_key(self, key: ApiKey) -> None:
        """Stores a new API key. Raises AlreadyExists if its owner has one of that name in force."""

    async def revoke_key(self, id: str, at: str) -> bool:
        """Ends a key; answers whether it was in force."""

    async def touch_key(self, id: str, at: str) -> None:
        """Notes when a key was used last."""

    async def put_binding(self, binding: Binding) -> bool:
        """Stores a binding of a role; answers whether there was none like it in force."""

    async def revoke_binding(self, binding: Binding, at: str) -> bool:
        """Ends a binding; answers whether it was in force."""

    async def revoke_bindings_of_workspace(self, workspace: str, at: str) -> None:
        """Ends all bindings of a workspace."""

    async def put_audit(self, entry: Entry) -> None:
        """Adds an entry to the audit, with the hash that its place in the chain gives it."""


class Store(Protocol):
    """A database of records."""

    changed: Signal
    """Rings after each commit: whoever follows the feed looks again."""

    async def read(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        """Runs a short read: a few records by name."""

    async def scan(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        """Runs a read that may be long, away from the event loop."""

    async def write(
        self, action: Callable[[WriteTransaction], Awaitable[T]], *, heavy: bool = False, dry_run: bool = False
    ) -> T:
        """Runs `action` in a transaction; its answer comes when the change is durable.

        `heavy` says that it may touch many records, and must not hold up the event loop. A `dry_run` answers what the
        action answers, and takes its changes back. Raises what `action` raises, StorageFull, or Unavailable.
        """

    def watch(self, watcher: Callable[[Sequence[Key]], None]) -> None:
        """Has `watcher` told of each commit which records it has changed, before anybody is answered.

        It is called on the event loop, and must neither wait nor fail.
        """

    async def ready(self) -> bool:
        """Whether the database answers."""

    async def close(self) -> None:
        """Waits for the writes under way and lets go of the database."""
