"""What the store knows of bytes and of what was read in them; the bytes themselves are kept by `blobs/`."""

from typing import Any, Literal, NamedTuple

BlobState = Literal["arriving", "live", "corrupt", "deleting"]
"""`corrupt`: missing, or no longer what the digest says; the same bytes, sent again, mend it."""


class Blob(NamedTuple):
    """Bytes by their sha256. `facts` are what is known of the content, whatever its name: `scan`, `git_oid`."""

    digest: str
    size: int
    state: BlobState
    seen_at: str
    facts: dict[str, Any]


class StoredInspection(NamedTuple):
    """What a reader of that version said of a content."""

    version: int
    at: str
    body: dict[str, Any]
