"""What a record says about inference: where the model answers, in which dialect, and with which prompt."""

from enum import StrEnum
from typing import Annotated
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
    """The prompt that is part of a model: what is said before the caller's messages."""

    system_prompt: str | None = None
    icl_few_shot_examples: str | None = None
    inference_params: InferenceParams | None = None
    system_prompt_template: str | None = None
