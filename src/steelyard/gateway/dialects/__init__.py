"""Translation between the dialects of inference: requests, answers, streams and errors.

Every dialect is read into one neutral form (`form.py`) and written from it, so that a new one needs a reader and a
writer, and no translator to each of the others. Nothing is dropped in silence: `docs/dialects.md` says what is carried,
what means nothing for an answer, and what is refused.
"""

from steelyard.gateway.dialects import (
    answers,
    chat_request,
    chat_write,
    messages_request,
    messages_write,
    responses_answer,
    responses_request,
)
from steelyard.gateway.dialects.counts import bad
from steelyard.gateway.dialects.errors import error_body, read_error, stream_error
from steelyard.gateway.dialects.form import CHAT, MESSAGES, RESPONSES, Json, refuse
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

_READERS = {CHAT: chat_request.read, MESSAGES: messages_request.read, RESPONSES: responses_request.read}
_WRITERS = {CHAT: chat_write.write, MESSAGES: messages_write.write}
_ANSWER_READERS = {CHAT: answers.read_chat, MESSAGES: answers.read_messages}
_ANSWER_WRITERS = {CHAT: answers.write_chat, MESSAGES: answers.write_messages, RESPONSES: responses_answer.write}


def translate_request(body: Json, client: str, upstream: str) -> Json:
    """The client's request as the upstream takes it; the model is not renamed. Raises InvalidInput."""
    if client == upstream:
        return body
    request = _READERS[client](body)
    if not request.tools and request.choice not in (None, "auto", "none"):
        raise refuse(("body", "tool_choice"), "must be auto or none where no tools are given")
    return _WRITERS[upstream](request)


def translate_response(body: Json, upstream: str, client: str, *, model: str, request: Json | None = None) -> Json:
    """A complete answer of the upstream as the client takes it. Raises BadUpstreamAnswer.

    `model` is the name that the client is shown; `request` is the client's body, which responses repeat.
    """
    if client == upstream:
        return body
    if not isinstance(body, dict):
        raise bad("it is no object")
    return _ANSWER_WRITERS[client](_ANSWER_READERS[upstream](body), model, request)


def uses_stream_usage(body: Json, client: str) -> bool:
    """Whether a chat client asks for the chunk that tells of its tokens; other dialects always tell."""
    options = body.get("stream_options") if client == CHAT else None
    return isinstance(options, dict) and options.get("include_usage") is True
