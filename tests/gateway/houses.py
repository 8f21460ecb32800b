"""A store with the background task that asks providers, in the test's own process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.discovery import Discovery, DiscoveryRules
from steelyard.actions.models import create_model
from steelyard.actions.providers import create_provider, delete_provider, update_provider
from steelyard.outbound.policy import OutboundPolicy
from steelyard.outbound.transport import HttpTransport, Lookup, look_up
from steelyard.records.conditions import NONE
from steelyard.records.kinds import Kind, Row
from steelyard.records.patch import Said
from steelyard.records.providers import MODEL_PROVIDER
from steelyard.records.secrets import SECRET
from tests.contexts import opened
from tests.gateway.upstreams import Upstream

QUICK = DiscoveryRules(interval=0.3, error_after=0.4, timeout=2.0)
PATIENCE = 10.0


@dataclass
class House:
    """A store with a task that asks providers."""

    context: Context
    discovery: Discovery
    names: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    async def provider(self, engine: Upstream, name: str = "p", **fields: Any) -> None:
        body = {"name": name, "host_url": engine.url, **fields}
        await self.write(create_provider(self.context, Caller(), "default", body, NONE))

    async def change(self, name: str = "p", **fields: Any) -> None:
        await self.write(update_provider(self.context, Caller(), "default", name, Said(fields), NONE))

    async def delete(self, name: str) -> None:
        await self.write(delete_provider(self.context, Caller(), "default", name, NONE))

    async def model(self, name: str, **fields: Any) -> None:
        await self.write(create_model(self.context, Caller(), "default", {"name": name, **fields}, NONE))

    async def secret(self, name: str, value: str) -> None:
        body = {"name": name, "value": value}
        await self.write(writes.create(self.context, Caller(), SECRET, "default", body, NONE))

    async def find(self, kind: Kind, name: str) -> Row | None:
        return await self.context.store.read(lambda tx: tx.find(kind.name, "default", name))

    async def get(self, kind: Kind, name: str) -> Row:
        row = await self.find(kind, name)
        assert row is not None
        return row

    async def until(self, name: str = "p", **wanted: Any) -> Row:
        """The provider, once it is like that."""
        async with asyncio.timeout(PATIENCE):
            while True:
                row = await self.get(MODEL_PROVIDER, name)
                if all(row.fields[key] == value for key, value in wanted.items()):
                    return row
                await asyncio.sleep(0.01)

    async def write(self, write: writes.Write) -> None:
        await self.context.store.write(write.run)


@asynccontextmanager
async def house(folder: Path, rules: DiscoveryRules = QUICK, lookup: Lookup = look_up) -> AsyncIterator[House]:
    async with opened(folder) as narrow:
        context = replace(narrow, outbound=OutboundPolicy(allow_private=True))
        transport = HttpTransport(OutboundPolicy(allow_private=True), lookup=lookup)
        discovery = Discovery(context, transport, rules, draw=lambda: 0.5)
        task = asyncio.create_task(discovery.run())
        try:
            yield House(context, discovery)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
