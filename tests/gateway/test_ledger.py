"""Rows of usage on their way to the store: none waits long, none is lost in silence."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.errors import Unavailable
from steelyard.gateway.ledger import Ledger
from steelyard.records.usage import UsageQuery, UsageRow
from tests.contexts import opened
from tests.usage_rows import usage


class FailingStore:
    """A store that takes what it is given, or not, as a test says; nothing else of a store is here."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.batches: list[list[UsageRow]] = []
        self.tries = 0

    async def write(self, action: Callable[[Any], Awaitable[Any]], *, heavy: bool = False) -> None:
        self.tries += 1
        assert heavy, "so many rows must not hold up the event loop"
        await asyncio.sleep(0.01)
        if self.fault is not None:
            raise self.fault
        await action(self)

    async def add_usage(self, rows: list[UsageRow]) -> None:
        self.batches.append(list(rows))

    @property
    def rows(self) -> list[UsageRow]:
        return [row for batch in self.batches for row in batch]


def ledger(store: FailingStore, **options: Any) -> Ledger:
    return Ledger(store, **{"flush_seconds": 0.05, **options})  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


async def test_rows_are_written_together_soon_after_they_came() -> None:
    store = FailingStore()
    written = ledger(store)
    for number in range(3):
        written.add(usage(request_id=f"req-{number}"))
        await asyncio.sleep(0.005)
    assert store.batches == []
    await until(lambda: written.written == 3)
    assert [row.request_id for row in store.rows] == ["req-0", "req-1", "req-2"]
    assert len(store.batches) == 1


async def test_rows_that_come_while_others_are_written_are_written_once_too() -> None:
    store = FailingStore()
    written = ledger(store)
    for number in range(300):
        written.add(usage(request_id=str(number)))
        await asyncio.sleep(0.001)
    await written.close()
    assert [row.request_id for row in store.rows] == [str(number) for number in range(300)]
    assert (written.written, written.dropped, written.waiting) == (300, 0, 0)


async def test_many_rows_are_written_in_parts() -> None:
    store = FailingStore()
    written = ledger(store)
    for _ in range(2500):
        written.add(usage())
    await written.flush()
    assert [len(batch) for batch in store.batches] == [1000, 1000, 500]


async def test_nothing_runs_while_there_is_nothing_to_write() -> None:
    before = asyncio.all_tasks()
    written = ledger(FailingStore())
    written.add(usage())
    await until(lambda: written.waiting == 0 and asyncio.all_tasks() == before)


async def test_what_the_store_does_not_take_is_kept_and_written_when_it_does(caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore()
    store.fault = Unavailable("the database is away")
    written = ledger(store)
    written.add(usage(request_id="first"))
    await until(lambda: store.tries == 1)
    written.add(usage(request_id="second"))
    await asyncio.sleep(0.1)
    assert (written.waiting, written.dropped) == (2, 0)
    assert "2 rows of usage wait" in caplog.text or "1 rows of usage wait" in caplog.text
    store.fault = None
    await written.flush()
    assert [row.request_id for row in store.rows] == ["first", "second"]
    await written.close()


async def test_it_tries_again_by_itself_but_not_without_pause() -> None:
    store = FailingStore()
    store.fault = Unavailable("the database is away")
    written = ledger(store)
    written.add(usage())
    await asyncio.sleep(0.5)
    assert store.tries == 1  # the next one comes a second later
    store.fault = None
    await until(lambda: written.written == 1)


async def test_of_more_rows_than_memory_is_for_the_newest_are_lost_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FailingStore()
    store.fault = Unavailable("the database is away")
    written = ledger(store, most_rows=10)
    for number in range(25):
        written.add(usage(request_id=str(number)))
    assert (written.waiting, written.dropped) == (10, 15)
    store.fault = None
    await written.close()
    assert [row.request_id for row in store.rows] == [str(number) for number in range(10)]
    assert "15 rows of usage are lost" in caplog.text


async def test_a_fault_of_ours_loses_its_rows_and_not_those_after_them() -> None:
    store = FailingStore()
    store.fault = ValueError("nobody thought of this")
    written = ledger(store)
    written.add(usage())
    with pytest.raises(ValueError, match="nobody thought"):
        await written.flush()
    assert (written.waiting, written.dropped) == (0, 1)
    store.fault = None
    written.add(usage(request_id="next"))
    await until(lambda: written.written == 1)
    await written.close()


async def test_closing_writes_what_is_left_and_tells_what_it_could_not(caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore()
    store.fault = Unavailable("the database is away")
    written = ledger(store, flush_seconds=60)
    written.add(usage())
    with caplog.at_level(logging.ERROR):
        await written.close()
    assert "1 rows of usage are lost" in caplog.text
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if "Ledger" in repr(task)] == []


async def test_in_the_database_a_row_is_what_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as context:
        rows = [
            usage(at=context.now(), request_id="plain", key="k", caller="me", cache="hit", first_token_ms=12.5),
            usage(
                at=context.now(), request_id="stream", stream=True, status=502, error="outbound_failed", provider=None
            ),
            usage(at=context.now(), request_id="unknown", input=None, output=None, cost=None, upstream_dialect=None),
        ]
        written = Ledger(context.store)
        for row in rows:
            written.add(row)
        await written.close()
        query = UsageQuery()
        found = await context.store.read(lambda tx: tx.usage(query, newest_first=False, after=None, limit=10))
        assert [row for _, row in found] == rows


async def test_what_no_database_could_hold_is_held_as_well_as_can_be(tmp_path: Path) -> None:
    async with opened(tmp_path) as context:
        written = Ledger(context.store)
        written.add(usage(request_id="half \ud83d", input=10**18, output=2**60))
        written.add(usage(request_id="whole"))
        await written.close()
        query = UsageQuery()
        found = await context.store.read(lambda tx: tx.usage(query, newest_first=False, after=None, limit=10))
        assert [row.request_id for _, row in found] == ["half ?", "whole"]
        assert found[0][1].input == found[0][1].output == 2**53 - 1
        (total,) = await context.store.read(lambda tx: tx.sum_usage(query, (), 10))
        assert total.requests == 2
