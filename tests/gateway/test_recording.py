"""Recordings: only where a workspace wants them, never with what it wants taken out, and in time that text of any kind
cannot make long.
"""

import io
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.api.access_log import AccessLog
from steelyard.gateway.recording import Recorder, recorder_for
from steelyard.gateway.redaction import CATEGORIES, Redactor
from steelyard.records.workspaces import REDACTIONS

EMAIL, PHONE, CARD, IP = "ada.lovelace+x@mail.example.org", "+49 (30) 1234-5678", "4111 1111 1111 1111", "192.168.17.4"
KEYS = (
    "sk-proj-a1B2c3D4e5F6g7H8i9J0",
    "sk-ant-api03-a1B2c3D4e5F6g7",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "hf_abcdefghijklmnopqrstuvwxyz01",
    "nvapi-a1b2c3d4e5f6g7h8i9j0k1l2",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "xoxb-123456789012-abcdefghij",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
)
SECRETS = (EMAIL, PHONE, CARD, IP, *KEYS)
everything = Redactor(CATEGORIES)


def recorder(max_bytes: int = 65_536, redact: frozenset[str] = frozenset(CATEGORIES)) -> Recorder:
    return Recorder(redact, max_bytes)


def line(request: Any, answer: Any = b"{}", made: Recorder | None = None) -> dict[str, Any]:
    bodies = [body if isinstance(body, bytes) else orjson.dumps(body) for body in (request, answer)]
    return (made or recorder()).line("req_1", "team", "team/m", *bodies)


def says(line: dict[str, Any]) -> str:
    """The line as it is written, and what a reader of it reads."""
    return json.dumps(line, ensure_ascii=False) + repr(line)


def test_the_categories_are_those_of_the_records() -> None:
    assert set(CATEGORIES) == set(REDACTIONS)


@pytest.mark.parametrize("recording", [None, {}, {"enabled": False, "redact": [], "max_bytes": 5}])
def test_nothing_is_recorded_unless_a_workspace_says_so(recording: dict[str, Any] | None) -> None:
    assert recorder_for(recording) is None


def test_everything_is_taken_out_unless_a_workspace_says_otherwise() -> None:
    text = ", ".join(SECRETS)
    made = recorder_for({"enabled": True})
    assert made is not None
    assert made.max_bytes == 65_536
    told = made.line("r", "w", "m", orjson.dumps({"prompt": text}), b"")["request"]["prompt"]
    assert told == ", ".join(["[email]", "[phone]", "[card]", "[ip]", *["[key]"] * len(KEYS)])
    bare = recorder_for({"enabled": True, "redact": [], "max_bytes": 1000})
    assert bare is not None
    assert bare.line("r", "w", "m", orjson.dumps({"prompt": text}), b"")["request"]["prompt"] == text


@pytest.mark.parametrize(
    ("category", "text"), [("email", EMAIL), ("phone", PHONE), ("card", CARD), ("ip", IP), *(("key", k) for k in KEYS)]
)
def test_each_category_takes_out_its_own(category: str, text: str) -> None:
    assert Redactor([category]).redact(f"see {text}, please") == f"see [{category}], please"
    others = Redactor([other for other in CATEGORIES if other not in {category, "phone"}])
    if category != "phone":
        assert text in others.redact(f"see {text}, please") or category == "key"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a%40b.example.com", "[email]"),
        ("<ada@example.org>", "<[email]>"),
        ("5500-0055-5555-5559", "[card]"),
        ("pan378282246310005x", "pan[card]x"),
        ("0171 2345678, 555.123.4567; (020) 7946 0958", "[phone], [phone]; [phone]"),
        ("[2001:db8::8a2e:370:7334]:80 and ::1", "[[ip]]:80 and [ip]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [key]"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: [key]"),
        ("a Bearer t0k3n-t0k3n", "a Bearer [key]"),
        ('"api_key": "hunter22"', '"api_key": "[key]"'),
        ("AWS_SECRET_ACCESS_KEY=abcd1234", "AWS_SECRET_ACCESS_KEY=[key]"),
        ("password = tr0ub4dor&3", "password = [key]&3"),
        ("postgres://steel:yard1@db.example/x", "postgres://steel:[key]/x"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- after", "[key] after"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE and no end", "[key]"),
        ("sk\\u002dproj-a1B2c3D4e5F6g7H8", "[key]"),
    ],
)
def test_many_ways_to_write_them_are_known(text: str, told: str) -> None:
    assert everything.redact(text) == told


