"""The gateway's place in the API: its proxies and short forms, what they refuse, and in which shape."""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, RESPONSES, Gate, check_error, question
from tests.gateway.replies import Reply, json_reply
from tests.gateway.spaces import Space, last, sent
from tests.gateway.upstreams import Upstream, until

COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
SHORT = (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS)
JSON = {"content-type": "application/json"}
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def space(door: Gate) -> Space:
    return Space(door.http)


def _asked(route: str, model: str, **more: Any) -> dict[str, Any]:
    if route == COMPLETIONS:
        return {"model": model, "prompt": "Once", **more}
    if route == EMBEDDINGS:
        return {"model": model, "input": ["a", "b"], **more}
    return {**question(route, model), **more}


# The ways in.


@pytest.mark.parametrize("route", SHORT)
def test_each_operation_at_each_of_its_places(space: Space, engine: Upstream, route: str) -> None:
    model = space.served("m", engine)
    encoded = route[1:].replace("/", "%2F")
    for path, name in (
        (route, model),
        (f"{space.gate}/openai/-{route}", "m"),
        (f"{space.gate}/openai/-{route}", model),
        (f"{space.gate}/openai/-/{encoded}", "m"),
        (f"{space.gate}/model/m/-{route}", "whatever"),
        (f"{space.gate}/model/m/-/{encoded}", "m"),
    ):
        answer = space.http.post(path, json=_asked(route, name))
        assert answer.status_code == 200, path
        assert answer.json()["model"] == model
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-steelyard-provider"] == f"{space.name}/p-m"
        assert sent(engine)["model"] == "tiny"
        assert last(engine).path == (CHAT if route in {MESSAGES, RESPONSES} else route)


def test_the_route_of_a_model_needs_no_name_in_the_body(space: Space, engine: Upstream) -> None:
    space.served("m", engine)
    answer = space.http.post(f"{space.gate}/model/m/-/v1/chat/completions", json={"messages": HI})
    assert answer.json()["model"] == f"{space.name}/m"
    answer = space.http.post(f"{space.gate}/model/m/-/v1/chat/completions", json={"messages": HI, "model": 5})
    assert answer.status_code == 200


@pytest.mark.parametrize("extra", ["v1/chat/completions/", "/v1/chat/completions", "//v1/chat/completions//"])
def test_slashes_around_an_operation_are_of_the_base_url(space: Space, engine: Upstream, extra: str) -> None:
    """As a client joins them whose base URL ends with one. It must not go round the translation, or the prompt."""
    space.served("m", engine, backend_format="ANTHROPIC_MESSAGES", prompt={"system_prompt": "S"})
    for path in (f"{space.gate}/openai/-/{extra}", f"{space.gate}/model/m/-/{extra}"):
        answer = space.http.post(path, json={"model": "m", "messages": HI})
        assert (answer.status_code, answer.json()["object"]) == (200, "chat.completion"), path
        assert (last(engine).path, sent(engine)["system"]) == (MESSAGES, "S")


