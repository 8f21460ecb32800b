"""What the server says of itself: health, status, metrics, its OpenAPI document, and its access log."""

import json
import re
from pathlib import Path

import httpx

from tests.api.paths import made, models
from tests.servers import running


def test_health_and_status(http: httpx.Client) -> None:
    assert http.get("/health/live").json() == {"status": "live"}
    assert http.get("/health/ready").json() == {"status": "ready"}
    status = http.get("/status").json()
    assert status["status"] == "healthy"
    assert {"entities", "models"} <= set(status["services"]["ready"])
    assert status["services"]["not_ready"] == []
    assert status["controllers"] == {"healthy": True, "status": {}}
    info = http.get("/cluster-info").json()
    assert sorted(info) == ["platform_version", "revision"]
    assert all(isinstance(value, str) and value for value in info.values())


def test_the_documentation_is_served(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    item = document["paths"]["/apis/models/v2/workspaces/{workspace}/models/{name}"]
    assert sorted(item) == ["delete", "get", "patch"]
    schema = item["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("/UpdateModelEntityRequest")
    referenced = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert referenced <= set(document["components"]["schemas"])
    assert {"200", "403", "404", "409", "412", "413", "415", "422", "507"} <= set(item["patch"]["responses"])
    assert http.get("/docs").headers["content-type"].startswith("text/html")


def _samples(http: httpx.Client) -> dict[str, float]:
    lines = http.get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def test_metrics_count_requests(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")
    route = 'route="/apis/models/v2/workspaces/{workspace}/models/{name}"'
    sample = f'steelyard_requests_total{{method="PATCH",{route},status="200"}}'
    before = _samples(http).get(sample, 0)
    for query in ("", "?verbose=true", "?verbose=1"):
        assert http.patch(f"{models(workspace)}/m{query}", json={}).status_code == 200
    after = _samples(http)
    assert after[sample] == before + 3
    assert after[f'steelyard_request_seconds_count{{method="PATCH",{route}}}'] >= 3
    assert any(name.startswith("steelyard_info{version=") for name in after)
    assert http.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


def test_the_labels_of_metrics_are_bounded(http: httpx.Client, workspace: str) -> None:
    def ask(letter: str) -> None:
        for path in (f"/{letter}", models(letter), f"{models(workspace)}/{letter}", f"{models(letter)}/x/y/{letter}"):
            http.get(path, params={"q": letter})
            http.request(f"M{letter.upper()}", path)
            http.get(f"{path}/")

    ask("first")
    before = set(_samples(http))
    for letter in ("second", "third", "fourth"):
        ask(letter)
    assert set(_samples(http)) == before
    assert not any(word in name for name in before for word in ("first", "FIRST", workspace))


def test_the_access_log_is_one_json_line_for_each_request(data_dir: Path) -> None:
    with running(data_dir) as server:
        with httpx.Client(base_url=server.url) as client:
            client.get(f"{models('default')}/none", params={"token": "hidden-in-query"}, headers={"X-Request-Id": "r1"})
            client.get(f"{models('default')}/none?verbose=no&token=hidden-in-query")
            client.post(models("default"), json={"name": "m", "description": "hidden-in-body"})
            client.get("/nope%0Awith-a-new-line", headers={"Authorization": "Bearer hidden-in-header"})
            for number in range(20):
                client.patch(f"{models('default')}/m", json={"custom_fields": {"number": number}})
        server.stop()
        lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
        assert "hidden-in" not in server.log
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", f"{models('default')}/none", 404),
        ("GET", f"{models('default')}/none", 404),
        ("POST", models("default"), 201),
        ("GET", "/nope\nwith-a-new-line", 404),
        *[("PATCH", f"{models('default')}/m", 200)] * 20,
    ]
    assert lines[0]["request_id"] == "r1"
    for line in lines:
        assert sorted(line) == ["client", "event", "method", "ms", "path", "request_id", "status", "time"]
        assert (line["event"], line["client"]) == ("request", "127.0.0.1")
        assert line["ms"] >= 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"])
    assert len({line["request_id"] for line in lines}) == len(lines)


def test_the_access_log_can_be_switched_off(data_dir: Path) -> None:
    with running(data_dir, "--set", "log.access=false") as server:
        httpx.get(f"{server.url}/health/live")
        server.stop()
        assert "request" not in server.log
