"""What a record says about inference: where a model answers, in which dialect, with which prompt, for how much."""

from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from steelyard.records.forms import Form, OpenForm

_SCHEMES = frozenset({"http", "https"})


class BackendFormat(StrEnum):
    """The dialect that an endpoint speaks; OpenAI chat when a record names none."""

    OPENAI_CHAT = "OPENAI_CHAT"
    ANTHROPIC_MESSAGES = "ANTHROPIC_MESSAGES"


def _endpoint_url(text: str) -> str:
    """An absolute http(s) URL without credentials. Whether it may be fetched, policy decides when it is."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise PydanticCustomError("url", "not a URL: the host or the port cannot be read") from None
    if parts.scheme not in _SCHEMES or not host:
        raise PydanticCustomError("url", "must be an absolute URL, as https://host:port/path")
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError("url", "must not hold credentials; send a key as 'api_key'")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise PydanticCustomError("url", "must not hold spaces or control characters; percent-encode them")
    return text


HttpUrl = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    AfterValidator(_endpoint_url),
    Field(json_schema_extra={"format": "uri"}),
]


class ApiEndpoint(Form):
    """An endpoint that serves the model. `api_key` is written and never answered; `api_key_set` says that one is kept.

    Sending `api_key_set: true` back without a key keeps the key, as long as `url` is the same.
    """

    url: HttpUrl | None = None
    model_id: str | None = None
    api_key: str | None = None
    format: str | None = None
    api_key_set: bool | None = None


class InferenceParams(OpenForm):
    """Sampling parameters; those that an engine adds are kept as they are."""

    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop: list[str] | None = None


class PromptData(Form):
    """The prompt that is part of a model: what is said before the caller's messages.

    Its parameters are `defaults` for what a request leaves open (so they are where nothing is said), or `overrides`.
    """

    system_prompt: str | None = None
    icl_few_shot_examples: str | None = None
    inference_params: InferenceParams | None = None
    system_prompt_template: str | None = None
    inference_params_as: Literal["defaults", "overrides"] | None = None


Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", json_schema_extra={"minLength": 3, "maxLength": 3})]
Price = Annotated[float, Field(ge=0, le=1e9)]


class Pricing(Form):
    """What a model costs: per million tokens, and per request."""

    currency: Currency = "USD"
    input: Price | None = None
    cached_input: Price | None = None
    cache_write: Price | None = None
    output: Price | None = None
    request: Price | None = None


class Routing(Form):
    """How the gateway chooses among the providers of a model, and how it tries; null is what its settings say.

    `hedge_seconds` is when a second request is sent beside one that has not begun to be answered; `cache_seconds` is
    how long an answer is given again to the very same request.
    """

    choice: Literal["ordered", "weighted", "least_outstanding"] | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    hedge_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    cache_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
