"""What an answer hides (a key, linear layers) is kept or cleared in each dialect as the documentation says."""

import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from steelyard.records.patch import Said
from tests.api.paths import LAYERS, SPEC, faults
from tests.change.records import MODELS, ServedRecord
from tests.servers import Server

CANARY = "sk-canary-77aa"
URL = "https://upstream.example/v1"
MASK = "********"
ENDPOINT = {"url": URL, "api_key": CANARY, "model_id": "m"}


@pytest.fixture
def model(http: httpx.Client, workspace: str) -> ServedRecord:
    """A model that has a key and layers."""
    return ServedRecord(http, workspace, MODELS, {"api_endpoint": ENDPOINT, "spec": {**SPEC, "linear_layers": LAYERS}})


def token_of(server: Server, record: ServedRecord) -> str | None:
    """The sealed key as it stands in the database."""
    with closing(sqlite3.connect(server.data_dir / "steelyard.db")) as database:
        sql = "SELECT json_extract(fields, '$.api_endpoint.api_key') FROM records WHERE name = ?"
        found: str | None = database.execute(sql, (record.name,)).fetchone()[0]
        return found


def replaced(path: str, value: Any) -> Said:
    return Said([{"op": "add", "path": path, "value": value}], "json_patch")


KEEPS = [
    Said({"api_endpoint": {"url": URL, "api_key_set": True}}),
    Said({"api_endpoint": {"url": URL, "api_key": MASK}}),
    Said({"description": "x"}, "merge"),
    Said({"api_endpoint": {"model_id": "other"}}, "merge"),
    Said({"api_endpoint": {"api_key": MASK}}, "merge"),
    Said({"api_endpoint": {"model_id": "other"}}, mask="api_endpoint.model_id"),
    Said({"api_endpoint": {"url": URL, "api_key_set": True}}, mask="api_endpoint"),
    Said({"api_endpoint": {"url": URL, "api_key_set": True}}, mask="*"),
    replaced("/api_endpoint/model_id", "other"),
    replaced("/api_endpoint", {"url": URL, "api_key": MASK}),
    Said([{"op": "test", "path": "/api_endpoint/api_key", "value": MASK}], "json_patch"),
    Said({"api_endpoint": ENDPOINT}),
    Said({"api_endpoint": {"api_key": CANARY}}, "merge"),
]
CLEARS = [
    Said({"api_endpoint": {"url": URL}}),
    Said({"api_endpoint": {}}),
    Said({"api_endpoint": None}, "merge"),
    Said({"api_endpoint": {"api_key": None}}, "merge"),
    Said({"api_endpoint": {"url": URL}}, mask="api_endpoint"),
    Said({}, mask="api_endpoint.api_key"),
    Said({}, mask="*"),
    Said([{"op": "remove", "path": "/api_endpoint/api_key"}], "json_patch"),
    Said([{"op": "remove", "path": "/api_endpoint"}], "json_patch"),
]
OTHER = "https://attacker.example/v1"
CARRIES = [
    Said({"api_endpoint": {"url": OTHER, "api_key_set": True}}),
    Said({"api_endpoint": {"url": OTHER, "api_key": MASK}}),
    Said({"api_endpoint": {"url": OTHER}}, "merge"),
    Said({"api_endpoint": {"url": None}}, "merge"),
    Said({"api_endpoint": {"url": OTHER}}, mask="api_endpoint.url"),
    Said({"api_endpoint": {"url": OTHER, "api_key_set": True}}, mask="*"),
    replaced("/api_endpoint/url", OTHER),
]


@pytest.mark.parametrize("said", KEEPS, ids=repr)
def test_the_key_is_kept(model: ServedRecord, server: Server, said: Said) -> None:
    token = token_of(server, model)
    after = model.change(said)
    assert (after["api_endpoint"]["api_key_set"], after["api_endpoint"]["api_key"]) == (True, None)
    assert token_of(server, model) == token


@pytest.mark.parametrize("said", CLEARS, ids=repr)
def test_the_key_is_cleared(model: ServedRecord, server: Server, said: Said) -> None:
    endpoint = model.change(said)["api_endpoint"]
    assert endpoint is None or endpoint["api_key_set"] is False
    assert token_of(server, model) is None


@pytest.mark.parametrize("said", CARRIES, ids=repr)
def test_a_key_that_is_kept_does_not_follow_to_another_url(model: ServedRecord, server: Server, said: Said) -> None:
    token = token_of(server, model)
    assert faults(model.send(said)) == [(("body", "api_endpoint", "api_key"), "secret_required")]
    assert token_of(server, model) == token
    assert model.get()["api_endpoint"]["url"] == URL


def test_a_mask_where_no_key_is_kept_is_refused(http: httpx.Client, workspace: str) -> None:
    bare = ServedRecord(http, workspace, MODELS, {"api_endpoint": {"url": URL}})
    for said in (replaced("/api_endpoint/api_key", MASK), Said({"api_endpoint": {"api_key": MASK}}, "merge")):
        assert bare.send(said).status_code == 422


@pytest.mark.parametrize(
    "said",
    [
        Said({"spec": {**SPEC, "num_layers": 3}}),
        Said({"spec": {**SPEC, "linear_layers": None}}),
        Said({"spec": {"num_layers": 3}}, "merge"),
        Said({"spec": {"num_layers": 3}}, mask="spec.num_layers"),
        replaced("/spec/num_layers", 3),
    ],
    ids=repr,
)
def test_the_layers_are_kept(model: ServedRecord, said: Said) -> None:
    assert model.change(said)["spec"]["linear_layers"] == LAYERS


@pytest.mark.parametrize(
    "said",
    [
        Said({"spec": {**SPEC, "linear_layers": []}}),
        Said({"spec": {"linear_layers": None}}, "merge"),
        Said({"spec": SPEC}, mask="spec"),
        Said({}, mask="spec.linear_layers"),
        Said({"spec": SPEC}, mask="*"),
        Said([{"op": "remove", "path": "/spec/linear_layers"}], "json_patch"),
        replaced("/spec", SPEC),
    ],
    ids=repr,
)
def test_the_layers_are_cleared(model: ServedRecord, said: Said) -> None:
    assert not model.change(said)["spec"]["linear_layers"]
