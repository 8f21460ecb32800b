"""Webhooks: where the changes of a workspace are sent."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from steelyard.records.dialects import MASK
from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form
from steelyard.records.inference import HttpUrl
from steelyard.records.kinds import Kind, Stamped
from steelyard.records.names import OpenName
from steelyard.records.signatures import read_secret

MOST_KINDS = 50


def _secret(text: str) -> str:
    if text != MASK:
        try:
            read_secret(text)
        except ValueError as error:
            raise PydanticCustomError("signing_secret", f"{error}") from None
    return text


class Signing(Form):
    """What deliveries are signed with. `secret` is written and never answered, but once where the server made it."""

    secret: (
        Annotated[
            str,
            Field(max_length=128, json_schema_extra={"pattern": "^whsec_[A-Za-z0-9+/]+={0,2}$"}),
            AfterValidator(_secret),
        ]
        | None
    ) = None
    secret_set: bool | None = None


class WebhookUpdate(Form):
    """A change of a webhook: a field that is absent or null keeps its value.

    `kinds` are the kinds of records whose changes are sent; none for all.
    """

    description: Description | None = None
    url: HttpUrl | None = None
    kinds: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=MOST_KINDS)] | None = None
    enabled: bool | None = None
    signing: Signing | None = None


class WebhookInput(WebhookUpdate):
    """A new webhook. Without a secret the server makes one, and shows it in the answer, once."""

    name: OpenName
    url: HttpUrl


class Webhook(Stamped, WebhookUpdate):
    """A webhook as it is answered."""

    name: OpenName
    workspace: OpenName
    url: HttpUrl
    kinds: list[str] = []
    enabled: bool = True


WEBHOOK = Kind(
    name="webhook",
    title="Webhook",
    id_prefix="webhook",
    create=WebhookInput,
    update=WebhookUpdate,
    answer=Webhook,
    order=("description", "url", "kinds", "enabled", "signing"),
    defaults={"kinds": [], "enabled": True},
    never_null=frozenset({"url", "kinds", "enabled", "signing"}),
    secrets=("signing.secret",),
    structs=frozenset({"signing"}),
    filters=FilterFields(
        kind="webhook",
        fields=(FilterField.text("description"), FilterField.text("url"), FilterField.flag("enabled")),
        secret_paths=("signing.secret",),
    ),
)
