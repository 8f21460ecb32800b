"""Streams that are passed untouched, and what is seen of them from outside."""

from typing import Any

import orjson
import pytest

from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES, StreamTranslation
from steelyard.gateway.dialects.watch import StreamWatch
from steelyard.gateway.meter import Usage
from steelyard.gateway.sse import blocks
from tests.gateway.dialects import samples
from tests.gateway.dialects.samples import chat_stream, event, message_stream

MARKS = '[DONE] "usage" _tokens" "error" "finish_reason":"stop" "finish_reason": null message_stop response.completed"'


def stream_of(dialect: str, text: str = "Grüße, 世界") -> list[bytes]:
    if dialect == CHAT:
        return chat_stream(samples.chat({"content": text}), size=400)
    if dialect == MESSAGES:
        return message_stream(samples.message([{"type": "text", "text": text}]), size=400)
    one = StreamTranslation(CHAT, RESPONSES, model="m", include_usage=False)
    return blocks(b"".join(map(one.feed, stream_of(CHAT, text))))


def watched(dialect: str, *sent: bytes) -> StreamWatch:
    watch = StreamWatch(dialect)
    for block in sent:
        watch.feed(block)
    return watch


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("text", ["Grüße, 世界", MARKS])
def test_a_whole_stream(dialect: str, text: str) -> None:
    sent = stream_of(dialect, text)
    watch = watched(dialect, *sent)
    assert (watch.started, watch.complete, watch.stopped, watch.failed) == (True, True, True, None)
    assert watch.usage == Usage(20, 9, 4, 2 if dialect == MESSAGES else 0, 3)
    early = watched(dialect, *sent[:-1])
    assert (early.complete, early.failed) == (False, None)


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES])
def test_a_stream_cut_at_any_byte_never_looks_complete(dialect: str) -> None:
    whole = b"".join(stream_of(dialect, MARKS))
    for cut in range(len(whole)):
        assert not watched(dialect, *blocks(whole[:cut])).complete


@pytest.mark.parametrize(
    ("dialect", "first", "starts"),
    [
        (CHAT, {"choices": [{"delta": {"role": "assistant", "content": ""}}]}, False),
        (CHAT, {"choices": []}, False),
        (CHAT, {"choices": [{"delta": {"content": "x"}}]}, True),
        (CHAT, {"choices": [{"delta": {"reasoning": "x"}}]}, True),
        (CHAT, {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}, True),
        ("openai.completions", {"choices": [{"text": ""}]}, False),
        ("openai.completions", {"choices": [{"text": "x"}]}, True),
        (MESSAGES, {"type": "ping"}, False),
        (MESSAGES, {"type": "message_start", "message": {}}, False),
        (MESSAGES, {"type": "content_block_start", "content_block": {"type": "text", "text": ""}}, False),
        (MESSAGES, {"type": "content_block_start", "content_block": {"type": "tool_use"}}, True),
        (MESSAGES, {"type": "content_block_delta"}, True),
        (RESPONSES, {"type": "response.created", "response": {}}, False),
        (RESPONSES, {"type": "response.output_item.added", "item": {"type": "message"}}, False),
        (RESPONSES, {"type": "response.output_item.added", "item": {"type": "function_call"}}, True),
        (RESPONSES, {"type": "response.output_text.delta"}, True),
    ],
)
def test_the_first_token(dialect: str, first: Any, starts: bool) -> None:
    assert watched(dialect, event(first)).started is starts


@pytest.mark.parametrize(
    ("dialect", "block", "failed"),
    [
        (CHAT, event({"error": {"message": "no", "code": 429}}), (429, "no")),
        (CHAT, event({"choices": [], "error": None}), None),
        (CHAT, b"data: {broken\n\n", (502, "an event of the upstream's stream holds no JSON")),
        (CHAT, b"data: 5\n\n", (502, "an event of the upstream's stream holds no object")),
        (
            MESSAGES,
            event({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "error"),
            (529, "busy"),
        ),
        (RESPONSES, event({"type": "error", "code": "server_error", "message": "no"}, "error"), (500, "no")),
        (
            RESPONSES,
            event({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "n"}}}),
            (429, "n"),
        ),
        (RESPONSES, event({"type": "response.created", "response": {"error": None}}), None),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_failures(dialect: str, block: bytes, failed: tuple[int, str] | None, begun: bool) -> None:
    before = stream_of(dialect)[:4] if begun else []
    if begun and not watched(dialect, *before).started:
        before = stream_of(dialect)[:5]
    watch = watched(dialect, *before, block)
    assert watch.failed == failed
    assert not watch.complete


def test_a_server_that_counts_in_every_chunk() -> None:
    def chunk(made: int) -> bytes:
        usage = {"prompt_tokens": 3, "completion_tokens": made}
        return event({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}], "usage": usage})

    assert watched(CHAT, *map(chunk, range(5))).usage == Usage(3, 4)


def test_a_server_without_done() -> None:
    watch = watched(CHAT, *stream_of(CHAT)[:-1])
    assert (watch.complete, watch.stopped) == (False, True)


def test_spaces_in_the_json_change_nothing() -> None:
    spaced = [block.replace(b'":', b'": ').replace(b",", b", ") for block in stream_of(CHAT)]
    assert orjson.loads(spaced[1][6:])
    watch = watched(CHAT, *spaced)
    assert watch.complete
    assert watch.usage == Usage(20, 9, 4, 0, 3)
