"""Opens the gateway: makes its parts, from the settings."""

import asyncio
from collections.abc import Callable, Mapping
from time import time
from typing import Any

from steelyard.actions.context import Context
from steelyard.actions.usage import load_spending
from steelyard.gateway.attempts import Attempts
from steelyard.gateway.cache import ResponseCache
from steelyard.gateway.entry import Entry
from steelyard.gateway.gateway import Gateway, Parts
from steelyard.gateway.headers import HeaderLists
from steelyard.gateway.ledger import Ledger
from steelyard.gateway.limiter import Limiter
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.places import BreakerRules, Places
from steelyard.gateway.pool import Pool, PoolRules
from steelyard.gateway.recording import Recordings
from steelyard.gateway.table import Table
from steelyard.gateway.telemetry import Telemetry
from steelyard.gateway.timing import Patience
from steelyard.gateway.trials import Trials
from steelyard.outbound.transport import make_ssl_context
from steelyard.settings import Settings


class Opened:
    """A gateway that is open: the way in, and its end."""

    def __init__(self, entry: Entry, parts: Parts) -> None:
        self.entry = entry
        self.parts = parts

    async def close(self) -> None:
        """Ends all connections to upstreams; what was used is written down."""
        self.parts.pool.close()
        await self.parts.ledger.close()
        await self.parts.telemetry.close()
        await self.parts.recordings.close()


async def open_gateway(
    settings: Settings,
    context: Context,
    metrics: GatewayMetrics,
    telemetry: Telemetry,
    log: Callable[[Mapping[str, Any]], None],
    noted: Callable[[str, bool], None],
) -> Opened:
    """Opens the gateway. It is to be closed before the store is."""
    given, loop = settings.gateway, asyncio.get_running_loop()
    lists = HeaderLists(given.request_headers, given.answer_headers)
    places = Places(BreakerRules(given.breaker_failures, given.breaker_seconds), given.retry_budget)
    limiter = Limiter(loop.time, time, await load_spending(context))
    patience = Patience(
        given.connect_seconds, given.first_byte_seconds, given.between_chunks_seconds, given.total_seconds
    )
    pool = Pool(
        context.outbound,
        lambda: make_ssl_context(settings.outbound.ca_bundle),
        PoolRules(given.max_connections, given.idle_seconds),
    )
    attempts = Attempts(pool, lists, metrics, given.answer_bytes, noted)
    parts = Parts(
        table=Table(context, places, patience, given.retries, limiter),
        places=places,
        pool=pool,
        lists=lists,
        attempts=attempts,
        trials=Trials(attempts, given.retry_after_seconds),
        limiter=limiter,
        ledger=Ledger(
            context.store,
            flush_seconds=settings.usage.flush_milliseconds / 1000,
            most_rows=settings.usage.waiting_rows,
        ),
        cache=ResponseCache(given.cache_bytes, loop.time),
        metrics=metrics,
        telemetry=telemetry,
        recordings=Recordings(log),
        now=context.now,
    )
    _watch(metrics, parts, loop)
    return Opened(Entry(Gateway(parts), given.body_bytes), parts)


def _watch(metrics: GatewayMetrics, parts: Parts, loop: asyncio.AbstractEventLoop) -> None:
    """What is read off when somebody asks for the metrics."""
    metrics.watch("in_flight", parts.places.in_flight)
    metrics.watch("queued", parts.places.queued)
    metrics.watch("breaker_state", lambda: parts.places.breaker_states(loop.time()))
    metrics.watch("upstream_connections", lambda: parts.pool.open_connections)
    metrics.watch("cache_hits", lambda: parts.cache.hits)
    metrics.watch("cache_misses", lambda: parts.cache.misses)
    metrics.watch("cache_bytes", lambda: parts.cache.bytes)
    metrics.watch("ledger_backlog", lambda: parts.ledger.waiting)
    metrics.watch("ledger_dropped", lambda: parts.ledger.dropped)
