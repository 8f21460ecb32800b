"""`steelyard limits`: how many requests and tokens, and how much money, callers may use."""

from steelyard.cli.resource import Field, Kind, Resource

LIMITS = Resource(
    noun="limit",
    plural="limits",
    path="/apis/steelyard/v1/workspaces/{workspace}/limits",
    about="Limits: how many requests and tokens, and how much money, callers may use.",
    columns=("name", "model", "key", "per_key", "requests_per_minute", "tokens_per_minute", "budget", "enabled"),
    fields=(
        Field("description", "What it is for."),
        Field("model", "The model that is limited; all that the workspace calls when none is given.", metavar="MODEL"),
        Field("key", "The caller that is limited; all callers together when none is given."),
        Field("per_key", "Whether each caller has a counter of its own.", Kind.SWITCH, clearable=False),
        Field("requests_per_minute", "How many requests a minute.", Kind.NUMBER),
        Field("tokens_per_minute", "How many tokens a minute.", Kind.NUMBER),
        Field("budget", 'How much money, as JSON: {"amount": 50, "period": "month"}.', Kind.JSON),
        Field("enabled", "Whether it holds.", Kind.SWITCH, clearable=False),
    ),
    examples=(
        "steelyard limits create each-caller --per-key --requests-per-minute 60",
        'steelyard limits create month --budget \'{"amount": 500, "currency": "USD", "period": "month"}\'',
    ),
)
