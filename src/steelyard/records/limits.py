"""Limits: how many requests, how many tokens and how much money the models of a workspace may be asked for."""

from typing import Annotated, Any, Literal

from pydantic import Field

from steelyard.errors import InvalidInput
from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form
from steelyard.records.inference import Currency
from steelyard.records.kinds import Kind, Link, Stamped
from steelyard.records.model_names import MODEL_NAME_LENGTH, canonical_model_name, links_of
from steelyard.records.names import OpenName

MEASURES = ("requests_per_minute", "tokens_per_minute", "budget")
PERIODS = ("day", "month", "total")

PerMinute = Annotated[int, Field(ge=1, le=2**53)]


class Budget(Form):
    """An amount of money for a period: a day or a month of UTC, or all of time."""

    amount: Annotated[float, Field(gt=0, le=1e12)]
    currency: Currency = "USD"
    period: Literal["day", "month", "total"]


class LimitFields(Form):
    """What is limited, for whom, and to what; at least one of the three measures.

    Without a `model`, all that is called in the workspace counts together; without a `key`, all callers do, unless
    `per_key` gives each of them a counter of its own.
    """

    description: Description | None = None
    model: Annotated[str, Field(min_length=1, max_length=MODEL_NAME_LENGTH)] | None = None
    key: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    per_key: bool | None = None
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    budget: Budget | None = None
    enabled: bool | None = None


class UpdateLimit(LimitFields):
    """A change of a limit: what is absent keeps its value; null clears model, key and each of the measures."""


class CreateLimit(LimitFields):
    """A new limit."""

    name: OpenName


class Limit(Stamped, LimitFields):
    """A limit as it is answered."""

    name: OpenName
    workspace: OpenName
    per_key: bool = False
    enabled: bool = True


def check_measured(fields: dict[str, Any]) -> None:
    """Raises InvalidInput if a limit limits nothing."""
    if not any(fields[measure] for measure in MEASURES):
        raise InvalidInput.of(("body",), "required", f"a limit needs at least one of {', '.join(MEASURES)}")


def _links(fields: dict[str, Any], workspace: str) -> list[Link]:
    return links_of("model", fields["model"], workspace)


def _canonical(values: dict[str, Any], workspace: str, name: str) -> dict[str, Any]:
    if not values.get("model"):
        return values
    return {**values, "model": canonical_model_name(values["model"], workspace, ("body", "model"))}


LIMIT = Kind(
    name="limit",
    title="Limit",
    id_prefix="limit",
    create=CreateLimit,
    update=UpdateLimit,
    answer=Limit,
    order=tuple(LimitFields.model_fields),
    defaults={"per_key": False, "enabled": True},
    null_clears=frozenset({"model", "key", *MEASURES}),
    structs=frozenset({"budget"}),
    canonical=_canonical,
    links=_links,
    link_fields=frozenset({"model"}),
    filters=FilterFields(
        kind="limit",
        fields=(
            FilterField.text("description"),
            FilterField.reference("model"),
            FilterField.text_or_presence("key"),
            FilterField.flag("per_key"),
            FilterField.flag("enabled"),
        ),
    ),
)
