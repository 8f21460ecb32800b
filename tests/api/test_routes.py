"""What all routes share: refusals, redirects, request ids; and that a model's two ways answer alike."""

import re
from typing import Any

import httpx
import pytest

from tests.api.paths import JSON, LAYERS, SPEC, WORKSPACES, made, models, projects, prompts

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/nope", "/apis/models/v2/nope", "/apis/models/v2/workspaces/w/models/a/b", "/"])
def test_a_path_that_is_not_there(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 404
    assert answer.json() == {
        "detail": "The requested resource was not found.",
        "code": "not_found",
        "path": path,
        "method": method,
    }


@pytest.mark.parametrize("path", [models, prompts, projects, lambda _: WORKSPACES])
def test_a_record_that_is_not_there(http: httpx.Client, workspace: str, path: Any) -> None:
    for place in (f"{path(workspace)}/none", f"{path('no-such-workspace')}/none"):
        for method in ("GET", "DELETE"):
            answer = http.request(method, place)
            assert answer.status_code == 404
            body = answer.json()
            assert (body["code"], body["path"], body["method"]) == ("not_found", place, method)
            assert "'none' not found" in body["detail"]


@pytest.mark.parametrize("name", ["%ff", "a%00b", "..%2f..", "%20", "a" * 5000, "%F0%9F%A6%99", "%", "a%0a"])
def test_impossible_names_are_not_found(http: httpx.Client, workspace: str, name: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = http.request(method, f"{models(workspace)}/{name}", content=b"{}", headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "POST", "HEAD", "OPTIONS", "TRACE"])
def test_methods_that_a_model_does_not_take(http: httpx.Client, workspace: str, method: str) -> None:
    answer = http.request(method, f"{models(workspace)}/m")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, PATCH"
    if method != "HEAD":
        assert answer.json()["code"] == "method_not_allowed"
        assert answer.json()["detail"].startswith("Method Not Allowed")


@pytest.mark.parametrize("path", [models("default"), f"{models('default')}/m", WORKSPACES, "/status", "/health/live"])
def test_a_trailing_slash_leads_to_the_path_without_it(http: httpx.Client, path: str) -> None:
    answer = http.get(f"{path}/", params={"page": "2"})
    assert answer.status_code == 307
    assert httpx.URL(answer.headers["location"]).raw_path.decode() == f"{path}?page=2"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 415),
        ("", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonx", 415),
        ("application/json; charset=latin-1", 415),
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json;charset="utf-8"', 200),
        ("application/vnd.team+json", 200),
    ],
)
def test_media_types(http: httpx.Client, workspace: str, content_type: str | None, status: int) -> None:
    made(http, models(workspace), name="m")
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = http.patch(f"{models(workspace)}/m", content=b"{}", headers=headers)
    assert answer.status_code == status
    if status == 415:
        assert answer.json()["code"] == "unsupported_media_type"
        assert isinstance(answer.json()["detail"], str)


def test_compressed_bodies_are_refused(http: httpx.Client, workspace: str) -> None:
    answer = http.post(models(workspace), content=b"{}", headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_a_request_id_is_echoed_or_made(http: httpx.Client, workspace: str) -> None:
    for path in ("/health/live", "/nope", models(workspace), f"{models(workspace)}/none"):
        assert http.get(path, headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
        for bad in ("", "with space", "x" * 129, "caf\u00e9".encode("latin-1")):
            headers: Any = {"X-Request-Id": bad}
            assert re.fullmatch(f"req_{UUID}", http.get(path, headers=headers).headers["x-request-id"])
    made_ids = {http.get("/health/live").headers["x-request-id"] for _ in range(20)}
    assert len(made_ids) == 20


def test_a_trace_id_is_that_of_the_caller(http: httpx.Client) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    assert http.get("/health/live", headers=headers).headers["x-trace-id"] == trace
    assert http.get("/health/live", headers={"traceparent": "junk"}).headers["x-trace-id"] == "0"


def _comparable(answer: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    headers = {key: value for key, value in answer.headers.items() if key not in {"date", "x-request-id"}}
    return answer.status_code, answer.content, headers


def test_the_short_way_and_the_routers_way_answer_alike(http: httpx.Client, workspace: str) -> None:
    """`?verbose=false` and nothing are the short way of api/hot.py; `verbose=0` and more are the router's."""
    made(http, models(workspace), name="m", spec={**SPEC, "linear_layers": LAYERS})
    item = f"{models(workspace)}/m"
    tag = http.get(item).headers["etag"]
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", item, {}),
        ("GET", f"{models(workspace)}/none", {}),
        ("GET", f"{models('-')}/m", {}),
        ("GET", f"{models(workspace)}/%ff", {}),
        ("GET", item, {"headers": {"If-None-Match": tag}}),
        ("GET", item, {"headers": {"If-Match": STALE}}),
        ("GET", item, {"headers": {"If-Match": "bare"}}),
        ("PATCH", item, {"json": {}}),
        ("PATCH", item, {"json": {}, "headers": {"If-Match": tag}}),
        ("PATCH", item, {"json": {}, "headers": {"If-Match": STALE}}),
        ("PATCH", item, {"json": {"nope": 1}}),
        ("PATCH", item, {"json": {"fileset": "none"}}),
        ("PATCH", item, {"json": []}),
        ("PATCH", item, {"content": b"{", "headers": JSON}),
        ("PATCH", item, {"content": b"{}"}),
        ("PATCH", item, {"content": b" " * 1_100_000, "headers": JSON}),
        ("PATCH", item, {"json": {"spec": {**SPEC, "tool_call_config": {"tool_call_plugin": "x"}}}}),
        ("PATCH", f"{models(workspace)}/none", {"json": {}}),
    ]
    for method, path, options in requests:
        for short, long in (("", "?verbose=0"), ("?verbose=false", "?verbose=no"), ("?verbose=true", "?verbose=1")):
            fast = _comparable(http.request(method, path + short, **options))
            slow = _comparable(http.request(method, path + long, **options))
            assert fast == slow, (method, path, options)
    for method, query in (("GET", "?verbose=x"), ("PATCH", "?verbose="), ("GET", "?verbose=true&verbose=false")):
        assert http.request(method, item + query, json={}).status_code in {200, 422}


STALE = '"model-gone.1"'
