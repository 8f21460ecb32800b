# ruff: noqa: ASYNC110 - an engine of another thread rings no bell
"""The background task that asks providers, in the test's own process, against real engines."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steelyard.actions import writes
from steelyard.actions.context import Caller
from steelyard.actions.discovery import Discovery
from steelyard.outbound.policy import OutboundPolicy
from steelyard.outbound.transport import HttpTransport
from steelyard.records.conditions import NONE
from steelyard.records.models import MODEL
from steelyard.records.patch import Said
from steelyard.records.providers import MODEL_PROVIDER
from steelyard.records.secrets import SECRET
from steelyard.records.virtual_models import VIRTUAL_MODEL
from tests.contexts import opened
from tests.gateway import faults
from tests.gateway.houses import PATIENCE, QUICK, House, house
from tests.gateway.replies import Reply, json_reply
from tests.gateway.upstreams import Upstream, upstream


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream(models=("org/Tiny-1.0", "claude-3")) as engine:
        yield engine


async def test_what_a_provider_lists_becomes_records(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        await home.provider(engine)

        provider = await home.until(status="READY")

        assert provider.fields["served_models"] == [
            {"model_entity_id": "default/org-tiny-1-0", "served_model_name": "org/Tiny-1.0"},
            {"model_entity_id": "default/claude-3", "served_model_name": "claude-3"},
        ]
        assert provider.fields["status_message"] == "The provider answers; it serves 2 models"
        tiny, claude = await home.get(MODEL, "org-tiny-1-0"), await home.get(MODEL, "claude-3")
        assert (tiny.fields["backend_format"], claude.fields["backend_format"]) == ("OPENAI_CHAT", "ANTHROPIC_MESSAGES")
        assert tiny.fields["model_providers"] == ["default/p"]
        assert "default/p" in tiny.fields["description"]
        route = await home.get(VIRTUAL_MODEL, "org-tiny-1-0")
        assert (route.fields["autoprovisioned"], route.fields["default_model_entity"]) == (True, "default/org-tiny-1-0")


async def test_asking_again_and_again_leaves_no_trace(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        await home.provider(engine)
        provider = await home.until(status="READY")
        last = await home.context.store.read(lambda tx: tx.last_event())
        engine.requests.clear()
        async with asyncio.timeout(PATIENCE):
            while len(engine.requests) < 3:
                await asyncio.sleep(0.01)

        assert await home.context.store.read(lambda tx: tx.last_event()) == last
        assert (await home.get(MODEL_PROVIDER, "p")).revision == provider.revision


async def test_the_server_writes_by_itself_and_says_why(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        await home.provider(engine)
        row = await home.until(status="READY")
        (revision,) = await home.context.store.read(lambda tx: tx.revisions(row.id, row.revision, 1))
        assert (revision.actor, revision.action) == (None, "update")
        assert revision.reason and "asked" in revision.reason


async def test_a_model_made_by_hand_is_linked_and_not_changed(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        await home.model("claude-3", description="ours", backend_format="OPENAI_CHAT", model_providers=["other"])
        await home.provider(engine)
        await home.until(status="READY")

        model = await home.get(MODEL, "claude-3")

        assert (model.fields["description"], model.fields["backend_format"]) == ("ours", "OPENAI_CHAT")
        assert model.fields["model_providers"] == ["default/other", "default/p"]


async def test_what_is_served_no_more_is_let_go(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        await home.provider(engine)
        await home.until(status="READY")
        engine.models = ("claude-3",)
        await home.until(served_models=[{"model_entity_id": "default/claude-3", "served_model_name": "claude-3"}])

        async with asyncio.timeout(PATIENCE):
            while await home.find(VIRTUAL_MODEL, "org-tiny-1-0"):
                await asyncio.sleep(0.01)
        assert (await home.get(MODEL, "org-tiny-1-0")).fields["model_providers"] == []
        assert await home.find(VIRTUAL_MODEL, "claude-3")


async def test_routes_that_somebody_made_or_extended_stay(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        body = {"name": "claude-3", "default_model_entity": "default/other"}
        await home.write(writes.create(home.context, Caller(), VIRTUAL_MODEL, "default", body, NONE))
        await home.provider(engine)
        await home.until(status="READY")
        said = Said({"fallbacks": ["default/claude-3"]})
        await home.write(writes.update(home.context, Caller(), VIRTUAL_MODEL, "default", "org-tiny-1-0", said, NONE))
        engine.models = ()
        await home.until(served_models=[])
        await asyncio.sleep(0.1)

        assert (await home.get(VIRTUAL_MODEL, "claude-3")).fields["default_model_entity"] == "default/other"
        assert await home.find(VIRTUAL_MODEL, "org-tiny-1-0")


async def test_a_route_stays_while_another_provider_serves_it(tmp_path: Path, engine: Upstream) -> None:
    with upstream(models=("claude-3",)) as second:
        async with house(tmp_path) as home:
            await home.provider(engine)
            await home.provider(second, "q")
            await home.until("p", status="READY")
            await home.until("q", status="READY")
            assert sorted((await home.get(MODEL, "claude-3")).fields["model_providers"]) == ["default/p", "default/q"]
            await home.delete("p")

            async with asyncio.timeout(PATIENCE):
                while await home.find(VIRTUAL_MODEL, "org-tiny-1-0"):
                    await asyncio.sleep(0.01)
            assert await home.find(VIRTUAL_MODEL, "claude-3")
            engine.requests.clear()
            await asyncio.sleep(0.5)
            assert engine.requests == []


async def test_a_failing_provider_is_in_error_after_a_while_and_recovers(tmp_path: Path, engine: Upstream) -> None:
    engine.always = faults.failing(500)
    async with house(tmp_path) as home:
        begun = asyncio.get_running_loop().time()
        await home.provider(engine)
        row = await home.until(status="ERROR")
        assert asyncio.get_running_loop().time() - begun >= QUICK.error_after
        assert row.fields["status_message"] == "It answered 500 to the question for its models"
        assert row.revision == 2

        engine.settle()
        home.discovery.noted("default/p", ok=True)
        assert (await home.until(status="READY")).fields["status_message"] == "The provider answers requests"


async def test_a_failing_provider_recovers_without_requests(tmp_path: Path, engine: Upstream) -> None:
    engine.refuse()
    async with house(tmp_path, QUICK._replace(error_after=0.1)) as home:
        await home.provider(engine)
        row = await home.until(status="ERROR")
        assert "no connection" in row.fields["status_message"]
        engine.settle()
        # A change of what it is asked by asks at once, whatever the pause.
        await home.change(enabled_models=["claude-3"])
        row = await home.until(status="READY")
        assert [one["served_model_name"] for one in row.fields["served_models"]] == ["claude-3"]


async def test_a_provider_that_answers_requests_is_not_in_error(tmp_path: Path, engine: Upstream) -> None:
    """It may let a key call its models, and not list them."""
    engine.always = faults.failing(403)
    async with house(tmp_path, QUICK._replace(error_after=0.2)) as home:
        await home.provider(engine)
        async with asyncio.timeout(PATIENCE):
            while not engine.requests:
                home.discovery.noted("default/p", ok=True)
                await asyncio.sleep(0.01)
        await home.until(status="READY")
        for _ in range(40):
            home.discovery.noted("default/p", ok=True)
            await asyncio.sleep(0.02)
        row = await home.get(MODEL_PROVIDER, "p")
        assert row.fields["status"] == "READY"
        assert row.revision == 2


async def test_a_provider_that_fails_requests_is_asked_soon(
    tmp_path: Path, engine: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steelyard.actions.discovery._AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("steelyard.actions.discovery._SOON_SECONDS", 0.05)
    async with house(tmp_path, QUICK._replace(interval=600)) as home:
        await home.provider(engine)
        await home.until(status="READY")
        await asyncio.sleep(0.2)
        assert len(engine.requests) == 1
        for _ in range(100):
            home.discovery.noted("default/p", ok=False)
        home.discovery.noted("default/unknown", ok=False)
        await asyncio.sleep(0.3)
        assert len(engine.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        json_reply({"error": "no such route"}, 404),
        json_reply({"models": []}),
        json_reply([1]),
        Reply(200, (("content-type", "text/html"),), (b"<html>",)),
    ],
)
async def test_a_server_without_a_list_is_ready_and_keeps_what_was_said_of_it(
    tmp_path: Path, engine: Upstream, answer: Reply
) -> None:
    engine.always = faults.reply(answer)
    async with house(tmp_path) as home:
        served = [{"model_entity_id": "default/mine", "served_model_name": "x"}]
        await home.provider(engine, served_models=served)
        row = await home.until(status="READY")
        assert row.fields["served_models"] == served
        assert "served_models" in row.fields["status_message"]


async def test_adapters_are_served_under_their_base(tmp_path: Path, engine: Upstream) -> None:
    listed = [{"id": "Llama", "parent": None}, {"id": "poems", "parent": "Llama"}, {"id": "other", "parent": "Llama"}]
    engine.always = faults.reply(json_reply({"object": "list", "data": listed}))
    async with house(tmp_path) as home:
        await home.model("llama")
        await _adapter(home)
        await home.provider(engine)
        row = await home.until(status="READY")
        assert [one["model_entity_id"] for one in row.fields["served_models"]] == [
            "default/llama",
            "default/llama&adapters/default/poems",
            "default/other",
        ]
        assert await home.find(MODEL, "poems") is None


async def _adapter(home: House) -> None:
    """The summary of an adapter in its base: what discovery looks at."""

    async def action(tx: Any) -> None:
        base = await tx.find(MODEL.name, "default", "llama")
        fields = {**base.fields, "adapters": [{"workspace": "default", "name": "poems"}]}
        await writes.change_fields(tx, home.context, Caller(), MODEL, base, fields, stored_form=True)

    await home.context.store.write(action)


async def test_the_key_goes_along_and_a_new_one_is_used_at_once(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path, QUICK._replace(interval=600)) as home:
        await home.secret("key", "first")
        await home.provider(
            engine,
            api_key_secret_name="key",
            auth_header_format="X-Api-Key: k {{ auth_secret }}",
            default_extra_headers={"Anthropic-Version": "2023-06-01"},
        )
        await home.until(status="READY")
        assert engine.requests[-1].header("x-api-key") == "k first"
        assert engine.requests[-1].header("anthropic-version") == "2023-06-01"
        said = Said({"value": "second"})
        await home.write(writes.update(home.context, Caller(), SECRET, "default", "key", said, NONE))
        async with asyncio.timeout(PATIENCE):
            while engine.requests[-1].header("x-api-key") != "k second":
                await asyncio.sleep(0.01)


async def test_a_missing_key_is_told(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        await home.secret("key", "first")
        await home.provider(engine, api_key_secret_name="key")
        await home.until(status="READY")
        await home.write(writes.delete(home.context, Caller(), SECRET, "default", "key", NONE))
        row = await home.until(status="ERROR")
        assert row.fields["status_message"] == (
            "Its key cannot be used: there is no secret 'key' in the workspace 'default'"
        )


async def test_pages_are_followed(tmp_path: Path, engine: Upstream) -> None:
    page = {"data": [{"type": "model", "id": "claude-a"}], "has_more": True, "last_id": "claude-a"}
    engine.next(faults.reply(json_reply(page)))
    async with house(tmp_path, QUICK._replace(interval=600)) as home:
        await home.provider(engine)
        row = await home.until(status="READY")
        assert len(row.fields["served_models"]) == 3
        assert engine.requests[1].path == "/v1/models?after_id=claude-a"


async def test_an_endless_list_is_a_failure(tmp_path: Path, engine: Upstream) -> None:
    engine.always = faults.ENDLESS_LINE
    async with house(tmp_path) as home:
        await home.provider(engine)
        assert "longer than" in (await home.until(status="ERROR")).fields["status_message"]


async def test_a_provider_is_left_alone_that_asks_for_it(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path) as home:
        await home.provider(engine, discover=False)
        await home.provider(engine, "q", status="DELETING")
        await asyncio.sleep(0.3)
        assert engine.requests == []
        await home.discovery.refresh("default", "p")
        assert (await home.get(MODEL_PROVIDER, "p")).fields["status"] == "READY"
        assert len(engine.requests) == 1


async def test_many_providers_are_asked_a_few_at_a_time(tmp_path: Path, engine: Upstream) -> None:
    engine.always = faults.late(0.05)
    async with house(tmp_path, QUICK._replace(interval=600, concurrency=3)) as home:
        for number in range(12):
            await home.provider(engine, f"p{number}")
        most = 0
        async with asyncio.timeout(PATIENCE):
            while len(engine.requests) < 12 or engine.busy:
                most = max(most, engine.busy)
                await asyncio.sleep(0.002)
        assert 1 < most <= 3


async def test_private_addresses_are_asked_only_where_policy_allows(tmp_path: Path, engine: Upstream) -> None:
    async with opened(tmp_path) as context:
        transport = HttpTransport(OutboundPolicy())
        discovery = Discovery(context, transport, QUICK)
        body = {"name": "p", "host_url": engine.url}
        # As it would be stored by a server with another policy.
        await context.store.write(writes.create(context, Caller(), MODEL_PROVIDER, "default", body, NONE).run)
        await discovery.refresh("default", "p")
        row = await context.store.read(lambda tx: tx.find(MODEL_PROVIDER.name, "default", "p"))
        assert row is not None
        found = row.fields
        assert found["status"] == "ERROR"
        assert "private" in found["status_message"]
        assert engine.requests == []
        await transport.close()
