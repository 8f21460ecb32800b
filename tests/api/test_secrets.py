"""An api_key goes in and never comes out: not in an answer, an error, a filter, the log, or the bytes on the disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.paths import JSON, SPEC, faults, made, models
from tests.servers import running

CANARY = "sk-canary-5f1d0c"
URL = "https://upstream.example/v1"
ENDPOINT = {"url": URL, "api_key": CANARY}


class Witness(httpx.Client):
    """A client that remembers all that it was answered, headers too."""

    def __init__(self, url: str) -> None:
        self.heard: list[tuple[str, str]] = []
        super().__init__(base_url=url, timeout=30, event_hooks={"response": [self._listen]})

    def _listen(self, answer: httpx.Response) -> None:
        answer.read()
        said = "".join(f"{key}: {value}\n" for key, value in answer.headers.items()) + answer.text
        self.heard.append((f"{answer.request.method} {answer.request.url}", said))


@pytest.fixture
def item(http: httpx.Client, workspace: str) -> Iterator[str]:
    """A model that has a key."""
    made(http, models(workspace), name="m", api_endpoint=ENDPOINT)
    yield f"{models(workspace)}/m"


def test_nothing_that_leaves_the_server_holds_the_key(data_dir: Path) -> None:
    path = models("default")
    with running(data_dir, "--set", "log.level=debug") as server:
        with Witness(server.url) as client:
            made(client, path, name="m", api_endpoint=ENDPOINT, spec=SPEC)
            made(client, path, name="plain")
            client.post(path, json={"name": "m", "api_endpoint": ENDPOINT})
            for body in _bodies_with_the_key():
                for method, place in (("PATCH", f"{path}/m"), ("PATCH", f"{path}/m?verbose=0"), ("POST", path)):
                    client.request(method, place, json=body)
            for text in (f'{{"api_key":"{CANARY}"', f'{{"api_key":"{CANARY}","api_key":"{CANARY}"}}'):
                client.patch(f"{path}/m", content=text, headers=JSON)
            client.patch(f"{path}/m", content=f'{{"api_key":"{CANARY}"}}', headers={"Content-Type": "text/plain"})
            for query in (
                "",
                "?verbose=true",
                "?page_size=1",
                "?sort=-updated_at",
                '?filter={"data.api_endpoint":null}',
            ):
                client.get(f"{path}{query}")
            for place in (f"{path}/m", f"{path}/m?verbose=true", "/metrics", "/openapi.json", "/status"):
                client.get(place)
            client.delete(f"{path}/m")
        assert server.stop() == 0
        assert len(client.heard) > 40
        for request, said in client.heard:
            assert CANARY not in said, request
        assert CANARY not in server.log
        assert '"event":"request"' in server.log
        stored = [file for file in data_dir.rglob("*") if file.is_file()]
        assert any(file.name == "steelyard.db" for file in stored)
        for file in stored:
            assert CANARY.encode() not in file.read_bytes(), file


def _bodies_with_the_key() -> list[dict[str, Any]]:
    return [
        {"api_endpoint": ENDPOINT},
        {"api_endpoint": {**ENDPOINT, "url": "nonsense"}},
        {"api_endpoint": {**ENDPOINT, "url": f"ftp://{CANARY}"}},
        {"api_endpoint": {**ENDPOINT, "url": f"https://user:{CANARY}@host"}},
        {"api_endpoint": {**ENDPOINT, "unknown": CANARY}},
        {"api_endpoint": {"api_key": [CANARY]}},
        {"api_endpoint": {"api_key": {"value": CANARY}}},
        {"api_endpoint": {"format": [CANARY], "api_key_set": CANARY}},
        {"api_endpoint": CANARY},
        {"api_endpoint": [CANARY]},
        {"api_key": CANARY},
        {"api_endpoint": ENDPOINT, "description": 5},
        {"api_endpoint": ENDPOINT, "fileset": "none"},
        {"api_endpoint": ENDPOINT, "base_model": "a/b/c"},
    ]


def test_a_key_that_is_kept_is_told_by_a_flag(http: httpx.Client, workspace: str, item: str) -> None:
    shown = {"url": URL, "model_id": None, "api_key": None, "format": None, "api_key_set": True}
    assert http.get(item).json()["api_endpoint"] == shown
    made(http, models(workspace), name="none", api_endpoint={"url": URL})
    assert http.get(f"{models(workspace)}/none").json()["api_endpoint"] == {**shown, "api_key_set": False}


def test_the_same_key_again_changes_nothing(http: httpx.Client, item: str) -> None:
    assert http.patch(item, json={"api_endpoint": ENDPOINT}).json()["revision"] == 1
    assert http.patch(item, json={"api_endpoint": {**ENDPOINT, "api_key": "other"}}).json()["revision"] == 2


def test_the_flag_sent_back_keeps_the_key(http: httpx.Client, item: str) -> None:
    shown = http.get(item).json()["api_endpoint"]
    answer = http.patch(item, json={"api_endpoint": shown})
    assert (answer.status_code, answer.json()["revision"]) == (200, 1)
    answer = http.patch(item, json={"api_endpoint": {**shown, "model_id": "new"}})
    assert answer.json()["api_endpoint"] == {**shown, "model_id": "new"}
    # The key is the one of before: sending it changes nothing.
    endpoint = {**ENDPOINT, "model_id": "new"}
    assert http.patch(item, json={"api_endpoint": endpoint}).json()["revision"] == 2


def test_the_key_does_not_go_to_another_address(http: httpx.Client, item: str) -> None:
    shown = http.get(item).json()["api_endpoint"]
    for url in ("https://attacker.example/v1", f"{URL}/", None):
        answer = http.patch(item, json={"api_endpoint": {**shown, "url": url}})
        assert faults(answer) == [(("body", "api_endpoint", "api_key"), "secret_required")]
    assert http.get(item).json()["revision"] == 1
    moved = {"url": "https://other.example", "api_key": CANARY}
    assert http.patch(item, json={"api_endpoint": moved}).json()["api_endpoint"]["api_key_set"] is True


@pytest.mark.parametrize(
    "endpoint", [{"url": URL}, {"url": URL, "api_key": ""}, {"url": URL, "api_key_set": False}, {}]
)
def test_an_endpoint_without_a_key_has_none(http: httpx.Client, item: str, endpoint: dict[str, Any]) -> None:
    answer = http.patch(item, json={"api_endpoint": endpoint})
    assert (answer.json()["api_endpoint"]["api_key_set"], answer.json()["revision"]) == (False, 2)
    answer = http.patch(item, json={"api_endpoint": {**endpoint, "api_key": None, "api_key_set": True}})
    assert faults(answer) == [(("body", "api_endpoint", "api_key_set"), "read_only")]


def test_a_key_cannot_be_claimed_at_creation(http: httpx.Client, workspace: str) -> None:
    body = {"name": "m", "api_endpoint": {"url": URL, "api_key_set": True}}
    answer = http.post(models(workspace), json=body)
    assert faults(answer) == [(("body", "api_endpoint", "api_key_set"), "read_only")]


@pytest.mark.parametrize(
    "query",
    [
        {"filter[data.api_endpoint.api_key]": CANARY},
        {"filter[data.api_endpoint.api_key][$like]": "sk-"},
        {"filter": f'{{"data.api_endpoint.api_key":"{CANARY}"}}'},
        {"filter": '{"$not":{"data.api_endpoint.api_key":null}}'},
        {"filter": f'data.api_endpoint.api_key:"{CANARY}"'},
        {"filter": "data.api_endpoint.api_key:null"},
    ],
)
def test_records_cannot_be_found_by_a_key(http: httpx.Client, workspace: str, item: str, query: dict[str, str]) -> None:
    answer = http.get(models(workspace), params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filter")
    assert CANARY not in answer.text


@pytest.mark.parametrize("needle", ["v2.", "api_key", ".", "e"])
def test_nor_by_the_object_that_holds_it(http: httpx.Client, workspace: str, item: str, needle: str) -> None:
    for operator in ("$like", "$gte", "$eq"):
        answer = http.get(models(workspace), params={f"filter[data.api_endpoint][{operator}]": needle})
        assert answer.status_code in {200, 400}
        if answer.status_code == 200:
            assert answer.json()["data"] == []


def test_a_key_survives_a_restart_and_a_lost_master_key_is_no_5xx(data_dir: Path) -> None:
    path = models("default")
    with running(data_dir) as server, httpx.Client(base_url=server.url) as client:
        made(client, path, name="m", api_endpoint=ENDPOINT)
    with running(data_dir) as server, httpx.Client(base_url=server.url) as client:
        assert client.patch(f"{path}/m", json={"api_endpoint": ENDPOINT}).json()["revision"] == 1
    (data_dir / "master.key").unlink()
    with running(data_dir) as server, httpx.Client(base_url=server.url) as client:
        assert client.get(f"{path}/m").json()["api_endpoint"]["api_key_set"] is True
        assert client.patch(f"{path}/m", json={"api_endpoint": ENDPOINT}).json()["revision"] == 2
