"""`steelyard projects`: groups of records within a workspace."""

from steelyard.cli.resource import Field, Resource

PROJECTS = Resource(
    noun="project",
    plural="projects",
    path="/apis/entities/v2/workspaces/{workspace}/projects",
    about="Projects: groups of records within a workspace.",
    columns=("name", "description", "created_at"),
    fields=(Field("description", "What it is for."),),
    examples=("steelyard projects create support-bot -w team",),
)
