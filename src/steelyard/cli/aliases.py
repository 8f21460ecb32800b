"""`steelyard aliases`: names that stand for a model, and can be moved to another."""

from steelyard.cli.resource import Field, Kind, Resource

ALIASES = Resource(
    noun="alias",
    plural="aliases",
    path="/apis/models/v2/workspaces/{workspace}/aliases",
    about="Aliases: names such as llama@prod that stand for a model, and can be moved to another.",
    columns=("name", "model", "model_revision", "description", "updated_at"),
    fields=(
        Field("description", "What it is for."),
        Field("model", "The model that it stands for: name or workspace/name.", metavar="MODEL", clearable=False),
        Field("model_revision", "The revision of the model; the present one when not given.", Kind.NUMBER),
    ),
    examples=(
        "steelyard aliases create llama@prod --model llama-3-8b --model-revision 4",
        "steelyard aliases update llama@prod --model llama-3-70b --unset model-revision",
    ),
)