def _comparable(answer: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    changing = {"date", "x-request-id", "openai-processing-ms"}
    headers = {name: value for name, value in answer.headers.items() if name not in changing}
    return answer.status_code, answer.content, headers


def test_the_short_way_and_the_routers_way_answer_alike(space: Space, engine: Upstream) -> None:
    """A slash at the end is what the short way does not take."""
    space.served("m", engine)
    space.served("claude", engine, backend_format="ANTHROPIC_MESSAGES")
    space.limit("none-left", model="limited", requests_per_minute=1)
    space.served("limited", engine)
    space.ask("limited")
    requests: list[dict[str, Any]] = [
        {"json": {"model": "m", "messages": HI}},
        {"json": {"model": "m", "messages": HI, "stream": True}},
        {"json": {"model": f"{space.name}/m", "messages": HI}, "headers": {"x-request-id": "mine"}},
        {"json": {"model": "nobody", "messages": HI}},
        {"json": {"messages": HI}},
        {"json": {"model": 5}},
        {"json": []},
        {"content": b"{", "headers": JSON},
        {"content": b"", "headers": JSON},
        {"content": b"{}"},
        {"content": b"{}", "headers": {"content-type": "text/plain"}},
        {"content": gzip.compress(b"{}"), "headers": {**JSON, "content-encoding": "gzip"}},
        {"json": {"model": "claude", "messages": HI, "n": 2}},
        {"json": {"model": "limited", "messages": HI}},
    ]
    for path in (f"{space.gate}/openai/-/v1/chat/completions", f"{space.gate}/model/m/-/v1/chat/completions"):
        for options in requests:
            fast = _comparable(space.http.post(path, **options))
            slow = _comparable(space.http.post(f"{path}/", **options))
            assert _steady(fast) == _steady(slow), (path, options)


def _steady(answer: tuple[int, Any, dict[str, str]]) -> tuple[int, Any, dict[str, str]]:
    """Without what is another a moment later."""
    status, body, headers = answer
    headers = {name: value for name, value in headers.items() if not name.startswith("x-ratelimit-reset")}
    return status, re.sub(rb"in \d+ s", b"in a while", body), headers | {"retry-after": "", "content-length": ""}


def test_a_path_that_only_begins_like_the_gateways_is_none_of_its(space: Space, engine: Upstream) -> None:
    space.served("m", engine)
    path = f"/apis/inference-gateway/v2/workspacesX{space.name}/openai/-/v1/chat/completions"
    assert space.http.post(path, json={"model": "m", "messages": HI}).status_code == 404
    assert engine.requests == []


# Refusals, each in the shape of its dialect.


@pytest.mark.parametrize("route", SHORT)
def test_bodies_that_are_refused(space: Space, engine: Upstream, route: str) -> None:
    model = space.served("m", engine)
    packed = gzip.compress(json.dumps(_asked(route, model)).encode())
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"content": b"{", "headers": JSON}, 400, "JSON"),
        ({"content": b"\xff\xfe", "headers": JSON}, 400, "JSON"),
        ({"content": b'{"model": NaN}', "headers": JSON}, 400, "JSON"),
        ({"content": b"", "headers": JSON}, 400, "empty"),
        ({"content": b"[]", "headers": JSON}, 400, "object"),
        ({"content": b"null", "headers": JSON}, 400, "object"),
        ({"json": {}}, 400, "model"),
        ({"json": _asked(route, "")}, 400, "model"),
        ({"json": {"model": 5}}, 400, "model"),
        ({"json": _asked(route, "nobody/here")}, 404, "here"),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "text/plain"),
        ({"content": b"{}"}, 415, "application/json"),
        ({"content": b"a=b", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 415, "form"),
        ({"content": packed, "headers": {**JSON, "content-encoding": "gzip"}}, 415, "Content-Encoding"),
    ]
    for options, status, word in cases:
        answer = space.http.post(route, **options)
        assert answer.status_code == status, (options, answer.text)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"]
        check_error(answer.json(), route, [word])
    assert engine.requests == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"])
def test_json_is_known_by_its_usual_names(space: Space, engine: Upstream, kind: str) -> None:
    body = json.dumps(question(CHAT, space.served("m", engine))).encode()
    assert space.http.post(CHAT, content=body, headers={"content-type": kind}).status_code == 200
    assert last(engine).header("content-type") == "application/json"


@pytest.mark.parametrize("route", SHORT)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_methods_that_are_refused(space: Space, route: str, method: str) -> None:
    for path in (route, f"{space.gate}/openai/-{route}", f"{space.gate}/model/m/-{route}"):
        answer = space.http.request(method, path, json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), path
        check_error(answer.json(), route, [method])


@pytest.mark.parametrize("route", [CHAT, MESSAGES])
def test_a_body_that_is_too_large(door: Gate, route: str) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(34):
            yield b"a" * (1 << 20)

    answer = door.http.post(route, content=parts(), headers=JSON)
    assert answer.status_code == 413
    check_error(answer.json(), route, ["gateway.body_bytes"])
    # One that says how large it is, is refused before it is sent.
    where = urlsplit(door.server.url)
    assert where.hostname and where.port
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        head = f"POST {route} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_what_cannot_be_carried_over_is_a_422_that_names_it(space: Space, engine: Upstream) -> None:
    space.served("claude", engine, backend_format="ANTHROPIC_MESSAGES")
    answer = space.ask("claude", n=2)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "n"
    check_error(answer.json(), CHAT, ["n"])
    for route in (COMPLETIONS, EMBEDDINGS):
        answer = space.http.post(route, json=_asked(route, f"{space.name}/claude"))
        assert answer.status_code == 422
        check_error(answer.json(), route, ["Anthropic"])
    space.served("chat", engine)
    answer = space.ask("chat", MESSAGES, mcp_servers=[{"type": "url", "url": "http://x", "name": "x"}])
    assert answer.status_code == 422
    check_error(answer.json(), MESSAGES, ["mcp_servers"])
    assert engine.requests == []


