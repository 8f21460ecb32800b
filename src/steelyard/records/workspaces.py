"""Workspaces, which hold everything else, and projects, which group the records of one workspace."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from steelyard.records.file_policy import WorkspaceFilePolicy
from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Form
from steelyard.records.kinds import Kind, Stamped
from steelyard.records.names import NarrowName

BUILT_IN_WORKSPACES = ("default", "system")
EVERY_WORKSPACE = "-"


Redaction = Literal["email", "phone", "card", "key", "ip"]
REDACTIONS: tuple[Redaction, ...] = ("email", "phone", "card", "key", "ip")


def _each_once(kinds: list[Redaction]) -> list[Redaction]:
    if len(set(kinds)) < len(kinds):
        raise PydanticCustomError("redact", "each kind stands in the list once")
    return kinds


class Recording(Form):
    """Whether requests and answers are kept, cut at `max_bytes` each, and what is made unreadable in them before."""

    enabled: bool = False
    redact: Annotated[list[Redaction], Field(max_length=len(REDACTIONS)), AfterValidator(_each_once)] = list(REDACTIONS)
    max_bytes: Annotated[int, Field(ge=1, le=1_048_576)] = 65_536


class WorkspaceUpdate(Form):
    """A change of a workspace: an absent or null description is kept. `file_policy` null is the server's, `recording`
    null is none.
    """

    description: str | None = None
    file_policy: WorkspaceFilePolicy | None = None
    recording: Recording | None = None


class WorkspaceInput(WorkspaceUpdate):
    """A new workspace."""

    name: NarrowName


class Workspace(Stamped, WorkspaceUpdate):
    """A workspace as it is answered."""

    name: NarrowName
    created_by: str | None = None
    updated_by: str | None = None


class ProjectUpdate(Form):
    """All of a project that can change: an absent description is cleared."""

    description: str | None = None


class ProjectInput(ProjectUpdate):
    """A new project."""

    name: NarrowName


class Project(Stamped, ProjectUpdate):
    """A project as it is answered."""

    name: NarrowName
    workspace: NarrowName


_DESCRIPTION: tuple[Any, ...] = (FilterField.text("description"),)

WORKSPACE = Kind(
    name="workspace",
    title="Workspace",
    id_prefix="workspace",
    create=WorkspaceInput,
    update=WorkspaceUpdate,
    answer=Workspace,
    order=("description", "file_policy", "recording"),
    null_clears=frozenset({"file_policy", "recording"}),
    structs=frozenset({"file_policy", "recording"}),
    read_only=("id", "name", "created_at", "created_by", "updated_at", "updated_by", "revision"),
    omits_nulls=False,
    default_sort="-created_at",
    filters=FilterFields(kind="workspace", fields=_DESCRIPTION),
)

PROJECT = Kind(
    name="project",
    title="Project",
    id_prefix="project",
    create=ProjectInput,
    update=ProjectUpdate,
    answer=Project,
    order=("description",),
    put_style="replace",
    omits_nulls=False,
    default_sort="-created_at",
    filters=FilterFields(kind="project", fields=_DESCRIPTION),
)
