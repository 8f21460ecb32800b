"""Values of the wrong kind anywhere: from clients they are refused, from upstreams they are no answer."""

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from steelyard.errors import InvalidInput, OutboundFailed
from steelyard.gateway.dialects import (
    CHAT,
    MESSAGES,
    RESPONSES,
    StreamTranslation,
    translate_request,
    translate_response,
)
from steelyard.gateway.dialects.watch import StreamWatch
from tests.gateway.dialects import samples
from tests.gateway.dialects.requests import REQUESTS
from tests.gateway.dialects.samples import Json, chat_stream, message_stream

ODD: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], {}, [None], [1, "x"], [{}], {"type": "text"}, {"x": {"y": []}}]


def variants(value: Any) -> Iterator[Any]:
    """The value with something odd in one place, and each of its fields missing once, for all places."""
    for at in places(value):
        made = copy.deepcopy(value)
        inner = made
        for key in at[:-1]:
            inner = inner[key]
        for other in ODD:
            inner[at[-1]] = other
            yield made
        del inner[at[-1]]
        yield made


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield (*at, key)
        yield from places(inner, (*at, key))


@pytest.mark.parametrize("name", REQUESTS)
def test_requests(name: str) -> None:
    client, body, _, _ = REQUESTS[name]
    for other in variants(body):
        for upstream in {CHAT, MESSAGES} - {client}:
            try:
                orjson.dumps(translate_request(other, client, upstream))
            except InvalidInput as error:
                assert error.faults


ANSWERS = [(CHAT, one) for one in samples.CHATS.values()] + [(MESSAGES, one) for one in samples.MESSAGES.values()]


@pytest.mark.parametrize(("upstream", "answer"), ANSWERS)
def test_answers(upstream: str, answer: Json) -> None:
    for other in variants(answer):
        for client in {CHAT, MESSAGES, RESPONSES} - {upstream}:
            try:
                orjson.dumps(translate_response(other, upstream, client, model="m"))
            except OutboundFailed as error:
                assert error.message


@pytest.mark.parametrize(("upstream", "answer"), ANSWERS)
def test_streams(upstream: str, answer: Json) -> None:
    sent = chat_stream(answer, size=30) if upstream == CHAT else message_stream(answer, size=30)
    for index, block in enumerate(sent):
        data = block.split(b"data: ")[1]
        if data == b"[DONE]\n\n":
            continue
        for other in variants(orjson.loads(data)):
            changed = [*sent[:index], b"data: " + orjson.dumps(other) + b"\n\n", *sent[index + 1 :]]
            _feed_all(upstream, changed)


def _feed_all(upstream: str, sent: list[bytes]) -> None:
    watch = StreamWatch(upstream)
    for block in sent:
        watch.feed(block)
    for client in {CHAT, MESSAGES, RESPONSES} - {upstream}:
        one = StreamTranslation(upstream, client, model="m", include_usage=True)
        try:
            for block in sent:
                one.feed(block)
        except OutboundFailed as error:
            assert error.message


def test_watched_responses() -> None:
    one = StreamTranslation(CHAT, RESPONSES, model="m", include_usage=False)
    made = b"".join(map(one.feed, chat_stream(samples.CHATS["all"], size=30)))
    for event in samples.events(made):
        for other in variants(event):
            StreamWatch(RESPONSES).feed(b"data: " + orjson.dumps(other) + b"\n\n")
