"""The model record: what a model is, where its weights are, what it was made from, who serves it."""

from typing import Annotated, Any

from pydantic import Field

from steelyard.records.adapters import AdapterSummary
from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form, JsonObject, Shown
from steelyard.records.inference import ApiEndpoint, BackendFormat, Pricing, PromptData, Routing
from steelyard.records.kinds import (
    Kind,
    Link,
    ProjectName,
    Stamped,
    canonical_project,
    project_links,
    reference_fault,
)
from steelyard.records.names import REFERENCE_RULE, OpenName, Reference, parse_reference
from steelyard.records.spec import FinetuningType, ModelSpec

TagKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")]
TagValue = Annotated[str, Field(max_length=255)]
ReferenceText = Annotated[str, Field(max_length=511)]


class ModelFields(Form):
    """The fields that a caller may write, in the order in which they are answered."""

    description: Description | None = None
    spec: ModelSpec | None = None
    finetuning_type: FinetuningType | None = None
    fileset: ReferenceText | None = None
    trust_remote_code: bool = False
    base_model: ReferenceText | None = None
    api_endpoint: ApiEndpoint | None = None
    backend_format: BackendFormat | None = None
    prompt: PromptData | None = None
    custom_fields: JsonObject | None = None
    ownership: JsonObject | None = None
    model_providers: Annotated[list[ReferenceText], Field(max_length=1000, fail_fast=True)] | None = None
    project: ProjectName | None = None
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=64)] | None = None
    pricing: Pricing | None = None
    routing: Routing | None = None


class CreateModelEntityRequest(ModelFields):
    """A new model."""

    name: OpenName


class UpdateModelEntityRequest(ModelFields):
    """A change of a model: a field that is absent or null keeps its value, except that null clears `backend_format`."""

    trust_remote_code: bool | None = None  # type: ignore[assignment]


class SpecOrigin(Shown):
    """Where a model's spec comes from: `by_hand` are the fields in which a user's value stands instead of the one that
    was read from the files; `content` names what was read (see the model's inspection).
    """

    fileset: str
    commit: str
    content: str
    complete: bool
    by_hand: list[str] = []


class TrustDecision(Shown):
    """Why a model's code is trusted: who decided it, when, by which rule, and of which bytes.

    `files` are the sha256 of the code files that were there: when one changes, the trust is gone.
    """

    rule: str
    decided_by: str | None = None
    decided_at: str = Field("", json_schema_extra={"format": "date-time"})
    reason: str | None = None
    fileset: str | None = None
    commit: str | None = None
    files: dict[str, str] = {}


class ModelEntity(Stamped, ModelFields):
    """A model as it is answered."""

    name: OpenName
    workspace: OpenName
    adapters: list[AdapterSummary] | None = []
    spec_origin: SpecOrigin | None = None
    trust_decision: TrustDecision | None = None
    custom_fields: JsonObject = {}
    model_providers: list[str] = []
    tags: dict[str, str] = {}
    frozen: bool = False


def model_links(fields: dict[str, Any], workspace: str) -> list[Link]:
    """What a model refers to, by the fields as they are stored."""
    links = project_links(fields, workspace)
    if fields["fileset"] and (fileset := parse_reference(fields["fileset"], workspace)):
        links.append(Link("fileset", "fileset", fileset))
    if fields["base_model"] and (base := parse_reference(fields["base_model"], workspace)):
        links.append(Link("base_model", model_kind(base), base))
    for text in fields["model_providers"]:
        provider = parse_reference(text, workspace)
        if provider:
            links.append(Link("model_providers", "model-provider", provider))
    return links


def model_kind(reference: Reference) -> str:
    """The kind of what a model reference names: an alias has an `@` in its name, a model never has."""
    return "alias" if "@" in reference.name else "model"


def canonical_model(values: dict[str, Any], workspace: str, name: str) -> dict[str, Any]:
    """`values` with references as `workspace/name` and defaults for null. Raises InvalidInput for a bad reference.

    `values` are the fields that a caller has set, in their stored form; what is not there is left alone.
    """
    canonical = dict(canonical_project(values, workspace, name))
    if base := values.get("base_model"):
        canonical["base_model"] = _reference(base, workspace, ("body", "base_model"))
        if canonical["base_model"] == f"{workspace}/{name}":
            raise reference_fault(("body", "base_model"), "a model cannot be its own base model")
    if providers := values.get("model_providers"):
        places = [("body", "model_providers", index) for index in range(len(providers))]
        found = [_reference(text, workspace, place) for text, place in zip(providers, places, strict=True)]
        seen: set[str] = set()
        for place, text in zip(places, found, strict=True):
            if text in seen:
                raise reference_fault(place, f"{text!r} stands twice in the list")
            seen.add(text)
        canonical["model_providers"] = found
    return canonical


def _reference(text: str, workspace: str, place: tuple[str | int, ...]) -> str:
    reference = parse_reference(text, workspace)
    if reference is None:
        raise reference_fault(place, REFERENCE_RULE)
    return str(reference)


MODEL = Kind(
    name="model",
    title="Model",
    id_prefix="model",
    create=CreateModelEntityRequest,
    update=UpdateModelEntityRequest,
    answer=ModelEntity,
    order=(*ModelFields.model_fields, "adapters", "spec_origin", "trust_decision", "frozen"),
    defaults={
        "trust_remote_code": False,
        "custom_fields": {},
        "model_providers": [],
        "tags": {},
        "adapters": [],
        "frozen": False,
    },
    # The server writes into it too, what providers say that they serve.
    observed=frozenset({"model_providers"}),
    null_clears=frozenset({"backend_format"}),
    never_null=frozenset({"trust_remote_code"}),
    empty_clears=frozenset({"base_model", "project"}),
    read_only=(
        *("id", "name", "workspace", "created_at", "updated_at", "revision"),
        *("adapters", "spec_origin", "trust_decision", "frozen"),
    ),
    secrets=("api_endpoint.api_key",),
    contents=("spec.linear_layers",),
    structs=frozenset({"spec", "api_endpoint", "spec_origin", "trust_decision", "pricing", "routing"}),
    canonical=canonical_model,
    links=model_links,
    link_fields=frozenset({"project", "fileset", "base_model", "model_providers"}),
    filters=FilterFields(
        kind="model",
        fields=(
            FilterField.text("description"),
            FilterField.enum("finetuning_type", tuple(FinetuningType)),
            FilterField.reference("fileset"),
            FilterField.reference("base_model"),
            FilterField.presence("prompt"),
            FilterField.relation("adapters", "adapter", (FilterField.enum("finetuning_type", tuple(FinetuningType)),)),
            FilterField.relation("lora_enabled", "deployment-config", ()),
            FilterField.flag("trust_remote_code"),
            FilterField.flag("frozen"),
            FilterField.mapping("tags"),
            FilterField.enum("backend_format", tuple(BackendFormat)),
        ),
        secret_paths=("api_endpoint.api_key",),
    ),
)
