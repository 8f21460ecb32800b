"""Tries of a gateway, and three engines to try, for tests below HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from steelyard.gateway.attempts import AttemptFailed, Attempts, Opened
from steelyard.gateway.calls import Call
from steelyard.gateway.headers import HeaderLists
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.places import BreakerRules, Place
from steelyard.gateway.pool import PoolRules
from steelyard.gateway.table import Candidate, Target
from steelyard.gateway.timing import Patience
from steelyard.gateway.trials import Trials
from tests.gateway import faults
from tests.gateway.asked import CHAT, call, target
from tests.gateway.peers import pooled
from tests.gateway.replies import data
from tests.gateway.upstreams import Upstream

RULES = BreakerRules(failures=3, seconds=0.4, most_seconds=2.0)
OUT_OF_MEMORY = faults.mid_stream(data({"error": {"message": "out of memory"}}), after=1, more=False)
QUICK = Patience(connect=2.0, first_byte=0.4, between_chunks=0.4, total=20.0)


class House:
    """A gateway's tries, and what providers were noted for."""

    def __init__(self, trials: Trials, attempts: Attempts) -> None:
        self.trials, self.attempts = trials, attempts

    async def open(self, model: Candidate, *, stream: bool = False) -> Opened:
        """One request that has begun to be answered."""
        return await self.trials.open(now({**CHAT, "stream": stream}), model)

    async def ask(self, model: Candidate) -> Call:
        """One that is over."""
        asked = now(CHAT)
        self.attempts.closed(await self.trials.open(asked, model))
        return asked

    async def fails(self, model: Candidate) -> AttemptFailed:
        """One that does not work."""
        with pytest.raises(AttemptFailed) as failed:
            await self.ask(model)
        return failed.value


def now(body: dict[str, Any]) -> Call:
    return call(body, started=asyncio.get_running_loop().time())


@asynccontextmanager
async def house(patience: float = 5.0, noted: list[tuple[str, bool]] | None = None) -> AsyncIterator[House]:
    notes = [] if noted is None else noted
    async with pooled(PoolRules()) as pool:
        attempts = Attempts(
            pool, HeaderLists(), GatewayMetrics(), 1 << 20, lambda provider, well: notes.append((provider, well))
        )
        yield House(Trials(attempts, patience), attempts)


def at(engine: Upstream, name: str = "default/p", **fields: Any) -> Target:
    return target(engine.url, Place(name, RULES), QUICK, key=name, provider=name, **fields)


def requests_of(engines: list[Upstream]) -> list[int]:
    return [len(engine.requests) for engine in engines]
