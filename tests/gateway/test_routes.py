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
from tests.gateway.replies import json_reply
from tests.gateway.spaces import Space, last, sent
from tests.gateway.upstreams import Upstream

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
        begin = f"POST {route} HTTP/1.1\r\nhost: localhost\r\n"
        head = begin + "content-type: application/json\r\ncontent-length: 99999999\r\n\r\n"
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
