# ruff: noqa: ASYNC110 - an engine of another thread rings no bell
"""Asking a provider by hand: somebody waits for what comes of it."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from steelyard.records.providers import MODEL_PROVIDER
from tests.gateway import faults
from tests.gateway.houses import PATIENCE, QUICK, house
from tests.gateway.replies import json_reply
from tests.gateway.upstreams import Behaviour, Exchange, Upstream, upstream


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream() as engine:
        yield engine


async def _page(exchange: Exchange) -> None:
    await exchange.wait(0.1)
    await exchange.send(json_reply({"data": [{"id": "tiny"}], "has_more": True, "last_id": "tiny"}).wire)


async def test_a_refresh_tells_of_a_failure_at_once(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path, QUICK._replace(error_after=600)) as home:
        await home.provider(engine)
        await home.until(status="READY")
        engine.always = faults.failing(401)
        await home.discovery.refresh("default", "p")
        found = (await home.get(MODEL_PROVIDER, "p")).fields
        assert (found["status"], found["status_message"]) == (
            "ERROR",
            "It answered 401 to the question for its models; its key may be wrong",
        )


async def test_a_refresh_waits_for_a_silent_provider_only_so_long(tmp_path: Path, engine: Upstream) -> None:
    engine.always = faults.stalling()
    async with house(tmp_path, QUICK._replace(timeout=60, by_hand=0.3)) as home:
        await home.provider(engine, discover=False)
        async with asyncio.timeout(5):
            await home.discovery.refresh("default", "p")
        found = (await home.get(MODEL_PROVIDER, "p")).fields
        assert (found["status"], found["status_message"]) == (
            "ERROR",
            "It cannot be asked for its models: no answer within 0.3 seconds",
        )


async def test_a_refresh_waits_as_long_for_a_name_and_for_all_pages(tmp_path: Path, engine: Upstream) -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        if host == "nobody.example":
            await asyncio.Event().wait()
        return ["127.0.0.1"]

    engine.always = Behaviour("a list without an end", _page)
    async with house(tmp_path, QUICK._replace(timeout=60, by_hand=0.5), lookup) as home:
        for name, url in (("p", "http://nobody.example"), ("q", f"http://pages.example:{engine.port}")):
            await home.provider(engine, name, discover=False, host_url=url)
            async with asyncio.timeout(5):
                await home.discovery.refresh("default", name)
            found = (await home.get(MODEL_PROVIDER, name)).fields
            assert found["status"] == "ERROR"
            assert found["status_message"].endswith("no answer within 0.5 seconds")
        assert len(engine.requests) > 2


async def test_a_refresh_does_not_queue_behind_providers_that_do_not_answer(tmp_path: Path, engine: Upstream) -> None:
    async with house(tmp_path, QUICK._replace(timeout=60, concurrency=1)) as home:
        with upstream() as silent:
            silent.always = faults.stalling()
            await home.provider(silent, "silent")
            async with asyncio.timeout(PATIENCE):
                while not silent.requests:
                    await asyncio.sleep(0.01)
            await home.provider(engine, discover=False)
            async with asyncio.timeout(5):
                await home.discovery.refresh("default", "p")
            assert (await home.get(MODEL_PROVIDER, "p")).fields["status"] == "READY"
