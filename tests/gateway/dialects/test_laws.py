"""Laws for generated conversations and streams: meaning is kept there and back, and in pieces of any size."""

import itertools
import string
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import OutboundFailed
from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES, StreamTranslation, translate_request
from steelyard.gateway.dialects.answers import read_chat, read_messages
from steelyard.gateway.sse import blocks
from tests.gateway.dialects import samples
from tests.gateway.dialects.samples import Json, chat_stream, events, message_stream

# Text without half pairs: JSON in UTF-8 cannot hold those.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
said = text.filter(bool)
name = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=20)
arguments = st.dictionaries(text, st.one_of(st.none(), st.booleans(), st.integers(-1000, 1000), text), max_size=3)


@st.composite
def calls(draw: st.DrawFn) -> list[Json]:
    return [
        {
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": draw(name), "arguments": orjson.dumps(draw(arguments)).decode()},
        }
        for index in range(draw(st.integers(0, 3)))
    ]


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    messages: list[Json] = [{"role": "system", "content": draw(said)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 3))):
        messages.append({"role": "user", "content": draw(said)})
        made = draw(calls())
        message: Json = {"role": "assistant", "content": draw(said if not made else st.none() | said)}
        if made:
            message["tool_calls"] = made
        messages.append(message)
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(text)} for call in made]
    return [*messages, {"role": "user", "content": draw(said)}]


settings = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stop": st.lists(said, min_size=1, max_size=3),
        "user": said,
        "reasoning_effort": st.sampled_from(["none", "low", "medium", "high", "xhigh", "max"]),
        "service_tier": st.sampled_from(["auto", "default"]),
        "stream": st.just(True),
    },
)


def joined(messages: list[Json]) -> list[Json]:
    """The conversation with a result and the question after it as separate messages, as chat has them."""
    made: list[Json] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            made += [{"role": message["role"], "content": part["text"]} for part in content]
        else:
            made.append(message)
    return made


@given(conversations(), settings, st.integers(1, 100_000))
def test_chat_to_messages_and_back_keeps_its_meaning(messages: list[Json], more: Json, limit: int) -> None:
    body = {"model": "m", "messages": messages, "max_tokens": limit, **more}
    there = translate_request(body, CHAT, MESSAGES)
    roles = [message["role"] for message in there["messages"]]
    assert all(one != other for one, other in itertools.pairwise(roles)), "sides take turns"
    back = translate_request(there, MESSAGES, CHAT)
    back.pop("stream_options", None)
    assert {**back, "messages": joined(back["messages"])} == body


def answers() -> st.SearchStrategy[Json]:
    def make(content: str, thoughts: str, made: list[Json], finish: str) -> Json:
        message: Json = {"content": content or None, "reasoning_content": thoughts}
        if made:
            message["tool_calls"] = made
        return samples.chat(message, "tool_calls" if made else finish)

    return st.builds(make, text, text, calls(), st.sampled_from(["stop", "length", "content_filter"]))


def meaning(parts: list[Json]) -> list[Json]:
    """What parts say; the arguments of a call as what they hold."""
    return [
        {
            **{key: value for key, value in part.items() if key not in ("at", "signature")},
            **({"arguments": orjson.loads(part["arguments"] or "{}")} if part["kind"] == "call" else {}),
        }
        for part in parts
    ]


def told(events: list[Json]) -> Json:
    """The message that a stream of messages tells of, put together as its grammar says."""
    message: Json = {}
    texts: dict[int, str] = {}
    for event in events:
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
        elif event["type"] == "content_block_delta":
            assert event["index"] == len(message["content"]) - 1
            piece = next(value for key, value in event["delta"].items() if key != "type")
            texts[event["index"]] = texts.get(event["index"], "") + piece
        elif event["type"] == "message_delta":
            message.update(event["delta"], usage=event["usage"])
    for index, found in texts.items():
        block = message["content"][index]
        if block["type"] == "tool_use":
            block["input"] = orjson.loads(found)
        else:
            block["text" if block["type"] == "text" else "thinking"] = found
    return message


@given(answers(), st.integers(1, 50), st.booleans())
def test_a_stream_of_chat_means_what_the_whole_answer_means(answer: Json, size: int, usage: bool) -> None:
    one = StreamTranslation(CHAT, MESSAGES, model="m", include_usage=False)
    sent = chat_stream(answer, size=size, usage=usage)
    message = told(events(b"".join(map(one.feed, sent))))
    assert one.complete
    whole = read_chat(answer)
    got = read_messages(message)
    assert meaning(got.parts) == meaning(whole.parts)
    assert got.stop == whole.stop
    assert one.usage == (whole.usage if usage else None)


@given(answers(), st.integers(1, 50))
def test_through_three_dialects_in_streams(answer: Json, size: int) -> None:
    """chat -> messages -> chat -> messages: what a client is sent is a stream of its dialect, so it can go on."""
    sent = chat_stream(answer, size=size)
    for upstream, client in ((CHAT, MESSAGES), (MESSAGES, CHAT), (CHAT, MESSAGES)):
        one = StreamTranslation(upstream, client, model="m", include_usage=True)
        sent = blocks(b"".join([*map(one.feed, sent), one.end()]))
        assert one.complete
        assert one.usage == read_chat(answer).usage
    assert meaning(read_messages(told(events(b"".join(sent)))).parts) == meaning(read_chat(answer).parts)


@given(answers(), st.integers(1, 50))
def test_the_events_of_a_response_say_what_its_end_says(answer: Json, size: int) -> None:
    one = StreamTranslation(CHAT, RESPONSES, model="m", include_usage=False)
    got = events(b"".join(map(one.feed, chat_stream(answer, size=size))))
    assert [event["sequence_number"] for event in got] == list(range(len(got)))
    output: list[Json] = got[-1]["response"]["output"]
    assert [event["item"] for event in got if event["type"] == "response.output_item.done"] == output
    whole: Any = [value for item in output for value in _texts(item)]
    pieces: dict[Any, str] = {}
    for event in got:
        if event["type"].endswith(".delta"):
            place = (event["output_index"], event.get("content_index", event.get("summary_index", 0)))
            pieces[place] = pieces.get(place, "") + event["delta"]
    assert [value for value in whole if value] == [pieces[place] for place in sorted(pieces)]


def _texts(item: Json) -> list[str]:
    if item["type"] == "message":
        return [part.get("text", part.get("refusal")) for part in item["content"]]
    if item["type"] == "reasoning":
        return [part["text"] for part in item["summary"]]
    return [item["arguments"]]


@given(st.binary(max_size=200))
def test_no_bytes_break_anything_but_by_name(data: bytes) -> None:
    for upstream in (CHAT, MESSAGES):
        one = StreamTranslation(upstream, RESPONSES, model="m", include_usage=False)
        for block in blocks(b"data: " + data + b"\n\n"):
            try:
                one.feed(block)
            except OutboundFailed:
                return
        assert not one.complete or b"[DONE]" in data


@given(st.integers(1, 20), text)
def test_a_message_in_pieces_of_any_size(size: int, content: str) -> None:
    answer = samples.message([samples.SIGNED, {"type": "text", "text": content}, samples.USE], "tool_use")
    one = StreamTranslation(MESSAGES, CHAT, model="m", include_usage=False)
    got = events(b"".join(map(one.feed, message_stream(answer, size=size))))
    deltas = [event["choices"][0]["delta"] for event in got[:-1]]
    assert "".join(delta.get("content") or "" for delta in deltas) == content
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "They want weather."
    arguments = "".join(call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", []))
    assert orjson.loads(arguments) == {"city": "Köln"}
