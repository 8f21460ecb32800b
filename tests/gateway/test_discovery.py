"""Discovery as people see it: a real server, real engines, the API and the command line."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, TEXT, Gate, gate
from tests.gateway.upstreams import Upstream, upstream

BASE = "/apis/models/v2/workspaces/default"
ROUTES = "/apis/inference-gateway/v2/workspaces/default"
REFRESH = "/apis/steelyard/v1/workspaces/default/providers/{}:refresh"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("discovery") / "data", "--set", "gateway.discovery_seconds=1") as door:
        yield door


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream(models=("org/Tiny-1.0", "claude-tiny")) as engine:
        yield engine


@pytest.fixture
def provider(door: Gate, engine: Upstream) -> Iterator[str]:
    """The name of a provider that is asked; it is gone after the test."""
    name = f"p{time.monotonic_ns()}"
    answer = door.http.post(f"{BASE}/providers", json={"name": name, "host_url": f"{engine.url}/v1"})
    assert answer.status_code == 201, answer.text
    yield name
    door.http.delete(f"{BASE}/providers/{name}")


def _get(door: Gate, path: str) -> Any:
    answer = door.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _until(door: Gate, path: str, true: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + 10
    while not true(found := _get(door, path)):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def _ready(door: Gate, provider: str) -> Any:
    return _until(door, f"{BASE}/providers/{provider}", lambda found: found["status"] == "READY")


def test_a_new_provider_is_asked_at_once_and_its_models_can_be_called(
    door: Gate, engine: Upstream, provider: str
) -> None:
    begun = time.monotonic()
    found = _ready(door, provider)
    assert time.monotonic() - begun < 1
    assert [one["model_entity_id"] for one in found["served_models"]] == ["default/org-tiny-1-0", "default/claude-tiny"]

    chat, message = door.ask("default/org-tiny-1-0"), door.ask("claude-tiny", MESSAGES)

    assert TEXT in chat.text
    assert TEXT in message.text
    assert [one.json["model"] for one in engine.requests[-2:]] == ["org/Tiny-1.0", "claude-tiny"]
    assert [one.path for one in engine.requests[-2:]] == [CHAT, MESSAGES]
    assert _get(door, f"{ROUTES}/provider/{provider}/ready")["ready"] is True
    listed = [one["id"] for one in _get(door, "/v1/models")["data"]]
    assert {"default/org-tiny-1-0", "default/claude-tiny"} <= set(listed)


def test_a_deleted_provider_takes_its_routes_along(door: Gate, engine: Upstream, provider: str) -> None:
    _ready(door, provider)
    assert door.http.delete(f"{BASE}/providers/{provider}").status_code == 204
    assert door.ask("default/org-tiny-1-0").status_code in {404, 503}
    _until(door, f"{ROUTES}/virtual-models", lambda found: found["data"] == [])
    assert _get(door, f"{BASE}/models/org-tiny-1-0")["model_providers"] == []


def test_a_changed_list_is_followed(door: Gate, engine: Upstream, provider: str) -> None:
    _ready(door, provider)
    engine.models = ("claude-tiny", "brand-new")
    _until(door, f"{BASE}/providers/{provider}", lambda found: len(found["served_models"]) == 2)
    _until(door, f"{ROUTES}/virtual-models", lambda found: "brand-new" in [one["name"] for one in found["data"]])
    assert TEXT in door.ask("brand-new").text
    assert door.ask("default/org-tiny-1-0").status_code in {404, 503}


def test_a_refresh_asks_now(door: Gate, engine: Upstream, provider: str) -> None:
    _ready(door, provider)
    engine.always = faults.failing(403)
    answer = door.http.post(REFRESH.format(provider))
    assert answer.status_code == 200
    assert answer.json()["status"] == "ERROR"
    assert answer.headers["etag"] == door.http.get(f"{BASE}/providers/{provider}").headers["etag"]
    engine.always = faults.failing(404)
    assert door.http.post(REFRESH.format(provider)).json()["status"] == "READY"
    missing = door.http.post(REFRESH.format("absent"))
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_the_command_line_asks_too(door: Gate, engine: Upstream, provider: str) -> None:
    _ready(door, provider)
    engine.models = ("claude-tiny",)
    command = [sys.executable, "-m", "steelyard", "providers", "refresh", provider, "--url", door.server.url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert [one["served_model_name"] for one in json.loads(done.stdout)["served_models"]] == ["claude-tiny"]


def test_requests_that_are_answered_bring_a_provider_back(door: Gate, engine: Upstream, provider: str) -> None:
    _ready(door, provider)
    engine.next(faults.failing(500))
    assert door.http.post(REFRESH.format(provider)).json()["status"] == "ERROR"
    # It is asked again after some 5 seconds; a request is sooner.
    assert door.ask("default/org-tiny-1-0").status_code == 200
    _ready(door, provider)


def test_discovery_goes_on_after_a_restart(tmp_path: Path, engine: Upstream) -> None:
    folder = tmp_path / "data"
    with gate(folder) as door:
        body = {"name": "p", "host_url": engine.url}
        assert door.http.post(f"{BASE}/providers", json=body).status_code == 201
        _ready(door, "p")
    engine.models = ("after-restart",)
    with gate(folder) as door:
        path = f"{BASE}/providers/p"
        _until(door, path, lambda found: found["served_models"][0]["served_model_name"] == "after-restart")
        history = _get(door, f"{path}/revisions")["data"]
        assert {one["actor"] for one in history} == {None}
        assert len(history) == 3