# Request ids.


def test_the_callers_request_id_goes_all_the_way(space: Space, engine: Upstream) -> None:
    model = space.served("m", engine)
    answer = space.ask(model, headers={"x-request-id": "call-9"})
    assert (answer.headers["x-request-id"], last(engine).header("x-request-id")) == ("call-9", "call-9")
    made = space.ask(model).headers["x-request-id"]
    seen = last(engine).header("x-request-id")
    assert seen
    assert made.endswith(seen)
    assert len({space.ask(model).headers["x-request-id"] for _ in range(5)}) == 5


def test_what_comes_back_of_an_upstreams_headers(space: Space, engine: Upstream) -> None:
    model = space.served("m", engine)
    headers = [
        *(("x-request-id", "req_up"), ("x-ratelimit-remaining-requests", "9"), ("openai-processing-ms", "12")),
        *(("set-cookie", "a=b"), ("server", "engine/1"), ("x-internal", "1"), ("location", "/x"), ("etag", '"x"')),
        *(("cache-control", "no-store"), ("openai-organization", "our-name")),
    ]
    well = {"id": "x", "object": "chat.completion", "model": "tiny", "choices": []}
    engine.always = faults.reply(json_reply(well, headers=headers))
    back = space.ask(model).headers
    assert back["x-upstream-request-id"] == "req_up"
    assert back["x-request-id"] != "req_up"
    assert (back["x-ratelimit-remaining-requests"], back["openai-processing-ms"]) == ("9", "12")
    assert not {"set-cookie", "server", "x-internal", "location", "etag", "openai-organization"} & back.keys()


# Lists.


def _ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200
    return [one["id"] for one in answer.json()["data"]]


def test_only_what_can_be_asked_is_listed(space: Space, engine: Upstream) -> None:
    listed = f"{space.gate}/openai/-/v1/models"
    assert space.http.get(listed).json()["data"] == []
    model = space.served("m", engine)
    space.model("idle")
    leaf = space.model("leaf", base_model="m")
    endpoint = space.model("endpoint", api_endpoint={"url": engine.url, "model_id": "x"})
    virtual = space.virtual("chat", default_model_entity="m")
    space.virtual("empty", default_model_entity="nobody")
    space.virtual("rescued", default_model_entity="nobody", fallbacks=["m"])
    served = [virtual, endpoint, leaf, model, f"{space.name}/rescued"]
    assert _ids(space.http.get(listed)) == served
    everywhere = _ids(space.http.get("/v1/models"))
    assert set(served) <= set(everywhere)
    assert f"{space.name}/idle" not in everywhere
    for name in served:
        assert space.ask(name).status_code == 200
    one = space.http.get(listed).json()["data"][3]
    assert (one["object"], one["owned_by"], one["type"]) == ("model", space.name, "model")
    assert abs(one["created"] - time.time()) < 60
    space.http.delete(f"{space.providers}/p-m")
    assert _ids(space.http.get(listed)) == [endpoint]


def test_one_of_them(space: Space, engine: Upstream) -> None:
    model = space.served("m", engine)
    space.alias("m@prod", "m")
    for path in (f"{space.gate}/openai/-/v1/models/m", f"{space.gate}/openai/-/v1/models/{model}"):
        assert space.http.get(path).json()["id"] == model
    assert space.http.get(f"/v1/models/{model}").json()["id"] == model
    assert space.http.get(f"/v1/models/{model.replace('/', '%2F')}").json()["id"] == model
    assert space.http.get(f"{space.gate}/openai/-/v1/models/m@prod").json()["id"] == f"{space.name}/m@prod"
    space.model("idle")
    for name in ("nobody", f"{space.name}/nobody", "idle", "a/b/c"):
        assert space.http.get(f"{space.gate}/openai/-/v1/models/{name}").status_code == 404


