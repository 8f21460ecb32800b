"""API keys: a name, an owner, and what they take away from what the owner may."""

from typing import NamedTuple

from steelyard.records.access import Narrowing


class ApiKey(NamedTuple):
    """A key as it is kept: `digest` is the sha256 of its secret part, in hexadecimal.

    `email` and `groups` are what its owner's token said when the key was made: bindings may name these.
    """

    id: str
    owner: str
    name: str
    digest: str
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    narrowing: Narrowing
    networks: tuple[str, ...] = ()
    email: str | None = None
    groups: tuple[str, ...] = ()
    made_by_key: str | None = None

    def in_force(self, now: str) -> bool:
        """Whether it can be used at a time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
