"""`steelyard workspaces`: the rooms that every other record lives in."""

from steelyard.cli.resource import Field, Resource

WORKSPACES = Resource(
    noun="workspace",
    plural="workspaces",
    path="/apis/entities/v2/workspaces",
    about="Workspaces: the rooms that every other record lives in.",
    columns=("name", "description", "created_at"),
    fields=(Field("description", "What it is for."),),
    examples=('steelyard workspaces create team --description "Models of the team"',),
)
