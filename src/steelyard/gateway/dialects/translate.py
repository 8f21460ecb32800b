"""Requests and answers from one dialect into another, by readers and writers of each."""

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
from steelyard.gateway.dialects.form import CHAT, MESSAGES, RESPONSES, Json, refuse

_READERS = {CHAT: chat_request.read, MESSAGES: messages_request.read, RESPONSES: responses_request.read}
_WRITERS = {CHAT: chat_write.write, MESSAGES: messages_write.write}
_ANSWER_READERS = {CHAT: answers.read_chat, MESSAGES: answers.read_messages}
_ANSWER_WRITERS = {CHAT: answers.write_chat, MESSAGES: answers.write_messages, RESPONSES: responses_answer.write}


def request(body: Json, client: str, upstream: str) -> Json:
    """The client's request as the upstream takes it; the model is not renamed. Raises InvalidInput."""
    if client == upstream:
        return body
    read = _READERS[client](body)
    if not read.tools and read.choice not in (None, "auto", "none"):
        raise refuse(("body", "tool_choice"), "must be auto or none where no tools are given")
    return _WRITERS[upstream](read)


def answer(body: Json, upstream: str, client: str, model: str, request: Json | None) -> Json:
    """A complete answer of the upstream as the client takes it. Raises BadUpstreamAnswer.

    `model` is the name that the client is shown; `request` is the client's body, which responses repeat.
    """
    if client == upstream:
        return body
    if not isinstance(body, dict):
        raise bad("it is no object")
    return _ANSWER_WRITERS[client](_ANSWER_READERS[upstream](body), model, request)
