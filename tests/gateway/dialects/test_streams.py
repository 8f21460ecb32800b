"""Streams: what breaks the grammar of an upstream, what engines do otherwise, and what never looks complete."""

from typing import Any

import pytest

from steelyard.errors import BadUpstreamAnswer, UpstreamStreamError
from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES, StreamTranslation, uses_stream_usage
from steelyard.gateway.meter import Usage
from steelyard.gateway.sse import blocks
from tests.gateway.dialects import samples
from tests.gateway.dialects.samples import Json, chat_stream, event, events, message_stream

PAIRS = [(CHAT, MESSAGES), (CHAT, RESPONSES), (MESSAGES, CHAT), (MESSAGES, RESPONSES)]


def translation(upstream: str, client: str, *, include_usage: bool = False) -> StreamTranslation:
    return StreamTranslation(upstream, client, model="shown", include_usage=include_usage)


def fed(upstream: str, client: str, *sent: bytes) -> list[Json]:
    one = translation(upstream, client)
    return events(b"".join([*map(one.feed, sent), one.end()]))


def chunk(delta: Json, reason: str | None = None, **more: Any) -> bytes:
    return event({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]})


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_stream_cut_at_any_byte_never_looks_complete(upstream: str, client: str) -> None:
    answer = samples.CHATS["all"] if upstream == CHAT else samples.MESSAGES["all"]
    whole = b"".join(chat_stream(answer) if upstream == CHAT else message_stream(answer))
    ends = {CHAT: b"[DONE]", MESSAGES: b"message_stop", RESPONSES: b"response.completed"}
    last = whole.rindex(b"data: ")
    for cut in range(0, len(whole)):
        one = translation(upstream, client)
        sent = b"".join(one.feed(block) for block in blocks(whole[:cut]))
        assert not one.complete
        assert ends[client] not in sent
        if cut < last and (upstream == MESSAGES or b'finish_reason":"' not in whole[:cut]):
            with pytest.raises(BadUpstreamAnswer):
                one.end()


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_what_is_known_on_the_way(upstream: str, client: str) -> None:
    sent = chat_stream(samples.CHATS["text"]) if upstream == CHAT else message_stream(samples.MESSAGES["text"])
    one = translation(upstream, client)
    started = []
    for block in sent:
        one.feed(block)
        started.append(one.started)
    assert not started[0]
    assert started[-1]
    assert one.complete
    assert one.usage == Usage(20, 9, 4, 0 if upstream == CHAT else 2, 3)
    assert one.feed(sent[-1]) == b"", "a second [DONE] says nothing new"
    assert one.end() == b""


def test_usage_is_sent_to_chat_clients_that_ask() -> None:
    sent = message_stream(samples.MESSAGES["text"])
    silent = translation(MESSAGES, CHAT)
    assert all("usage" not in one for one in events(b"".join(map(silent.feed, sent))))
    asked = translation(MESSAGES, CHAT, include_usage=True)
    told = events(b"".join(map(asked.feed, sent)))
    assert [one.get("usage") for one in told[:-2]] == [None] * (len(told) - 2)
    assert told[-2]["choices"] == []
    assert told[-2]["usage"]["prompt_tokens"] == 20
    assert uses_stream_usage({"stream_options": {"include_usage": True}}, CHAT)
    assert not uses_stream_usage({"stream_options": None}, CHAT)
    assert not uses_stream_usage({"stream_options": {"include_usage": True}}, RESPONSES)


def test_a_server_without_done_has_said_why_it_stops() -> None:
    sent = chat_stream(samples.CHATS["text"])[:-1]
    one = translation(CHAT, MESSAGES)
    said = [*map(one.feed, sent)]
    assert not one.complete
    assert events(b"".join([*said, one.end()]))[-1] == {"type": "message_stop"}
    assert one.complete


