"""`steelyard workspaces`: the rooms that every other record lives in."""

from steelyard.cli.resource import Field, Kind, Resource

WORKSPACES = Resource(
    noun="workspace",
    plural="workspaces",
    path="/apis/entities/v2/workspaces",
    about="Workspaces: the rooms that every other record lives in.",
    columns=("name", "description", "created_at"),
    fields=(
        Field("description", "What it is for."),
        Field("recording", "What is kept of its requests, as JSON, @file or -: enabled, redact, max_bytes.", Kind.JSON),
    ),
    examples=('steelyard workspaces create team --description "Models of the team"',),
)
