"""Model providers: the servers that answer for models. Where each is, how it is spoken to, and what it serves."""

import re
from enum import StrEnum
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form, JsonObject, Shown
from steelyard.records.http_fields import ExtraHeaders, is_value, refusal_of_name
from steelyard.records.inference import HttpUrl
from steelyard.records.kinds import (
    Kind,
    Link,
    ProjectName,
    Stamped,
    canonical_project,
    project_links,
    reference_fault,
)
from steelyard.records.model_names import canonical_model_name, links_of, parse_model_name
from steelyard.records.names import OpenName, Reference

MOST_MODELS = 10_000
CREATED = "Model provider created"
"""What a new provider says of itself, where nobody has said anything yet."""

_PLACEHOLDER = re.compile(r"\{\{ *auth_secret *\}\}")
Seconds = Annotated[float, Field(gt=0, le=86_400)]


DEFAULT_AUTH_HEADER = "Authorization: Bearer {{ auth_secret }}"


class AuthHeader(NamedTuple):
    """A header with a secret in it: its name, and what stands before and after the secret."""

    name: str
    prefix: str
    suffix: str


def parse_auth_header(text: str) -> AuthHeader:
    """The header that a template such as `X-Api-Key: {{ auth_secret }}` makes. Raises ValueError, which says why not.

    The one placeholder is replaced by the secret, letter by letter; nothing is ever evaluated.
    """
    parts = _PLACEHOLDER.split(text)
    if len(parts) != 2:
        raise ValueError("must have exactly one placeholder, {{ auth_secret }}")
    if any(brace in part for part in parts for brace in "{}"):
        raise ValueError("must have no braces but those of {{ auth_secret }}: nothing else is filled in")
    before, suffix = parts
    name, colon, prefix = before.partition(":")
    if not colon:
        raise ValueError(f"must be a header with the placeholder in its value, as {DEFAULT_AUTH_HEADER!r}")
    refusal = refusal_of_name(name)
    if refusal:
        raise ValueError(refusal)
    prefix, suffix = prefix.lstrip(" "), suffix.rstrip(" ")
    if not is_value(f"{prefix}x{suffix}"):
        raise ValueError("must have a value of visible ASCII characters and spaces")
    return AuthHeader(name, prefix, suffix)


def _auth_header(text: str) -> str:
    if text:
        try:
            parse_auth_header(text)
        except ValueError as error:
            raise PydanticCustomError("auth_header_format", f"{error}") from None
    return text


AuthHeaderFormat = Annotated[str, Field(max_length=1024), AfterValidator(_auth_header)]


class ModelProviderStatus(StrEnum):
    """How a provider fares."""

    UNKNOWN = "UNKNOWN"
    CREATED = "CREATED"
    PENDING = "PENDING"
    READY = "READY"
    ERROR = "ERROR"
    DELETING = "DELETING"
    DELETED = "DELETED"
    LOST = "LOST"


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise PydanticCustomError("url", "must end with the path: paths and queries of requests are added to it")
    return url


BaseUrl = Annotated[HttpUrl, AfterValidator(_base_url)]


def _routable(body: dict[str, Any]) -> dict[str, Any]:
    if "model" in body:
        raise PydanticCustomError("extra_body", "must not set 'model': the route of a request decides it")
    return body


ExtraBody = Annotated[JsonObject, AfterValidator(_routable)]


class ServedModelMapping(Form):
    """A model, and what the provider calls it."""

    model_entity_id: Annotated[str, Field(min_length=1, max_length=1100)]
    served_model_name: Annotated[str, Field(min_length=1, max_length=255)]


class ServedModel(Shown):
    """The same as it is answered: the model with its workspace."""

    model_entity_id: str
    served_model_name: str


ServedModels = Annotated[list[ServedModelMapping], Field(max_length=MOST_MODELS, fail_fast=True)]


class ProviderLimits(Form):
    """How much is sent to a provider at a time, and how long what is over it may wait."""

    max_concurrency: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_queue: Annotated[int, Field(ge=0, le=1_000_000)] | None = 100
    queue_seconds: Seconds | None = 30


class ProviderTimeouts(Form):
    """How long a provider may take; null is what the server's settings say."""

    connect_seconds: Seconds | None = None
    first_byte_seconds: Seconds | None = None
    between_chunks_seconds: Seconds | None = None
    total_seconds: Seconds | None = None


class AuthContext(Shown):
    """On whose behalf a server acts when it asks a provider."""

    principal_id: str
    principal_email: str | None = None
    principal_groups: list[str] = []
    principal_on_behalf_of: str | None = None
    principal_on_behalf_of_email: str | None = None
    principal_on_behalf_of_groups: list[str] | None = None


