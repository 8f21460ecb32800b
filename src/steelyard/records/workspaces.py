"""Workspaces, which hold everything else, and projects, which group the records of one workspace."""

from typing import Any

from steelyard.records.file_policy import WorkspaceFilePolicy
from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Form
from steelyard.records.kinds import Kind, Stamped
from steelyard.records.names import NarrowName

BUILT_IN_WORKSPACES = ("default", "system")
EVERY_WORKSPACE = "-"


class WorkspaceUpdate(Form):
    """A change of a workspace: an absent or null description is kept. `file_policy` null is the server's."""

    description: str | None = None
    file_policy: WorkspaceFilePolicy | None = None


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
    order=("description", "file_policy"),
    null_clears=frozenset({"file_policy"}),
    structs=frozenset({"file_policy"}),
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