def test_numbers_that_run_together_are_all_taken_out() -> None:
    for last in range(10):
        assert not any(map(str.isdigit, everything.redact(f"call 555-123-4567 555-765-432{last} now")))


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-15 10:30:00, in 2023-11-07T08:00:00Z",
        "3.14159265358979 and 0.1",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "commit 356a192b7913b04c54574d18c28d46e6395428ab",
        "std::vector<int> a::b",
        "user@host, @decorator, a @ b",
        "sk-learn-is-a-library",
        "an order of 1234 pieces, room 5678",
        "the bearer of good news",
        "call_1234567890 and chatcmpl_9876543210",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert everything.redact(text) == text


@given(st.text(st.sampled_from("ab1 4@.:-_/=+(\n\"'\\"), max_size=200), st.integers(0, 200))
@settings(max_examples=300)
def test_a_beginning_is_the_beginning_of_the_whole(text: str, most: int) -> None:
    """Whatever is found at the cut is found whole: what is kept is a part of what would be kept of all."""
    told, shorter = everything.beginning(text, most)
    whole = everything.redact(text)
    assert shorter is (len(everything_unescaped(text)) > most)
    assert whole.startswith(told) or whole.startswith(told.rpartition("[")[0])


def everything_unescaped(text: str) -> str:
    return text


@pytest.mark.parametrize("secret", SECRETS)
def test_no_part_of_a_secret_is_left_at_a_cut_of_ours(secret: str) -> None:
    text = f"some words before {secret} and some after"
    for most in range(len(text)):
        told = line({"m": text}, made=recorder(most + 1))
        assert not _leaks(says(told), secret), most


@pytest.mark.parametrize("secret", SECRETS)
def test_no_part_of_a_secret_is_left_where_a_body_ends_early(secret: str) -> None:
    """What was listened to ends anywhere: in plain JSON, in a stream, in text."""
    text = f"some words before {secret} and some after"
    answer = orjson.dumps({"choices": [{"message": {"content": text}}]})
    for end in range(1, len(answer)):
        assert not _leaks(says(line(b"{}", answer[:end])), secret), end
    stream = _stream([text[i : i + 3] for i in range(0, len(text), 3)])
    for end in range(1, len(stream), 7):
        assert not _leaks(says(line(b"{}", stream[:end])), secret), end


def _leaks(said: str, secret: str) -> bool:
    """Whether six letters or digits of a secret in a row stand there (as they are, without what is between)."""
    bare = "".join(filter(str.isalnum, secret))
    told = "".join(filter(str.isalnum, said))
    return any(bare[i : i + 6] in told for i in range(len(bare) - 5))


