"""Exports and imports of what the gateway reads: providers, virtual models and limits."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from steelyard.actions.context import Caller
from steelyard.actions.perform import perform
from steelyard.actions.providers import create_provider
from steelyard.actions.virtual_models import create_virtual_model
from steelyard.records.conditions import NONE
from tests.api.paths import limits, made, models, providers, secrets, virtual_models
from tests.contexts import opened
from tests.servers import running
from tests.transfer.test_export_import import at, exported, import_, new_workspace

URL = "https://api.example.com/v1"


def _lines(text: str) -> dict[str, dict[str, Any]]:
    """The records of an export, by kind and name."""
    lines = [json.loads(line) for line in text.splitlines()[2:]]
    return {f"{line['kind']} {line['name']}": line["record"] for line in lines}


def _filled(http: httpx.Client) -> str:
    """A workspace with a record of each kind."""
    home = new_workspace(http)
    made(http, secrets(home), name="key", value="s3cret-canary")
    for name in ("m", "n"):
        made(http, models(home), name=name, pricing={"input": 1}, routing={"retries": 2})
    served = [{"model_entity_id": name, "served_model_name": f"{home}/m"} for name in ("m", "n&adapters/x")]
    made(http, providers(home), name="told", host_url=URL, discover=False, served_models=served, status="READY")
    made(
        http,
        providers(home),
        name="asked",
        host_url=URL,
        discover=True,
        api_key_secret_name="key",
        served_models=served,
    )
    weighted = [{"model": "m", "weight": 1}, {"model": "other/n"}]
    made(http, virtual_models(home), name="chat", models=weighted, fallbacks=["n"], default_model_entity="n@prod")
    made(http, limits(home), name="lim", model="m", requests_per_minute=5)
    return home


def test_an_export_names_the_own_workspace_nowhere(http: httpx.Client) -> None:
    home = _filled(http)

    text = exported(http, home)

    records = _lines(text)
    assert "s3cret-canary" not in text
    told, asked = records["model-provider told"], records["model-provider asked"]
    assert told["served_models"] == [
        {"model_entity_id": "m", "served_model_name": f"{home}/m"},
        {"model_entity_id": "n&adapters/x", "served_model_name": f"{home}/m"},
    ]
    assert "served_models" not in asked
    assert not {"status", "status_message", "auth_context"} & (told.keys() | asked.keys())
    assert asked["api_key_secret_name"] == "key"
    chat = records["virtual-model chat"]
    assert [one["model"] for one in chat["models"]] == ["m", "other/n"]
    assert (chat["fallbacks"], chat["default_model_entity"]) == (["n"], "n@prod")
    assert records["limit lim"]["model"] == "m"
    assert records["model m"]["model_providers"] == ["told", "asked"]


def test_an_import_of_it_exports_as_the_same_file(http: httpx.Client) -> None:
    home, other = _filled(http), new_workspace(http)
    text = exported(http, home)
    refused = import_(http, other, text)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_reference")
    assert http.get(providers(other)).json()["data"] == []
    made(http, secrets(other), name="key", value="another")

    assert import_(http, other, text).status_code == 200

    assert exported(http, other) == text.replace(f'"{home}"', f'"{other}"')
    replaced = import_(http, other, text, on_conflict="replace").json()
    assert (replaced["created"], replaced["updated"]) == (0, 0)


def test_a_replacement_leaves_alone_what_is_observed(http: httpx.Client) -> None:
    home = _filled(http)
    text = exported(http, home)
    served = [{"model_entity_id": "n", "served_model_name": "n"}]
    told = http.put(f"{providers(home)}/asked/status", json={"status": "LOST", "served_models": served}).json()

    assert import_(http, home, text, on_conflict="replace").json()["updated"] > 0

    asked = http.get(f"{providers(home)}/asked").json()
    assert (asked["status"], asked["served_models"]) == ("LOST", told["served_models"])


async def _provision(folder: Path) -> None:
    async with opened(folder) as context:
        served = [{"model_entity_id": "auto", "served_model_name": "auto"}]
        provider = {"name": "p", "host_url": URL, "discover": False, "served_models": served}
        await perform(context, create_provider(context, Caller(), "default", provider, NONE))
        for name, by_server in (("auto", True), ("hand", False)):
            body = {"name": name, "default_model_entity": "auto", "autoprovisioned": by_server}
            write = create_virtual_model(context, Caller(), "default", body, NONE, by_server=by_server)
            await perform(context, write)


@pytest.fixture
def provisioned(data_dir: Path) -> Path:
    """A data folder with a virtual model that the server has made by itself, and one that somebody made."""
    data_dir.mkdir()
    asyncio.run(_provision(data_dir))
    return data_dir


def test_what_the_server_provisions_can_be_left_out_taken_over_and_does_not_travel(provisioned: Path) -> None:
    with running(provisioned) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        path = virtual_models("default")

        def names(**query: str) -> list[str]:
            return sorted(one["name"] for one in http.get(path, params=query).json()["data"])

        assert names() == ["auto", "hand"]
        assert names(exclude_autoprovisioned="false") == ["auto", "hand"]
        assert names(exclude_autoprovisioned="true") == ["hand"]
        assert names(exclude_autoprovisioned="true", filter='name~"auto"') == []
        assert names(filter="autoprovisioned:true") == ["auto"]
        assert list(_lines(http.get(at("default", "export")).text)) == ["model-provider p", "virtual-model hand"]
        assert http.patch(f"{path}/auto", json={"autoprovisioned": True}).json()["revision"] == 1
        http.delete(f"{path}/auto")
        assert http.post(f"{path}/auto:undelete").json()["autoprovisioned"] is True
        assert http.patch(f"{path}/auto", json={"autoprovisioned": False}).json()["autoprovisioned"] is False
        assert names(exclude_autoprovisioned="true") == ["auto", "hand"]
