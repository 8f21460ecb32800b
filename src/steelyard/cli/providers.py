"""`steelyard providers`: the servers that answer for models."""

import typer

from steelyard.cli.groups import commands
from steelyard.cli.resource import Field, Kind, Resource
from steelyard.cli.session import Session, with_session
from steelyard.cli.verbs import Name

PROVIDERS = Resource(
    noun="provider",
    plural="providers",
    kind="model-provider",
    path="/apis/models/v2/workspaces/{workspace}/providers",
    about="Providers: the servers that answer for models; where each is, and what it serves.",
    columns=("name", "host_url", "status", "status_message", "discover", "updated_at"),
    fields=(
        Field("description", "What it is."),
        Field("project", "The project that it belongs to."),
        Field("host_url", "Where it is: https://host/path, to which v1/... is added.", metavar="URL", clearable=False),
        Field(
            "api_key_secret_name",
            "The secret that holds its key, of the same workspace.",
            option="--api-key-secret",
            metavar="SECRET",
        ),
        Field(
            "auth_header_format",
            "How the key is sent: a header with {{ auth_secret }} in its value; 'Authorization: Bearer ...' else.",
            option="--auth-header",
            metavar="HEADER",
        ),
        Field(
            "enabled_models",
            "A model of it, by its own name, that is to be had; all when none is given.",
            Kind.TEXTS,
            option="--enabled-model",
        ),
        Field(
            "served_models",
            "What it serves, as JSON, @file or - for stdin: [{model_entity_id, served_model_name}, ...].",
            Kind.JSON,
        ),
        Field("discover", "Whether the server asks it what it serves.", Kind.SWITCH, clearable=False),
        Field("weight", "Its share of the requests of a model, from 0.", Kind.NUMBER, clearable=False, least=0),
        Field("limits", "max_concurrency, max_queue and queue_seconds, as JSON, @file or -.", Kind.JSON),
        Field(
            "timeouts",
            "connect_seconds, first_byte_seconds, between_chunks_seconds and total_seconds, as JSON, @file or -.",
            Kind.JSON,
        ),
        Field("default_extra_headers", "Headers that are added where a request has none, as JSON.", Kind.JSON),
        Field("required_extra_headers", "Headers that every request gets, as JSON.", Kind.JSON),
        Field("default_extra_body", "Fields of the body where a request has none, as JSON.", Kind.JSON),
        Field("required_extra_body", "Fields of the body that every request gets, as JSON.", Kind.JSON),
        Field("model_deployment_id", "The deployment that it belongs to.", option="--deployment"),
    ),
    examples=(
        "steelyard providers create vllm --host-url https://vllm.example.com/v1 --api-key-secret vllm-key",
        "steelyard providers update vllm --limits '{\"max_concurrency\": 32}' --unset api-key-secret",
    ),
)

_OURS = "/apis/steelyard/v1"
# The server waits 8 seconds for the provider; what came of it is stored then.
_REFRESH_SECONDS = 60.0


def refresh(session: Session, name: Name) -> None:
    """Have the server ask a provider for its models now, and show what came of it."""
    path, _ = PROVIDERS.item(session.workspace, name)
    ours = _OURS + path.removeprefix("/apis/models/v2")
    answer = session.client.call("POST", f"{ours}:refresh", seconds=_REFRESH_SECONDS)
    session.output.record(answer.record(), {"etag": answer.etag})


def build_providers(epilog: str) -> typer.Typer:
    """The group of commands about providers."""
    app = commands(PROVIDERS, epilog)
    app.command("refresh")(with_session(refresh))
    return app
