"""API keys: a name, an owner, and what they take away from what the owner may."""

from typing import Annotated, Any, NamedTuple

from pydantic import Field

from steelyard.records.access import Narrowing
from steelyard.records.forms import Form, Shown
from steelyard.records.names import NarrowName, OpenName


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


Subject = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9@._\-:+/]+$")]
Items = Annotated[list[Annotated[str, Field(min_length=1, max_length=511)]], Field(max_length=100)]


class CreateKeyRequest(Form):
    """A new key. What it does not narrow is as wide as its owner's roles; those who may administer keys can make one
    for another `owner`, such as a service.
    """

    name: OpenName
    owner: Subject | None = None
    expires_at: Annotated[str, Field(max_length=40)] | None = None
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    scopes: Items = []
    workspaces: Annotated[list[NarrowName], Field(max_length=100)] = []
    models: Items = []
    networks: Items = []


class KeyBody(Shown):
    """A key as it is answered; `key` is there once, in the answer that makes it."""

    id: str
    name: str
    owner: str
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    scopes: list[str]
    workspaces: list[str]
    models: list[str]
    networks: list[str]
    key: str | None = None


def key_document(key: ApiKey) -> dict[str, Any]:
    """A key as it is shown."""
    narrowing = key.narrowing
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
        "scopes": narrowing.scopes,
        "workspaces": narrowing.workspaces,
        "models": narrowing.models,
        "networks": key.networks,
    }
