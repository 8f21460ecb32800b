"""`steelyard virtual-models`: names that callers ask for, and the models that answer."""

from steelyard.cli.resource import Field, Kind, Resource

VIRTUAL_MODELS = Resource(
    noun="virtual model",
    plural="virtual-models",
    kind="virtual-model",
    path="/apis/inference-gateway/v2/workspaces/{workspace}/virtual-models",
    about="Virtual models: names that callers ask for, and the models that answer.",
    columns=("name", "default_model_entity", "models", "fallbacks", "autoprovisioned", "updated_at"),
    fields=(
        Field("project", "The project that it belongs to."),
        Field(
            "default_model_entity",
            "The model that answers: name, workspace/name, or an alias.",
            option="--model",
            metavar="MODEL",
        ),
        Field(
            "models",
            "Models to choose from, as JSON, @file or - for stdin: [{model, backend_format, weight}, ...].",
            Kind.JSON,
        ),
        Field("fallbacks", "A model to ask when those fail.", Kind.TEXTS, option="--fallback", metavar="MODEL"),
        Field("sticky", 'What keeps a caller at one model, as JSON: {"by": "user"}.', Kind.JSON),
    ),
    examples=(
        "steelyard virtual-models create chat --model llama-3-8b --fallback llama-3-1b",
        'steelyard virtual-models update chat --models \'[{"model": "a", "weight": 9}, {"model": "b", "weight": 1}]\'',
    ),
)
