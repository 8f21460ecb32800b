"""The actions of a server in the test's own process, on a store of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from time import time

from steelyard.actions.context import Context
from steelyard.actions.secrets import secret_reader
from steelyard.actions.workspaces import seed_workspaces
from steelyard.auth.master_keys import KeyRing
from steelyard.auth.vault import Vault
from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.staging import LocalStaging
from steelyard.outbound.policy import OutboundPolicy
from steelyard.outbound.transport import HttpTransport
from steelyard.records.identity import rising_clock, time_ago
from steelyard.records.policy import Policy
from steelyard.sources.rules import SourceRules
from steelyard.sources.sources import ConfiguredSources
from steelyard.store.sqlite import open_store


class Clock:
    """Seconds since 1970, which pass when a test says so."""

    seconds = 1_000_000_000.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def opened(folder: Path, clock: Callable[[], float] = time) -> AsyncIterator[Context]:
    """A context whose data lie in `folder`, and whose time is the clock's."""
    numbers, vault = count(1), Vault(KeyRing(b"k" * 32))
    store = open_store(folder / "steelyard.db", 1)
    sources = ConfiguredSources(HttpTransport(OutboundPolicy()), SourceRules(), secret_reader(store, vault))
    context = Context(
        store=store,
        vault=vault,
        blobs=LocalBlobs(folder / "blobs"),
        staging=LocalStaging(folder / "uploads"),
        sources=sources,
        policy=Policy(),
        now=rising_clock(clock),
        ago=time_ago(clock),
        new_id=lambda prefix: f"{prefix}-{next(numbers)}",
    )
    await seed_workspaces(context)
    try:
        yield context
    finally:
        await context.store.close()
        await context.staging.close()
        await context.blobs.close()
