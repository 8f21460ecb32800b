"""Requests that go on as they are: to a provider by itself, and to paths that mean nothing to the gateway."""

import socket

import httpx
import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, Gate, check_error
from tests.gateway.replies import Reply, json_reply
from tests.gateway.spaces import Space, last, sent
from tests.gateway.upstreams import Upstream

JSON = {"content-type": "application/json"}
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def space(door: Gate) -> Space:
    return Space(door.http)


# A provider by itself.


@pytest.fixture
def raw(space: Space, engine: Upstream) -> str:
    """Where the provider `p` is asked as it is; its base has a path."""
    space.secret("key", "s3cret")
    space.provider("p", f"{engine.url}/base/v1", api_key_secret_name="key")
    return f"{space.gate}/provider/p/-"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_any_method_path_query_and_body_go_on_as_they_are(
    space: Space, raw: str, engine: Upstream, method: str
) -> None:
    engine.always = faults.reply(Reply(200, (("content-type", "image/png"), ("etag", '"7"')), (b"\x00\xff", b"\n")))
    body = bytes(range(256)) * 10
    path = f"{raw}/v1/files/a%20b/content?x=1&y=%2F&x=2"
    answer = space.http.request(method, path, content=body, headers={"content-type": "image/gif", "range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (200, b"\x00\xff\n")
    assert (answer.headers["content-type"], answer.headers["etag"]) == ("image/png", '"7"')
    seen = last(engine)
    assert (seen.method, seen.path, seen.body) == (method, "/base/v1/files/a%20b/content?x=1&y=%2F&x=2", body)
    assert (seen.header("content-type"), seen.header("range")) == ("image/gif", "bytes=0-1")
    assert seen.header("authorization") == "Bearer s3cret"


@pytest.mark.parametrize("body", [b"{", b"[1]", b"null", b'{"model":"their-own","a":1.0,"a":2}', b""])
def test_a_body_that_is_no_request_goes_on_too(space: Space, raw: str, engine: Upstream, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/other"):
        space.http.post(f"{raw}{path}", content=body, headers=JSON)
        assert last(engine).body == body
    assert space.http.get(f"{raw}/v1/responses").status_code == 200, "also where a dialect would want a POST"


def test_an_answer_of_a_dialect_is_not_changed(space: Space, raw: str, engine: Upstream) -> None:
    body = {"model": "tiny", "messages": HI}
    answer = space.http.post(f"{raw}/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["model"]) == (200, "tiny")
    streamed = space.http.post(f"{raw}/v1/chat/completions", json={**body, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert '"model": "tiny"' in streamed.text
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert "stream_options" not in sent(engine)


def test_what_a_providers_record_adds_to_bodies(space: Space, engine: Upstream) -> None:
    space.provider("p", engine, default_extra_body={"a": 1, "b": 1}, required_extra_body={"c": 1})
    path = f"{space.gate}/provider/p/-/v1/anything"
    space.http.post(path, json={"b": 2, "c": 2})
    assert sent(engine) == {"a": 1, "b": 2, "c": 1}
    for body in (b"[1]", b"text"):
        space.http.post(path, content=body, headers=JSON)
        assert last(engine).body == body


@pytest.mark.parametrize("status", [201, 202, 206, 304])
def test_statuses_of_success_stay(space: Space, raw: str, engine: Upstream, status: int) -> None:
    engine.always = faults.reply(Reply(status, (("content-type", "text/plain"),), () if status == 304 else (b"x",)))
    assert space.http.get(f"{raw}/v1/x").status_code == status


def test_an_empty_answer_stays_empty(space: Space, raw: str, engine: Upstream) -> None:
    engine.always = faults.raw("204", b"HTTP/1.1 204 No Content\r\n\r\n")
    answer = space.http.delete(f"{raw}/v1/x")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 429, 500, 503])
def test_errors_keep_their_words_and_all_but_three_their_status(
    space: Space, raw: str, engine: Upstream, status: int
) -> None:
    said = {"detail": [{"loc": ["x"], "msg": "its own words"}], "more": 1}
    engine.always = faults.reply(json_reply(said, status, [("retry-after", "7"), ("request-id", "up-1")]))
    answer = space.http.get(f"{raw}/v1/x")
    assert answer.status_code == (502 if status in {401, 403, 404} else status)
    assert "its own words" in answer.text
    assert (answer.headers["retry-after"], answer.headers["x-upstream-request-id"]) == ("7", "up-1")
    if status not in {401, 403, 404}:
        assert answer.json()["more"] == 1
        assert answer.json()["detail"] == said["detail"]
    else:
        assert str(status) in answer.json()["detail"]
    assert len(engine.requests) == 1, "nothing is tried again"


def test_redirects_are_not_followed_and_lead_no_client_away(space: Space, raw: str, engine: Upstream) -> None:
    engine.always = faults.redirecting("http://169.254.169.254/")
    answer = space.http.get(f"{raw}/v1/x")
    assert (answer.status_code, "location" in answer.headers) == (502, False)


def test_an_answer_that_breaks_off_does_not_look_whole(space: Space, raw: str, engine: Upstream) -> None:
    engine.always = faults.cut_after(2)
    with pytest.raises(httpx.RemoteProtocolError):
        space.http.post(f"{raw}/v1/chat/completions", json={"model": "tiny", "messages": HI, "stream": True})


@pytest.mark.parametrize(
    "path",
    ["v1/%2e%2e/x", "v1%2F..%2Fx", "v1/%252e%252e/x", "v1/..%5c..%5cx", "v1/a%2f..%2f..%2fb", "v1/%0a", "v1/..;/x"],
)
def test_no_path_leaves_the_providers_base(space: Space, raw: str, engine: Upstream, path: str) -> None:
    for base in (raw, f"{space.gate}/model/p/-", f"{space.gate}/openai/-"):
        # httpx would tidy it up.
        answer = _as_it_is(space, f"{base}/{path}")
        assert answer in {404, 422}, base
    assert engine.requests == []


def _as_it_is(space: Space, path: str) -> int:
    where = space.http.base_url
    with socket.create_connection((where.host, where.port or 80), timeout=10) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nhost: localhost\r\n".encode() + b"content-length: 2\r\n")
        connection.sendall(b"content-type: application/json\r\nconnection: close\r\n\r\n{}")
        return int(connection.recv(20).split()[1])


def test_a_provider_that_is_not_there(space: Space) -> None:
    answer = space.http.get(f"{space.gate}/provider/nobody/-/v1/models")
    assert answer.status_code == 404
    check_error(answer.json(), CHAT)


# Paths that mean nothing to the gateway, for a model.


def test_any_other_path_of_a_model_goes_on_with_its_name(space: Space, engine: Upstream) -> None:
    space.served("m", engine, prompt={"system_prompt": "S", "inference_params": {"temperature": 1}})
    engine.always = faults.reply(json_reply({"results": [1], "model": "tiny"}))
    body = {"model": "m", "query": "q", "documents": ["a"], "messages": HI}
    for path in (f"{space.gate}/openai/-/v1/rerank?top=1", f"{space.gate}/model/m/-/v1/rerank?top=1"):
        answer = space.http.post(path, json=body, headers={"accept": "application/json"})
        assert answer.json() == {"results": [1], "model": "tiny"}, "what it says is not understood, so not changed"
        assert answer.headers["x-steelyard-model"] == f"{space.name}/m"
        assert (last(engine).path, sent(engine)) == ("/v1/rerank?top=1", {**body, "model": "tiny"})
        assert last(engine).header("content-type") == "application/json"


def test_a_file_for_a_model_keeps_its_form(space: Space, engine: Upstream) -> None:
    space.served("m", engine)
    engine.always = faults.reply(json_reply({"text": "hello"}))
    files = {"file": ("a.wav", b"RIFF\x00\x01", "audio/wav")}
    answer = space.http.post(f"{space.gate}/model/m/-/v1/audio/transcriptions", files=files)
    assert answer.json() == {"text": "hello"}
    assert (last(engine).header("content-type") or "").startswith("multipart/form-data; boundary=")
    assert b"RIFF\x00\x01" in last(engine).body


def test_a_path_with_the_marks_of_a_route_in_it(space: Space, engine: Upstream) -> None:
    space.served("m", engine)
    engine.always = faults.reply(json_reply({}))
    assert space.http.get(f"{space.gate}/model/m/-/v1/a/-/b").status_code == 200
    assert last(engine).path == "/v1/a/-/b"
