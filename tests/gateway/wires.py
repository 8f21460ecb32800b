"""Streams as they come over the wire, cut in all ways, for tests below HTTP."""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from steelyard.gateway.streams import Events, Stream
from tests.gateway.replies import WORDS, reply_to

CHAT, RESPONSES, MESSAGES, TEXT = "openai.chat", "openai.responses", "anthropic.messages", "openai.completions"
PATHS = {CHAT: "/chat/completions", RESPONSES: "/responses", MESSAGES: "/messages", TEXT: "/completions"}
NAME = "default/m"


def engine_stream(
    dialect: str, *, usage: bool = False, model: str = "tiny", words: Sequence[str] = WORDS
) -> list[bytes]:
    """The events of a sound engine."""
    asked: dict[str, Any] = {"model": model, "stream": True}
    if usage:
        asked["stream_options"] = {"include_usage": True}
    return list(reply_to(PATHS[dialect], json.dumps(asked).encode(), words).pieces)


def through(stream: Stream, wire: bytes, cuts: Sequence[int]) -> bytes:
    """What the client gets of a stream that comes in these pieces, and ends well."""
    events, out = Events(1 << 20), b""
    for start, end in pairwise([0, *cuts, len(wire)]):
        if whole := events.push(wire[start:end]):
            out += stream.feed(whole)
        if stream.ended:
            return out
    assert not events.rest.strip()
    return out + stream.end()


def ways_to_cut(wire: bytes) -> Iterator[list[int]]:
    """Ways to cut a wire: at each one place, at all, and at random."""
    for place in range(1, len(wire)):
        yield [place]
    yield list(range(1, len(wire)))
    for size in (2, 3, 7, 100):
        yield list(range(size, len(wire), size))
    dice = random.Random(7)
    for _ in range(20):
        yield sorted(dice.sample(range(1, len(wire)), min(40, len(wire) - 1)))