def _stream(pieces: list[str]) -> bytes:
    events = [
        {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in pieces
    ]
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def test_a_stream_is_put_together_so_that_pieces_hide_nothing() -> None:
    text = f"write to {EMAIL} or pay with {CARD}, yes"
    told = line(b"{}", _stream(list(text)))
    assert told["answer"] == {"choices.0.delta.content": "write to [email] or pay with [card], yes"}
    assert "cut" not in told


def test_the_streams_of_all_dialects_are_put_together() -> None:
    def events(*said: dict[str, Any]) -> bytes:
        return b"".join(f"event: {one['type']}\n".encode() + b"data: " + orjson.dumps(one) + b"\n\n" for one in said)

    messages = events(
        {"type": "message_start", "message": {"id": "m", "model": "c", "role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ada@exam"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ple.org says"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "mail"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"to":"a'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '@b.cd"}'}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    )
    told = line(b"{}", messages)["answer"]
    assert told["content_block_delta.0.delta.text"] == "[email] says"
    assert told["content_block_delta.1.delta.partial_json"] == '{"to":"[email]"}'
    assert told["content_block_start.1.content_block.name"] == "mail"
    assert told["message_delta.delta.stop_reason"] == "tool_use"

    responses = events(
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "ada@exam"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "ple.org"},
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "ada@example.org"},
        {"type": "response.completed", "response": {"output": [{"content": [{"text": "ada@example.org"}]}]}},
    )
    assert line(b"{}", responses)["answer"] == {"response.output_text.delta.0.0.delta": "[email]"}


def test_a_body_is_read_so_that_escapes_hide_nothing() -> None:
    spelled = "".join(f"\\u{ord(letter):04x}" for letter in EMAIL)
    assert line(f'{{"a": "{spelled}"}}'.encode())["request"] == {"a": "[email]"}
    twice = orjson.dumps({"arguments": f'{{"to": "{spelled}"}}'})
    assert line(twice)["request"] == {"arguments": '{"to": "[email]"}'}
    assert line(f'{{"a": "{spelled}" and no end'.encode())["request"].startswith('{"a": "[email]"')


def test_names_numbers_and_pictures_are_looked_at_too() -> None:
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 500
    told = line(
        {
            EMAIL: 1,
            "n": 4111111111111111,
            "created": 1732745305,
            "password": "abc",
            "api_key": "x",
            "max_tokens": 5,
            "token": "Hello",
            "url": picture,
            "logprobs": {"content": [{"token": "ada", "bytes": [97]}]},
        }
    )["request"]
    assert told == {
        "[email]": 1,
        "n": "[card]",
        "created": 1732745305,
        "password": "[key]",
        "api_key": "[key]",
        "max_tokens": 5,
        "token": "Hello",
        "url": f"data:image/png;base64,… ({len(picture)} characters)",
    }


@pytest.mark.parametrize("max_bytes", [1, 10, 100, 5000])
def test_a_line_is_no_longer_than_it_may_be(max_bytes: int) -> None:
    body = {"messages": [{"role": "user", "content": "é" * 900} for _ in range(100)], "n": list(range(1000))}
    told = line(body, _stream(["long answers "] * 900), made=recorder(max_bytes))
    assert told["cut"] == ["request", "answer"]
    for part in ("request", "answer"):
        assert len(orjson.dumps(told[part])) <= 3 * max_bytes + 200
    assert len(_all_texts(told["request"]).encode()) <= max_bytes + 100


def _all_texts(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_all_texts(inner) for inner in value.values())
    if isinstance(value, list):
        return "".join(map(_all_texts, value))
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe\x00", b"null", b"5", b'"text"', b"[" * 5000, b"data: {\n\n", b"data: [1]\n\n", b":\n\n"]
)
def test_what_cannot_be_read_is_no_fault(body: bytes) -> None:
    json.dumps(line(body, body))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_bytes_make_it_fail(request: bytes, answer: bytes) -> None:
    orjson.dumps(line(request, answer))
    orjson.dumps(line(b"{}", b"data: " + answer))


# Each is made for one of the patterns, or for the way in which they are put together.
ADVERSARIAL = (
    *("a", "a.", "1", "1 ", "1-", "12 345 ", "@", "a@", "a@a.", "a@a-", "%40", ":", "1:", "::", "f:", "1.1.1.", "999."),
    *(
        "sk-",
        "a=",
        "secret:",
        "sk-aaaaaaaaaaaaa ",
        "password=",
        "password = ",
        "bearer ",
        "bearer aaaaaaaa ",
        "eyJ",
        "eyJaaaaaaaa.",
    ),
    *("://", "://a:", "://aaa:bbb", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "-", "AKIA", "A", "aA1", "(", "+"),
    *("+1", "(1)", "2024-01-15 ", "2024-01-152024", "\\u0041", "\\u00", "api_key:", "hf_", "411111111111111"),
    *("4111 1111 1111 1112 ", "\n", " ", "é", "😀", "\x00", '"', "\\", "=", "[", "authorization: bearer "),
)


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_no_text_takes_long(unit: str) -> None:
    """Four times the text takes about four times as long: nothing is squared in it."""
    short, long = (unit * (size // len(unit) + 1) for size in (32_768, 131_072))
    seconds = [min(_seconds(text) for _ in range(2)) for text in (short, long)]
    assert seconds[1] < 8 * seconds[0] + 0.1, seconds
    assert seconds[1] < 2


def _seconds(text: str) -> float:
    started = time.process_time()
    everything.redact(text)
    return time.process_time() - started


def test_a_line_goes_where_the_access_log_goes() -> None:
    async def write() -> str:
        stream = io.StringIO()
        log = AccessLog(stream)
        log.append(line({"prompt": EMAIL}))
        log.flush()
        return stream.getvalue()

    import asyncio  # noqa: PLC0415

    written = json.loads(asyncio.run(write()))
    assert written.pop("time").endswith("Z")
    assert written == {
        "event": "inference",
        "request_id": "req_1",
        "workspace": "team",
        "model": "team/m",
        "request": {"prompt": "[email]"},
        "answer": {},
    }