def test_a_workspace_that_is_not_there_lists_nothing(space: Space) -> None:
    assert _ids(space.http.get("/apis/inference-gateway/v2/workspaces/nowhere/openai/-/v1/models")) == []


def test_whether_a_provider_is_ready(space: Space, engine: Upstream) -> None:
    space.provider("p", engine, status="READY")
    answer = space.http.get(f"{space.gate}/provider/p/ready")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "provider": f"{space.name}/p", "host_url": engine.url}
    space.http.put(f"{space.providers}/p/status", json={"status": "ERROR"})
    assert space.http.get(f"{space.gate}/provider/p/ready").status_code == 404
    assert space.http.get(f"{space.gate}/provider/nobody/ready").status_code == 404


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


# What is written down.


def test_a_client_that_leaves_is_written_down(door: Gate, space: Space, engine: Upstream) -> None:
    model = space.served("m", engine)
    for fault, stream in ((faults.STALL, False), (faults.stalling(3), True)):
        engine.settle()
        engine.always = fault
        with door.begin(model, stream=stream) as connection:
            engine.wait_for(1)
            if stream:
                connection.recv(1000)
        until(lambda: engine.requests[0].left_at is not None)

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = space.http.get(f"/apis/steelyard/v1/workspaces/{space.name}/usage").json()["data"]
        return found

    until(lambda: len(rows()) == 2)
    for row, stream in zip(rows(), (True, False), strict=True):
        assert (row["status"], row["error"], row["stream"]) == (499, "client_left", stream)
        assert (row["model"], row["attempts"], row["output"]) == (model, 1, None)


# Answers that are kept.


def test_an_answer_is_given_again_to_the_very_same_request_and_to_no_other(space: Space, engine: Upstream) -> None:
    model = space.served("m", engine, routing={"cache_seconds": 60})

    def hit(route: str = CHAT, headers: dict[str, str] | None = None, **more: Any) -> bool:
        before = len(engine.requests)
        answer = space.ask(model, route, headers, **more)
        assert answer.status_code == 200
        kept = "x-steelyard-cache" in answer.headers
        assert kept == (len(engine.requests) == before)
        return kept

    assert [hit() for _ in range(3)] == [False, True, True]
    assert not hit(temperature=0.1)
    assert hit(temperature=0.1)
    assert hit(headers={"x-request-id": "another"})
    assert not hit(MESSAGES)
    assert [hit(stream=True) for _ in range(2)] == [False, False]
    space.patch("m", description="another state of the record")
    assert [hit(), hit()] == [False, True]
    space.http.patch(f"{space.providers}/p-m", json={"required_extra_body": {"seed": 1}})
    assert [hit(), hit()] == [False, True]
    space.alias("m@x", "m")
    assert space.asks("m@x")["model"] == f"{space.name}/m@x"
    space.patch("m", routing={"cache_seconds": 0})
    assert [hit(), hit()] == [False, False]


def test_failures_are_not_kept(space: Space, engine: Upstream) -> None:
    space.served("m", engine, routing={"cache_seconds": 60, "retries": 0})
    engine.next(faults.failing(500))
    assert [space.ask("m").status_code for _ in range(3)] == [500, 200, 200]
    assert len(engine.requests) == 2


def test_a_kept_answer_is_used_up_in_its_time_and_written_down_as_one(space: Space, engine: Upstream) -> None:
    space.served("m", engine, routing={"cache_seconds": 1}, pricing={"input": 1000.0, "output": 1000.0})
    first = space.ask("m")
    again = space.ask("m")
    assert (again.content, again.headers["x-steelyard-cache"]) == (first.content, "hit")
    time.sleep(1.1)
    assert "x-steelyard-cache" not in space.ask("m").headers
    usage = f"/apis/steelyard/v1/workspaces/{space.name}/usage"
    until(lambda: len(space.http.get(usage).json()["data"]) == 3)
    kept = space.http.get(usage).json()["data"][1]
    assert (kept["cache"], kept["cost"], kept["attempts"], kept["status"]) == ("hit", 0.0, 0, 200)
