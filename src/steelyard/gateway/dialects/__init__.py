"""Translation between the dialects of inference: requests, answers, streams and errors.

Every dialect is read into one neutral form (`form.py`) and written from it, so that a new one needs a reader and a
writer, and no translator to each of the others. Nothing is dropped in silence: `docs/dialects.md` says what is carried,
what means nothing for an answer, and what is refused.

A gateway that translates nothing pays for none of it: readers and writers are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

from steelyard.gateway.dialects.errors import error_body, read_error, stream_error
from steelyard.gateway.dialects.form import CHAT, MESSAGES, RESPONSES, Json

if TYPE_CHECKING:
    from steelyard.gateway.dialects.stream import StreamTranslation

__all__ = [
    "CHAT",
    "MESSAGES",
    "RESPONSES",
    "StreamTranslation",
    "error_body",
    "read_error",
    "stream_error",
    "translate_request",
    "translate_response",
    "uses_stream_usage",
]


def __getattr__(name: str) -> Any:
    if name == "StreamTranslation":
        from steelyard.gateway.dialects.stream import StreamTranslation  # noqa: PLC0415

        return StreamTranslation
    raise AttributeError(name)


def translate_request(body: Json, client: str, upstream: str) -> Json:
    """The client's request as the upstream takes it; its `model` is the upstream's name already. Raises InvalidInput.

    Some models want other fields than others, which are known by their names.
    """
    from steelyard.gateway.dialects.translate import request  # noqa: PLC0415

    return request(body, client, upstream)


def translate_response(body: Json, upstream: str, client: str, *, model: str, request: Json | None = None) -> Json:
    """A complete answer of the upstream as the client takes it. Raises BadUpstreamAnswer.

    `model` is the name that the client is shown; `request` is the client's body, which responses repeat.
    """
    from steelyard.gateway.dialects.translate import answer  # noqa: PLC0415

    return answer(body, upstream, client, model, request)


def uses_stream_usage(body: Json, client: str) -> bool:
    """Whether a chat client asks for the chunk that tells of its tokens; other dialects always tell."""
    options = body.get("stream_options") if client == CHAT else None
    return isinstance(options, dict) and options.get("include_usage") is True
