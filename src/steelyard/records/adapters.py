"""Adapters: small weights that belong to a base model, which may live in another workspace."""

from typing import Annotated, Any

from pydantic import Field

from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form, Shown
from steelyard.records.kinds import Document, Kind, Link, Row, Stamped, reference_fault
from steelyard.records.names import REFERENCE_RULE, OpenName, Reference, parse_reference
from steelyard.records.spec import FinetuningType

ReferenceText = Annotated[str, Field(max_length=511)]


class LoraConfig(Form):
    """The rank of a low-rank adapter, and its scaling (`alpha / rank`)."""

    rank: Annotated[int, Field(ge=1, le=65_536)]
    alpha: int | None = None


class UpdateAdapterRequest(Form):
    """A change of an adapter: a field that is absent or null keeps its value."""

    description: Description | None = None
    enabled: bool | None = None
    fileset: ReferenceText | None = None


class CreateModelAdapterRequest(Form):
    """A new adapter of the model that the path names."""

    name: OpenName
    fileset: ReferenceText
    finetuning_type: FinetuningType
    description: Description | None = None
    enabled: bool = True
    lora_config: LoraConfig | None = None


class CreateAdapterRequest(CreateModelAdapterRequest):
    """A new adapter; `model` is its base, as `name` or `workspace/name`."""

    model: ReferenceText


class Adapter(Stamped):
    """An adapter as it is answered."""

    name: OpenName
    workspace: OpenName
    fileset: str
    finetuning_type: FinetuningType
    description: Description | None = None
    enabled: bool = True
    lora_config: LoraConfig | None = None
    model: str | None = None


class AdapterSummary(Shown):
    """An adapter as it stands in its model."""

    name: str
    workspace: str
    fileset: str
    finetuning_type: FinetuningType
    description: Description | None = None
    enabled: bool = True
    model: str | None = None
    lora_config: LoraConfig | None = None
    created_at: str = Field("", json_schema_extra={"format": "date-time"})
    updated_at: str = Field("", json_schema_extra={"format": "date-time"})


def adapter_links(fields: dict[str, Any], workspace: str) -> list[Link]:
    """The base model and the fileset of an adapter."""
    links = []
    if model := parse_reference(fields["model"], workspace):
        links.append(Link("model", "model", model))
    if fileset := parse_reference(fields["fileset"], workspace):
        links.append(Link("fileset", "fileset", fileset))
    return links


def canonical_adapter(values: dict[str, Any], workspace: str, name: str) -> dict[str, Any]:
    """`values` with the base model as `workspace/name`. Raises InvalidInput for what is no reference."""
    if not values.get("model"):
        return values
    reference = parse_reference(values["model"], workspace)
    if reference is None:
        raise reference_fault(("body", "model"), REFERENCE_RULE)
    return {**values, "model": str(reference)}


def base_of(row: Row) -> Reference:
    """The base model of an adapter."""
    reference = parse_reference(row.fields["model"], row.workspace)
    assert reference is not None  # noqa: S101 - it is stored in canonical form
    return reference


def summary_of(row: Row) -> Document:
    """The adapter as it stands in its model."""
    return {
        "name": row.name,
        "workspace": row.workspace,
        **{field: row.fields[field] for field in ADAPTER.order},
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def with_summary(summaries: list[Document], row: Row | None, home: Reference) -> list[Document]:
    """The adapters of a model with that of `home` as `row` is now: put in its place, added at the end, or left out."""
    key = (home.workspace, home.name)
    place = next((i for i, one in enumerate(summaries) if (one["workspace"], one["name"]) == key), len(summaries))
    now = [] if row is None else [summary_of(row)]
    return [*summaries[:place], *now, *summaries[place + 1 :]]


ADAPTER = Kind(
    name="adapter",
    title="Adapter",
    id_prefix="adapter",
    create=CreateAdapterRequest,
    update=UpdateAdapterRequest,
    answer=Adapter,
    order=("description", "fileset", "finetuning_type", "enabled", "lora_config", "model"),
    defaults={"enabled": True},
    never_null=frozenset({"fileset", "enabled"}),
    read_only=(
        *("id", "name", "workspace", "created_at", "updated_at", "revision"),
        *("finetuning_type", "lora_config", "model"),
    ),
    structs=frozenset({"lora_config"}),
    canonical=canonical_adapter,
    links=adapter_links,
    link_fields=frozenset({"model", "fileset"}),
    filters=FilterFields(
        kind="adapter",
        fields=(
            FilterField.reference("model"),
            FilterField.reference("fileset"),
            FilterField.text("description"),
            FilterField.enum("finetuning_type", tuple(FinetuningType)),
            FilterField.flag("enabled"),
        ),
    ),
)
