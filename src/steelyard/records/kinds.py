"""What a kind of record is: its forms, its defaults, what it refers to. Each kind is declared once, beside its forms.

A record's `fields` are a JSON object in stored form: every field of the kind, references spelled `workspace/name`, a
large value (`contents`) as `{"sha256": digest}`, a secret (`secrets`) as the vault's token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from steelyard.errors import InvalidInput
from steelyard.records.filters.fields import FilterFields
from steelyard.records.forms import Form, Shown
from steelyard.records.names import PROJECT_PATTERN, Reference, parse_reference

Fields = dict[str, Any]
"""The fields of a record, in stored form."""
Document = dict[str, Any]
"""A record as it is answered."""
SORTS = ("created_at", "-created_at", "name", "-name", "updated_at", "-updated_at")


class Stamped(Shown):
    """What the server writes on every record. Times are RFC 3339 in UTC; `revision` counts real changes from 1."""

    id: str
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    updated_at: str = Field(json_schema_extra={"format": "date-time"})
    revision: int
    dry_run: dict[str, Any] | None = Field(
        None, description="Only in the answer to a dry run: `diff`, and what else would be `affected`."
    )


class Row(NamedTuple):
    """A record as it is stored. (A named tuple: a frozen dataclass takes ten times as long to make.)"""

    kind: str
    id: str
    workspace: str
    name: str
    revision: int
    created_at: str
    updated_at: str
    fields: Fields
    created_by: str | None = None
    updated_by: str | None = None
    parent: str | None = None

    @property
    def etag(self) -> str:
        """A strong entity tag: the same for the same bytes of a record, never again for others, also after a delete."""
        return f'"{self.id}.{self.revision}"'

    def revision_of(self, etag: str) -> int | None:
        """The number of the revision of this record whose entity tag that is; None for any other tag."""
        number = etag.removeprefix(f'"{self.id}.').removesuffix('"')
        return int(number) if number.isdigit() and len(number) < 19 else None


@dataclass(frozen=True, slots=True)
class Link:
    """That a record's `field` names the record `target` of the kind `target_kind`."""

    field: str
    target_kind: str
    target: Reference


ProjectName = Annotated[str, Field(max_length=255, json_schema_extra={"pattern": PROJECT_PATTERN})]


def project_links(fields: Fields, workspace: str) -> list[Link]:
    """The link to the record's project. A project is of the same workspace, so its bare name is its canonical form."""
    return [Link("project", "project", Reference(workspace, fields["project"]))] if fields["project"] else []


def canonical_project(values: Fields, workspace: str, name: str) -> Fields:
    """`values` with the project as a bare name. Raises InvalidInput for a project of another workspace."""
    if not values.get("project"):
        return values
    project = parse_reference(values["project"], workspace)
    if project is None or project.workspace != workspace:
        raise reference_fault(("body", "project"), f"must be the name of a project in the workspace {workspace!r}")
    return {**values, "project": project.name}


def _as_they_are(values: Fields, workspace: str, name: str) -> Fields:
    return values


def _nothing(fields: Fields) -> frozenset[str]:
    return frozenset()


def _no_links(fields: Fields, workspace: str) -> list[Link]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The declaration of a kind of record.

    `put_style` says what a PUT means: `patch` keeps what is absent or null, as PATCH does; `replace` sets what is
    absent to its default, but for what is `observed` or `kept_when_absent`.
    """

    name: str
    title: str
    id_prefix: str
    create: type[Form]
    update: type[Form]
    answer: type[BaseModel]
    order: tuple[str, ...]
    """The fields of the kind, as they are stored and answered."""
    filters: FilterFields
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """The value of an absent field, where it is not null."""
    put_style: Literal["patch", "replace"] = "patch"
    kept_when_absent: frozenset[str] = frozenset()
    """The fields that even a replacement keeps when it does not name them."""
    observed: frozenset[str] = frozenset()
    """The fields that the server itself writes too, or others who look how something fares: a PUT or an apply that does
    not name them leaves them alone."""
    null_clears: frozenset[str] = frozenset()
    """The fields that a null empties (any other field keeps its value)."""
    never_null: frozenset[str] = frozenset()
    """The fields that always have a value, and that no dialect clears."""
    empty_clears: frozenset[str] = frozenset()
    """The fields that an empty text empties."""
    read_only: tuple[str, ...] = ("id", "name", "workspace", "created_at", "updated_at", "revision")
    secrets: tuple[str, ...] = ()
    """Paths `parent.child`, or fields by themselves, which answers then do not have at all."""
    contents: tuple[str, ...] = ()
    structs: frozenset[str] = frozenset()
    """The fields whose objects are forms of ours, all the way down."""
    omits_nulls: bool = True
    """Whether lists leave out null fields."""
    default_sort: str = "created_at"
    more_sorts: tuple[str, ...] = ()
    """The fields, beside those of all kinds, that lists can be sorted by."""
    provisioned: str = ""
    """The flag of the records that the server makes by itself, and which no export takes along."""
    canonical: Callable[[Fields, str, str], Fields] = _as_they_are
    links: Callable[[Fields, str], list[Link]] = _no_links
    link_fields: frozenset[str] = frozenset()
    """The fields that `links` reads."""
    reference_keys: frozenset[str] = frozenset()
    """Where those are lists of objects: the keys of the objects that hold references."""
    unsaid: Callable[[Fields], frozenset[str]] = _nothing
    """The fields that an export of such a record leaves out: the server finds them anew where it is imported."""

    def complete(self, values: Mapping[str, Any]) -> Fields:
        """All fields of the kind: those of `values`, and the defaults of the others."""
        complete = {}
        for name in self.order:
            value = values.get(name)
            complete[name] = self.defaults.get(name) if value is None else value
        return complete


def reference_fault(location: tuple[str | int, ...], message: str) -> InvalidInput:
    """The error of a field that refers to what it may not."""
    return InvalidInput.of(location, "reference", message)


def split_path(path: str) -> tuple[str, str]:
    """The two steps of a path to a hidden part; the second is empty for a field by itself."""
    parent, _, child = path.partition(".")
    return parent, child
