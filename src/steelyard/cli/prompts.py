"""`steelyard prompts`: messages, tools and parameters under a name."""

from steelyard.cli.resource import Field, Kind, Resource

PROMPTS = Resource(
    noun="prompt",
    plural="prompts",
    path="/apis/models/v2/workspaces/{workspace}/prompts",
    about="Prompts: messages, tools and parameters under a name.",
    columns=("name", "description", "tags", "updated_at"),
    fields=(
        Field("description", "What it is for."),
        Field("project", "The project that it belongs to."),
        Field(
            "messages",
            "The messages, as JSON, @file or - for stdin: [{role, content}, ...]; "
            "a role is system, developer, user or assistant.",
            Kind.JSON,
        ),
        Field(
            "input_variables",
            "A variable that the messages name.",
            Kind.TEXTS,
            option="--input-variable",
        ),
        Field("tools", "The tools that a model may call, as JSON, @file or -.", Kind.JSON),
        Field("tool_choice", "auto, none, required, or JSON that names a tool.", Kind.JSON_OR_TEXT),
        Field("response_format", "The shape of the answer, as JSON, @file or -.", Kind.JSON),
        Field(
            "inference_params",
            "temperature, top_p, max_tokens and so on, as JSON, @file or -.",
            Kind.JSON,
        ),
        Field("tags", "A tag.", Kind.TEXTS, option="--tag"),
    ),
    examples=(
        "steelyard prompts create greeting --messages @messages.json --tag chat",
        "steelyard prompts update greeting --inference-params '{\"temperature\": 0.2}'",
    ),
)