def test_the_usual_order_of_a_message() -> None:
    got = fed(CHAT, MESSAGES, *chat_stream(samples.CHATS["all"], size=40))
    kinds = [(one["type"], one.get("index")) for one in got]
    assert kinds == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("content_block_start", 3),
        ("content_block_delta", 3),
        ("content_block_stop", 3),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert got[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert got[-2]["usage"]["cache_read_input_tokens"] == 4


def test_the_usual_order_of_a_response() -> None:
    got = fed(MESSAGES, RESPONSES, *message_stream(samples.MESSAGES["reasoning"], size=40))
    assert [one["type"].removeprefix("response.") for one in got] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [one["sequence_number"] for one in got] == list(range(len(got)))
    assert got[7]["item"]["encrypted_content"] == "steelyard.signature:c2lnbmVk"
    assert [one["output_index"] for one in got[2:14]] == [0] * 6 + [1] * 6


@pytest.mark.parametrize(
    ("sent", "calls"),
    [
        # No index at all, each call whole.
        (
            [
                chunk({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
                chunk({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
            ],
            [("a", "f", {}), ("b", "g", {})],
        ),
        # The same index for all.
        (
            [
                chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
                chunk({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}}]}),
            ],
            [("a", "f", {}), ("b", "f", {})],
        ),
        # The id and the name again and again.
        (
            [
                chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x'}}]}),
                chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '":1}'}}]}),
            ],
            [("a", "f", {"x": 1})],
        ),
        # The id before the name; no arguments.
        (
            [
                chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": None}}]}),
                chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}),
            ],
            [("a", "f", {})],
        ),
        # Two calls in one chunk.
        (
            [
                chunk(
                    {
                        "tool_calls": [
                            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
                            {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
                        ]
                    }
                )
            ],
            [("a", "f", {}), ("b", "g", {})],
        ),
    ],
)
def test_how_engines_stream_calls(sent: list[bytes], calls: list[tuple[str, str, Json]]) -> None:
    # Some say that they just stopped.
    got = fed(CHAT, RESPONSES, *sent, chunk({}, "stop"), DONE)
    made = [item for item in got[-1]["response"]["output"] if item["type"] == "function_call"]
    assert [(item["call_id"], item["name"]) for item in made] == [call[:2] for call in calls]
    stopped = fed(CHAT, MESSAGES, *sent, chunk({}, "stop"), DONE)[-2]
    assert stopped["delta"]["stop_reason"] == "tool_use"


def test_the_sequence_that_an_engine_stopped_at() -> None:
    got = fed(CHAT, MESSAGES, chunk({"content": "x"}), chunk({}, "stop", stop_reason="END"), DONE)
    assert got[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_text_and_reason_in_one_chunk() -> None:
    got = fed(CHAT, MESSAGES, chunk({"role": "assistant", "content": "x"}, "length"), DONE)
    assert [one["delta"]["text"] for one in got if one["type"] == "content_block_delta"] == ["x"]
    assert got[-2]["delta"]["stop_reason"] == "max_tokens"


def test_a_tool_whose_input_comes_with_its_start() -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": samples.USE}
    stream = message_stream({**samples.MESSAGES["call"], "content": []})
    stream[2:2] = [event(start), event({"type": "content_block_stop", "index": 0})]
    got = fed(MESSAGES, RESPONSES, *stream)
    assert got[-1]["response"]["output"][0]["arguments"] == '{"city":"Köln"}'


@pytest.mark.parametrize(
    "block",
    [
        b": a comment\n\n",
        b"\n\n",
        b"retry: 5\n\n",
        b"data:\n\n",
        event({"type": "ping"}, "ping"),
        event({"type": "something_new", "x": 1}, "something_new"),
    ],
)
def test_what_says_nothing(block: bytes) -> None:
    one = translation(MESSAGES, CHAT)
    assert one.feed(block) == b""
    assert not one.started


def test_other_line_ends_and_several_lines_of_data() -> None:
    sent = message_stream(samples.MESSAGES["text"])
    other = [block.replace(b"\n", b"\r\n") for block in sent]
    tight = [block.replace(b"data: ", b"data:") for block in sent]
    split = [block.replace(b'"type":', b'\ndata: "type":', 1) for block in sent]
    assert (
        fed(MESSAGES, RESPONSES, *other)[-1]["response"]["output"]
        == (fed(MESSAGES, RESPONSES, *sent)[-1]["response"]["output"])
    )
    assert fed(MESSAGES, RESPONSES, *tight)[-1]["type"] == "response.completed"
    assert fed(MESSAGES, RESPONSES, *split)[-1]["type"] == "response.completed"
    unnamed = [block.replace(b"data: ", b"data:") for block in chat_stream(samples.CHATS["text"])]
    assert fed(CHAT, MESSAGES, *unnamed)[-1]["type"] == "message_stop"


START = event({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 1, "output_tokens": 0}}})
OPEN = event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})


