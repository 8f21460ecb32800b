"""A canary in every place where a secret can be: then the whole of what the server says is searched for it."""

import json
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.access.requests import operations, request_of
from tests.access.test_visibility import Receiver
from tests.access.worlds import KEYS, World, world

HOME = "default"
CANARIES = {
    "secret": "canary-of-a-secret-5f3a",
    "endpoint": "canary-of-an-endpoint-91bc",
    "webhook": "whsec_Y2FuYXJ5LW9mLWEtd2ViaG9vay03N2Vl",
    "patched": "canary-of-a-patch-aa01",
    "replaced": "canary-that-was-replaced-0d0d",
    "refused": "canary-in-a-refusal-c4c4",
    "query": "canary-in-a-query-e7e7",
    "prompted": "canary-in-a-prompt-b8b8",
}
MODELS, SECRETS = f"/apis/models/v2/workspaces/{HOME}/models", f"/apis/secrets/v2/workspaces/{HOME}/secrets"
PROVIDERS, WEBHOOKS = f"/apis/models/v2/workspaces/{HOME}/providers", f"/apis/steelyard/v1/workspaces/{HOME}/webhooks"


class Heard:
    """Everything that was answered, with its headers."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str]] = []

    def __call__(self, answer: httpx.Response) -> httpx.Response:
        answer.read()
        told = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
        self.answers.append((f"{answer.request.method} {answer.request.url}", told))
        return answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_no_secret_comes_out_anywhere(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> None:
    folder = tmp_path_factory.mktemp("canary")
    settings = ("outbound.allowed_networks=127.0.0.0/8", "auth.attempts_per_minute=1000")
    with world(folder, *settings) as made:
        heard = Heard()
        made.root.event_hooks["response"] = [heard]
        keys = [made.root_key, *_plant(made, receiver)]
        _use(made)
        _ask_everything(made)
        _ask_wrongly(made)
        time.sleep(1.5)
        log = made.server.log
    master = (folder / "data" / "master.key").read_bytes()
    canaries = {**CANARIES, **{f"key {number}": key.split("_")[2] for number, key in enumerate(keys)}}
    canaries["master key"] = master.hex()
    found = [
        (name, where[:200])
        for name, canary in canaries.items()
        for where, told in heard.answers
        if canary in told and not _is_its_own(name, where)
    ]
    assert found == []
    assert len(heard.answers) > 300
    # The first key is told to whoever starts the server, beside the log.
    lines = "\n".join(line for line in log.splitlines() if line.startswith("{") or " steelyard" in line)
    assert not [name for name, canary in canaries.items() if canary in lines]
    assert not [name for name, canary in canaries.items() if name != "prompted" and canary in _audit(folder)]
    stored = b"".join(one.read_bytes() for one in (folder / "data").rglob("steelyard.db*"))
    kept = [name for name, canary in canaries.items() if canary.encode() in stored]
    assert kept == []
    # They have been used: what was searched for was there to be found.
    asked = json.dumps([headers for _, headers, _ in receiver.bodies])
    assert CANARIES["secret"] in asked
    assert CANARIES["patched"] in asked
    sent = [body for _, headers, body in receiver.bodies if "webhook-id" in {name.lower() for name in headers}]
    assert sent
    assert not [name for name, canary in canaries.items() for body in sent if canary.encode() in body]


def _is_its_own(name: str, where: str) -> bool:
    """Whether a canary is in the answer that is there to tell it, once; or in what the caller has just said."""
    return (name.startswith("key") and where.startswith("POST") and where.endswith(KEYS)) or (
        name == "query" and (CANARIES["query"] in where)
    )


def _plant(made: World, receiver: Receiver) -> list[str]:
    root = made.root
    assert root.post(SECRETS, json={"name": "canary", "value": CANARIES["replaced"]}).status_code == 201
    assert root.patch(f"{SECRETS}/canary", json={"value": CANARIES["secret"]}).status_code == 200
    endpoint = {"url": receiver.url, "api_key": CANARIES["endpoint"]}
    assert root.post(MODELS, json={"name": "canary", "api_endpoint": endpoint}).status_code == 201
    hook = {"name": "canary", "url": receiver.url, "signing": {"secret": CANARIES["webhook"]}}
    assert root.post(WEBHOOKS, json=hook).status_code == 201
    provider = {"name": "canary", "host_url": receiver.url, "api_key_secret_name": "canary"}
    assert root.post(PROVIDERS, json=provider).status_code == 201
    assert root.post(MODELS, json={"name": "served", "model_providers": [f"{HOME}/canary"]}).status_code == 201
    patched = {"api_endpoint": {"url": receiver.url, "api_key": CANARIES["patched"]}}
    assert root.patch(f"{MODELS}/canary", json=patched).status_code == 200
    dry = {"api_endpoint": {"url": f"{receiver.url}/x", "api_key": CANARIES["refused"]}}
    assert root.patch(f"{MODELS}/canary?dry_run=true", json=dry).status_code == 200
    once = {"Idempotency-Key": "canary"}
    for _ in range(2):
        root.post(SECRETS, json={"name": "once", "value": CANARIES["secret"]}, headers=once)
    return [made.key(), made.key(scopes=["models:read"])]


def _use(made: World) -> None:
    """Has the secrets used: their providers are asked, and echo nothing of them."""
    for name in ("served", "canary"):
        body = {"model": name, "messages": [{"role": "user", "content": CANARIES["prompted"]}]}
        assert made.root.post("/v1/chat/completions", json=body).status_code == 200
    raw = f"/apis/inference-gateway/v2/workspaces/{HOME}/provider/canary/-/v1/chat/completions"
    assert made.root.post(raw, json={"model": "x", "messages": []}).status_code == 200
    made.root.post(f"/apis/steelyard/v1/workspaces/{HOME}/providers/canary:refresh")
    made.root.post(f"{WEBHOOKS}/canary:ping")


def _ask_everything(made: World) -> None:
    """Each operation of the server once, about what was planted."""
    document = made.root.get("/openapi.json").json()
    for operation in operations(document):
        if operation.id in {"delete_workspace", "rotate_encryption_keys"}:
            continue
        request = request_of(operation, HOME, lambda workspace: "none")
        request["url"] = request["url"].replace("nothing-here", "canary").replace("1...2", "1...2")
        made.root.request(**request)
        if operation.method == "GET":
            for query in ({"verbose": "true"}, {"revision": "1"}, {"page_size": "1000"}):
                made.root.request(**request, params=query)
    home = f"/apis/steelyard/v1/workspaces/{HOME}"
    for path in (
        *(f"{home}:export", f"{home}/usage", f"{home}/usage:export", "/apis/steelyard/v1/audit:export", "/metrics"),
        "/apis/steelyard/v1/events?limit=1000",
        *(f"{place}/canary/revisions" for place in (MODELS, SECRETS, PROVIDERS, WEBHOOKS)),
        *(f"{place}/canary/revisions/1...2" for place in (MODELS, SECRETS, PROVIDERS, WEBHOOKS)),
        *(f"{place}/canary" for place in (MODELS, SECRETS, PROVIDERS, WEBHOOKS)),
        f"{WEBHOOKS}/canary/deliveries",
        f"{SECRETS}/canary/access",
    ):
        made.root.get(path)
    for place in (MODELS, SECRETS, PROVIDERS, WEBHOOKS):
        for body in ({"revision": 1}, {}):
            made.root.post(f"{place}/canary:revert", json=body)
        made.root.delete(f"{place}/canary?dry_run=true")
        made.root.delete(f"{place}/canary")
        made.root.post(f"{place}/canary:undelete")


def _ask_wrongly(made: World) -> None:
    """Requests with secrets in them that are refused: an error repeats none."""
    root, word = made.root, CANARIES["refused"]
    wrong: list[tuple[str, Any]] = [
        (SECRETS, {"name": "x", "value": {"deep": word}}),
        (SECRETS, {"name": "x y", "value": word}),
        (SECRETS, {"name": "canary", "value": word}),
        (SECRETS, {"name": "x", "valeu": word, "value": word}),
        (SECRETS, {"name": "x", "value": word, "description": 5}),
        (MODELS, {"name": "x", "api_endpoint": {"url": 5, "api_key": word}}),
        (MODELS, {"name": "x", "api_endpoint": {"api_key": [word]}}),
        (MODELS, {"name": "x", "api_endpoint": {"url": "file:///", "api_key": word}}),
        (WEBHOOKS, {"name": "x", "url": "http://127.0.0.1", "signing": {"secret": word}}),
        (WEBHOOKS, {"name": "x", "url": 1, "signing": {"secret": CANARIES["webhook"]}}),
        (KEYS, {"name": 5, "key": word}),
    ]
    for path, body in wrong:
        assert root.post(path, json=body).status_code in {400, 409, 422}, (path, body)
    for text in (f'{{"name": "x", "value": "{word}"', f'{{"name": "x", "value": "{word}", "value": "{word}"}}'):
        headers = {"Content-Type": "application/json"}
        assert root.post(SECRETS, content=text, headers=headers).status_code in {400, 422}
    for field in ("value", "data", "secret"):
        made.root.get(SECRETS, params={"filter": json.dumps({field: CANARIES["query"]})})
    made.root.get(f"{MODELS}?api_key={CANARIES['query']}&filter[api_endpoint][api_key]={CANARIES['query']}")
    nobody = made.client(None)
    for credential in (made.root_key[:-1] + "x", word, f"a.{word}.b"):
        nobody.get(MODELS, headers={"Authorization": f"Bearer {credential}"})
    nobody.get(MODELS, params={"access_token": CANARIES["query"]})


def _audit(folder: Any) -> str:
    with sqlite3.connect(folder / "data" / "steelyard.db") as connection:
        found = json.dumps(connection.execute("SELECT * FROM audit").fetchall())
    connection.close()
    return found