class ModelProviderFields(Form):
    """The fields that a caller may write.

    `weight` is its share where a model is served by several; `discover` says that the server asks it what it serves.
    """

    description: Description | None = None
    host_url: BaseUrl | None = None
    api_key_secret_name: Annotated[str, Field(max_length=255)] | None = None
    served_models: ServedModels | None = None
    enabled_models: Annotated[list[Annotated[str, Field(max_length=511)]], Field(max_length=MOST_MODELS)] | None = None
    status: ModelProviderStatus | None = None
    status_message: Annotated[str, Field(max_length=1000)] | None = None
    default_extra_body: ExtraBody | None = None
    default_extra_headers: ExtraHeaders | None = None
    required_extra_body: ExtraBody | None = None
    required_extra_headers: ExtraHeaders | None = None
    model_deployment_id: Annotated[str, Field(max_length=255)] | None = None
    auth_header_format: AuthHeaderFormat | None = None
    project: ProjectName | None = None
    weight: Annotated[int, Field(ge=0, le=1000)] | None = None
    limits: ProviderLimits | None = None
    timeouts: ProviderTimeouts | None = None
    discover: bool | None = None


class UpdateModelProviderRequest(ModelProviderFields):
    """A change of a provider: a field that is absent or null keeps its value."""


class UpsertModelProviderRequest(ModelProviderFields):
    """All of a provider: what is absent gets its default, but status, served models and project are kept."""

    host_url: BaseUrl


class CreateModelProviderRequest(UpsertModelProviderRequest):
    """A new provider."""

    name: OpenName


class UpdateModelProviderStatusRequest(Form):
    """How a provider fares, and what it serves: `served_models` replaces the whole list.

    A status without a message empties the message; a message without a status is stored too.
    """

    model_deployment_id: Annotated[str, Field(max_length=255)] | None = None
    served_models: ServedModels | None = None
    status: ModelProviderStatus | None = None
    status_message: Annotated[str, Field(max_length=1000)] | None = None


class ModelProvider(Stamped, ModelProviderFields):
    """A provider as it is answered. `auth_context` is always null: the server acts for nobody else."""

    name: OpenName
    workspace: OpenName
    host_url: BaseUrl
    served_models: list[ServedModel] = []  # type: ignore[assignment]
    status: ModelProviderStatus = ModelProviderStatus.UNKNOWN
    status_message: str = ""
    weight: int = 1
    discover: bool = True
    auth_context: AuthContext | None = None


def served_by(fields: dict[str, Any], workspace: str) -> list[Reference]:
    """The models that a provider serves, by its fields; a base with an adapter is not meant by the base's name."""
    names = [parse_model_name(one["model_entity_id"], workspace) for one in fields.get("served_models") or ()]
    return [name.base for name in names if name and name.adapter is None]


def _links(fields: dict[str, Any], workspace: str) -> list[Link]:
    links = project_links(fields, workspace)
    if fields["api_key_secret_name"]:
        secret = Reference(workspace, fields["api_key_secret_name"])
        links.append(Link("api_key_secret_name", "platform-secret", secret))
    for one in fields["served_models"]:
        links += links_of("served_models", one["model_entity_id"], workspace)
    return links


def _canonical(values: dict[str, Any], workspace: str, name: str) -> dict[str, Any]:
    values = canonical_project(values, workspace, name)
    if not values.get("served_models"):
        return values
    seen: set[str] = set()
    served = []
    for index, one in enumerate(values["served_models"]):
        place = ("body", "served_models", index, "model_entity_id")
        text = canonical_model_name(one["model_entity_id"], workspace, place)
        if "@" in text:
            raise reference_fault(place, "a provider serves models, not aliases of them")
        if text in seen:
            raise reference_fault(place, f"{text!r} stands twice in the list")
        seen.add(text)
        served.append({**one, "model_entity_id": text})
    return {**values, "served_models": served}


def _unsaid(fields: dict[str, Any]) -> frozenset[str]:
    # What a provider serves was told by hand where nobody asks it.
    return _OBSERVED if fields["discover"] else _OBSERVED - {"served_models"}


_OBSERVED = frozenset({"status", "status_message", "served_models"})

MODEL_PROVIDER = Kind(
    name="model-provider",
    title="Model provider",
    id_prefix="model-provider",
    create=CreateModelProviderRequest,
    update=UpdateModelProviderRequest,
    answer=ModelProvider,
    order=(*ModelProviderFields.model_fields, "auth_context"),
    defaults={
        "served_models": [],
        "status": ModelProviderStatus.CREATED.value,
        "status_message": "",
        "weight": 1,
        "discover": True,
    },
    put_style="replace",
    kept_when_absent=frozenset({"project"}),
    observed=_OBSERVED,
    never_null=frozenset({"host_url"}),
    empty_clears=frozenset({"project", "api_key_secret_name", "auth_header_format", "model_deployment_id"}),
    read_only=("id", "name", "workspace", "created_at", "updated_at", "revision", "auth_context"),
    structs=frozenset({"served_models", "limits", "timeouts"}),
    more_sorts=("status",),
    canonical=_canonical,
    links=_links,
    link_fields=frozenset({"project", "api_key_secret_name", "served_models"}),
    reference_keys=frozenset({"model_entity_id"}),
    unsaid=_unsaid,
    filters=FilterFields(
        kind="model-provider",
        fields=(
            FilterField.text("description"),
            FilterField.text("host_url"),
            FilterField.enum("status", tuple(ModelProviderStatus)),
            FilterField.text("status_message"),
            FilterField.text("model_deployment_id"),
            FilterField.text_or_presence("api_key_secret_name"),
            FilterField.flag("discover"),
        ),
    ),
)
