"""Errors in each dialect's shape, and what upstreams say in theirs."""

import orjson
import pytest

from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES, error_body, read_error, stream_error


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "invalid_request_error", "billing_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (409, "invalid_request_error", "conflict_error"),
        (413, "invalid_request_error", "request_too_large"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (502, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (504, "server_error", "timeout_error"),
        (529, "server_error", "overloaded_error"),
    ],
)
def test_types_by_status(status: int, openai: str, anthropic: str) -> None:
    for client in (CHAT, RESPONSES):
        assert error_body(client, status, "no", "a_code", param="x") == {
            "error": {"message": "no", "type": openai, "param": "x", "code": "a_code"},
            "detail": "no",
            "code": "a_code",
        }
    assert error_body(MESSAGES, status, "no", "a_code") == {
        "type": "error",
        "error": {"type": anthropic, "message": "no"},
        "detail": "no",
        "code": "a_code",
    }


def test_the_event_that_ends_a_stream() -> None:
    chat = stream_error(CHAT, 502, "no", "c")
    assert chat.startswith(b"data: {")
    assert orjson.loads(chat[6:])["error"]["message"] == "no"
    messages = stream_error(MESSAGES, 529, "no", "c")
    assert messages.startswith(b"event: error\ndata: ")
    assert orjson.loads(messages.split(b"data: ")[1])["error"]["type"] == "overloaded_error"
    responses = stream_error(RESPONSES, 502, "no", "c", sequence=4)
    event = orjson.loads(responses.split(b"data: ")[1])
    assert (event["type"], event["code"], event["message"], event["sequence_number"]) == ("error", "c", "no", 4)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"Wrong key","type":"x"}}', "Wrong key"),
        (b'{"type":"error","error":{"type":"api_error","message":"Oops"}}', "Oops"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"detail":[{"loc":["body","x"],"msg":"Field required"}]}', "body.x: Field required"),
        (b'{"error":"plain"}', "plain"),
        (b'{"object":"error","message":"vLLM says no","code":400}', "vLLM says no"),
        (b'{"error":{"error":{"message":"deep"}}}', "deep"),
        (b'"just text"', "just text"),
        (b"upstream connect error\r\n", "upstream connect error"),
        (b"<html><body>502</body></html>", "the upstream answered with status 502"),
        (b"", "the upstream answered with status 502"),
        (b"{}", "the upstream answered with status 502"),
        (b"[]", "the upstream answered with status 502"),
        (b'{"message":"a\\u0000b\\u001bc\\u2028d"}', "a b c d"),
        (b"\xff\xfe", "��"),
    ],
)
def test_what_an_upstream_says(body: bytes, said: str) -> None:
    assert read_error(CHAT, 502, body) == said


def test_a_long_message_is_cut() -> None:
    assert len(read_error(CHAT, 500, orjson.dumps({"detail": "x" * 10_000}))) == 2000
    assert len(read_error(CHAT, 500, b"x" * 10_000)) == 2000
