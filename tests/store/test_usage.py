"""What the store keeps of usage: sums of money outlive the rows, and a restart finds them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from steelyard.actions.context import Context
from steelyard.actions.usage import all_usage, forget_usage, load_spending
from steelyard.records.usage import Spent, UsageQuery, UsageRow
from tests.contexts import Clock, opened
from tests.usage_rows import usage

DAY = 24 * 3600.0


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.seconds = 1_769_860_800.0  # 2026-01-31T12:00:00Z
    return clock


@pytest.fixture
async def context(tmp_path: Path, clock: Clock) -> AsyncIterator[Context]:
    async with opened(tmp_path, clock) as context:
        yield context


async def add(context: Context, *rows: UsageRow) -> None:
    await context.store.write(lambda tx: tx.add_usage(rows))


def on(day: str, cost: float | None, **fields: Any) -> UsageRow:
    return usage(at=f"{day}T12:00:00.000000Z", cost=cost, **fields)


async def kept(context: Context) -> list[str]:
    return [row.at[:10] async for page in await all_usage(context, UsageQuery()) for row in page]


async def test_spending_is_known_by_day_month_and_in_all(context: Context) -> None:
    await add(
        context,
        on("2025-12-31", 1.0),
        on("2026-01-01", 2.0),
        on("2026-01-31", 4.0),
        on("2026-01-31", 8.0, key="k"),
        on("2026-01-31", 16.0, model="default/big"),
        on("2026-01-31", 32.0, workspace="team"),
        on("2026-01-31", 64.0, currency="EUR"),
        on("2026-01-31", None, model="default/free"),
        on("2026-01-31", 0.0, model="default/free"),
    )
    assert sorted(await load_spending(context), key=lambda spent: spent.day) == [
        Spent("default", "default/m", None, "USD", 4.0, 6.0, 7.0),
        Spent("default", "default/m", "k", "USD", 8.0, 8.0, 8.0),
        Spent("default", "default/big", None, "USD", 16.0, 16.0, 16.0),
        Spent("team", "default/m", None, "USD", 32.0, 32.0, 32.0),
        Spent("default", "default/m", None, "EUR", 64.0, 64.0, 64.0),
    ]


async def test_rows_go_when_their_time_is_over_and_what_was_spent_stays(context: Context, clock: Clock) -> None:
    await add(context, on("2025-11-30", 1.0), on("2025-12-01", 2.0), on("2025-12-31", 4.0), on("2026-01-31", 8.0))
    before = await load_spending(context)
    assert await forget_usage(context, 30 * DAY) == 3
    assert await kept(context) == ["2026-01-31"]
    assert await load_spending(context) == before == [Spent("default", "default/m", None, "USD", 8.0, 8.0, 15.0)]
    assert await forget_usage(context, 30 * DAY) == 0
    assert await load_spending(context) == before


async def test_a_row_is_kept_until_it_is_just_older_than_its_time(context: Context, clock: Clock) -> None:
    await add(context, on("2026-01-30", 1.0))
    clock.seconds -= 1
    assert await forget_usage(context, DAY) == 0
    clock.seconds += 2
    assert await forget_usage(context, DAY) == 1


async def test_days_of_the_present_month_stay_days_however_short_rows_are_kept(context: Context, clock: Clock) -> None:
    await add(context, on("2026-01-02", 1.0), on("2026-01-31", 2.0))
    await forget_usage(context, DAY)
    (spent,) = await load_spending(context)
    assert (spent.day, spent.month, spent.total) == (2.0, 3.0, 3.0)
    clock.seconds += DAY  # the first of February
    await forget_usage(context, DAY)
    (spent,) = await load_spending(context)
    assert (spent.day, spent.month, spent.total) == (0.0, 0.0, 3.0)


async def test_late_rows_of_a_month_that_was_put_together_are_added_to_it(context: Context, clock: Clock) -> None:
    await add(context, on("2025-10-01", 1.0))
    await forget_usage(context, DAY)
    await add(context, on("2025-10-02", 2.0))
    await forget_usage(context, DAY)
    (spent,) = await load_spending(context)
    assert spent.total == 3.0


async def test_more_rows_than_one_write_removes_are_removed(context: Context) -> None:
    await add(context, *[on("2025-10-01", None)] * 6000)
    assert await forget_usage(context, DAY) == 6000


async def test_an_export_walks_over_many_pages_and_rows_of_one_moment(context: Context) -> None:
    await add(context, *[on("2026-01-30", None, request_id=str(number)) for number in range(2500)])
    pages = [page async for page in await all_usage(context, UsageQuery())]
    assert [len(page) for page in pages] == [1000, 1000, 500]
    assert [row.request_id for page in pages for row in page] == [str(number) for number in range(2500)]


async def test_an_export_ends_with_what_was_there_when_it_began(context: Context) -> None:
    await add(context, *[on("2026-01-30", None)] * 1500)
    pages = await all_usage(context, UsageQuery())
    await add(context, *[on("2026-02-01", None)] * 1500)
    assert sum([len(page) async for page in pages]) == 1500


@pytest.mark.parametrize(("count", "p50", "p95"), [(1, 1, 1), (2, 1, 2), (19, 10, 19), (20, 10, 19), (100, 50, 95)])
async def test_percentiles_are_by_the_nearest_rank(context: Context, count: int, p50: int, p95: int) -> None:
    latencies = [(7 * number) % count + 1 for number in range(count)] if count % 7 else range(1, count + 1)
    await add(context, *[on("2026-01-30", None, latency_ms=float(latency)) for latency in latencies])
    await add(context, *[on("2026-01-30", None, model="default/slow", latency_ms=10_000.0)] * 3)
    sums = await context.store.scan(lambda tx: tx.sum_usage(UsageQuery(model="default/m"), ("model",), 10))
    assert [(each.latency_p50, each.latency_p95) for each in sums] == [(p50, p95)]


@pytest.mark.parametrize(
    ("latency", "told"),
    [
        (0.123, 0.12),
        (9.876, 9.88),
        (12.34, 12.3),
        (123.4, 123.0),
        (1234.5, 1230.0),
        (99_949.0, 99_900.0),
        (1.5e6, 1.5e6),
    ],
)
async def test_percentiles_are_told_to_three_digits(context: Context, latency: float, told: float) -> None:
    await add(context, on("2026-01-30", None, latency_ms=latency))
    (found,) = await context.store.scan(lambda tx: tx.sum_usage(UsageQuery(), (), 10))
    assert (found.latency_p50, found.latency_p95, found.latency_mean) == (told, told, latency)
