"""Aliases: names such as `llama@prod` that stand for a model, or for one as it was at a revision, and can be moved."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form
from steelyard.records.kinds import Kind, Link, Stamped, reference_fault
from steelyard.records.names import REFERENCE_RULE, OpenName, parse_reference

ALIAS_PATTERN = r"^[A-Za-z0-9_\-.]{1,191}@[A-Za-z0-9_\-.]{1,63}$"
_ALIAS = re.compile(r"[A-Za-z0-9_\-.]{1,191}@[A-Za-z0-9_\-.]{1,63}")
_RULE = (
    "an alias is two names with an '@' between them, as llama@prod: up to 191 and up to 63 ASCII letters, digits, "
    "'_', '-' or '.'"
)


def _alias(name: str) -> str:
    if not _ALIAS.fullmatch(name):
        raise PydanticCustomError("name", _RULE)
    return name


AliasName = Annotated[str, AfterValidator(_alias), Field(json_schema_extra={"pattern": ALIAS_PATTERN})]


class AliasFields(Form):
    """What an alias stands for; without a revision, the model as it is."""

    description: Description | None = None
    model: Annotated[str, Field(max_length=511)] | None = None
    model_revision: Annotated[int, Field(ge=1, le=2**53)] | None = None


class UpdateAlias(AliasFields):
    """A move of an alias."""


class CreateAlias(AliasFields):
    """A new alias."""

    name: AliasName
    model: Annotated[str, Field(max_length=511)]


class Alias(Stamped, AliasFields):
    """An alias as it is answered."""

    name: AliasName
    workspace: OpenName
    model: str


def _links(fields: dict[str, Any], workspace: str) -> list[Link]:
    target = parse_reference(fields["model"], workspace)
    return [Link("model", "model", target)] if target else []


def _canonical(values: dict[str, Any], workspace: str, name: str) -> dict[str, Any]:
    if values.get("model") is None:
        return values
    reference = parse_reference(values["model"], workspace)
    if reference is None:
        raise reference_fault(("body", "model"), REFERENCE_RULE)
    if "@" in reference.name:
        raise reference_fault(("body", "model"), "an alias stands for a model, not for another alias")
    return {**values, "model": str(reference)}


ALIAS = Kind(
    name="alias",
    title="Alias",
    id_prefix="alias",
    create=CreateAlias,
    update=UpdateAlias,
    answer=Alias,
    order=tuple(AliasFields.model_fields),
    never_null=frozenset({"model"}),
    canonical=_canonical,
    links=_links,
    link_fields=frozenset({"model"}),
    filters=FilterFields(kind="alias", fields=(FilterField.text("description"), FilterField.reference("model"))),
)