def _delta(index: int = 0, **delta: Any) -> bytes:
    return event({"type": "content_block_delta", "index": index, "delta": delta})


@pytest.mark.parametrize(
    ("upstream", "sent"),
    [
        (CHAT, [b"data: {broken\n\n"]),
        (CHAT, [b"data: [1]\n\n"]),
        (CHAT, [b"data: <html>\n\n"]),
        (CHAT, [event({"id": "x"})]),
        (CHAT, [chunk({"content": 5})]),
        (CHAT, [event({"choices": ["x"]})]),
        (CHAT, [chunk({"content": "x"}), DONE]),
        (CHAT, [chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]})]),
        (CHAT, [chunk({"tool_calls": ["x"]})]),
        (
            CHAT,
            [
                chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]}),
                chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "f", "arguments": "{"}}]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
            ],
        ),
        (MESSAGES, [b"event: message_start\ndata: {broken\n\n"]),
        (MESSAGES, [OPEN]),
        (MESSAGES, [START, START]),
        (MESSAGES, [START, OPEN, OPEN]),
        (MESSAGES, [START, _delta(type="text_delta", text="x")]),
        (MESSAGES, [START, OPEN, _delta(1, type="text_delta", text="x")]),
        (MESSAGES, [START, OPEN, _delta(type="input_json_delta", partial_json="{")]),
        (MESSAGES, [START, OPEN, _delta(type="text_delta")]),
        (MESSAGES, [START, event({"type": "content_block_stop", "index": 0})]),
        (MESSAGES, [START, event({"type": "message_stop"})]),
        (MESSAGES, [START, OPEN, event({"type": "message_stop"})]),
        (MESSAGES, [event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})]),
        (MESSAGES, [START, event({"type": "message_delta", "delta": {"stop_reason": "pause_turn"}})]),
        (MESSAGES, [START, event({"type": "content_block_start", "index": 0, "content_block": {"type": "new"}})]),
    ],
)
def test_broken_grammar(upstream: str, sent: list[bytes]) -> None:
    one = translation(upstream, RESPONSES)
    with pytest.raises(BadUpstreamAnswer):
        for block in sent:
            one.feed(block)
    assert not one.complete


@pytest.mark.parametrize(
    ("upstream", "block", "status", "said"),
    [
        (CHAT, event({"error": {"message": "too many", "type": "x", "code": "rate_limit_exceeded"}}), 429, "too many"),
        (CHAT, event({"error": {"message": "no", "code": 503}}), 503, "no"),
        (CHAT, event({"error": "gone"}), 502, "gone"),
        (CHAT, event({"error": {"message": "bad\x00input", "type": "invalid_request_error"}}), 400, "bad input"),
        (
            MESSAGES,
            event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error"),
            529,
            "Overloaded",
        ),
        (MESSAGES, event({"type": "error", "error": {"type": "api_error", "message": "Oops"}}, "error"), 500, "Oops"),
    ],
)
def test_errors_in_a_stream(upstream: str, block: bytes, status: int, said: str) -> None:
    with pytest.raises(UpstreamStreamError) as raised:
        translation(upstream, RESPONSES).feed(block)
    assert raised.value.upstream_status == status
    assert raised.value.message == said


def test_an_error_of_responses_goes_on_counting() -> None:
    one = translation(CHAT, RESPONSES)
    sent = b"".join([one.feed(chunk({"content": "x"})), one.error(502, "gone", "upstream_cut")])
    got = events(sent)
    assert [each["sequence_number"] for each in got] == list(range(len(got)))
    assert got[-1]["type"] == "error"
    assert got[-1]["message"] == "gone"
