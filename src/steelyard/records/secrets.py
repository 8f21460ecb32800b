"""Secrets: values that other records name and that only the server uses. What comes in does not come out again."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form, Shown
from steelyard.records.kinds import Fields, Kind, Stamped
from steelyard.records.names import OpenName

SealedIn = Literal["records", "deleted", "revisions"]
"""Where sealed secrets stand: in records as they are, in deleted ones, and in the history."""


class Sealed(NamedTuple):
    """A state of a record with sealed secrets in it; `key` is its name in that place."""

    place: SealedIn
    key: str | int
    record_id: str
    kind: str
    workspace: str
    name: str
    fields: Fields


SecretValue = Annotated[
    str, Field(min_length=1, max_length=65_536, json_schema_extra={"format": "password", "writeOnly": True})
]


class UpdateSecretRequest(Form):
    """A change of a secret: a field that is absent or null keeps its value."""

    description: Description | None = None
    value: SecretValue | None = None


class CreateSecretRequest(UpdateSecretRequest):
    """A new secret. Its value is in no answer, event, difference or export."""

    name: OpenName
    value: SecretValue


class Secret(Stamped):
    """A secret as it is answered: that there is one, and what it is for."""

    name: OpenName
    workspace: OpenName
    description: str | None = None


class SecretAccess(Shown):
    """A secret with its value."""

    name: str
    workspace: str
    value: str


class SecretRotation(Shown):
    """What a rotation of the data keys did. `success` is false where a secret could not be opened any more."""

    rotated_secrets: int
    success: bool


SECRET = Kind(
    name="platform-secret",
    title="Secret",
    id_prefix="platform-secret",
    create=CreateSecretRequest,
    update=UpdateSecretRequest,
    answer=Secret,
    order=("description", "value"),
    never_null=frozenset({"value"}),
    secrets=("value",),
    default_sort="-created_at",
    filters=FilterFields(kind="platform-secret", fields=(FilterField.text("description"),), secret_paths=("value",)),
)
