"""What the store keeps of deliveries: a change once, the newest of each webhook, and nothing without its record."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.records.deliveries import Delivery, WebhookState
from steelyard.records.history import Note
from steelyard.records.kinds import Row
from steelyard.records.webhooks import WEBHOOK
from steelyard.store.protocol import ReadTransaction, WriteTransaction
from steelyard.store.sqlite import SqliteStore, open_store

AT = "2026-01-01T00:00:00.000000Z"
FIELDS = WEBHOOK.complete({"url": "https://hooks.example", "signing": {"secret": "v1.x.y"}})
ROW = Row("webhook", "webhook-1", "default", "w", 1, AT, AT, FIELDS)


def delivery(seq: int, outcome: str = "delivered", trigger: str = "feed") -> Delivery:
    return Delivery(0, ROW.id, f"m-{seq}", "model.update", seq, trigger, outcome, 1, AT)  # type: ignore[arg-type]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store with one webhook."""
    store = open_store(tmp_path / "steelyard.db", 1)

    async def make(tx: WriteTransaction) -> None:
        await tx.insert(ROW, [], Note("create", AT))

    await store.write(make)
    yield store
    await store.close()


async def test_a_webhook_starts_with_the_change_that_made_it(store: SqliteStore) -> None:
    async def look(tx: ReadTransaction) -> None:
        (follower,) = await tx.followers()
        assert (follower.id, follower.state, follower.fields["enabled"]) == (ROW.id, None, True)
        assert await tx.webhook_start(ROW.id) == await tx.last_event() == 1
        assert await tx.webhook_start("webhook-2") is None

    await store.scan(look)


async def test_old_deliveries_are_forgotten_unless_they_wait(store: SqliteStore) -> None:
    async def fill(tx: WriteTransaction) -> None:
        for seq in range(1, 11):
            await tx.put_delivery(delivery(seq, "retrying" if seq == 2 else "delivered"))
        await tx.put_delivery(delivery(3, "waiting", "redelivery"))
        await tx.forget_deliveries(ROW.id, 4)
        await tx.forget_deliveries("webhook-2", 0)

    await store.write(fill)

    async def look(tx: ReadTransaction) -> None:
        assert [one.seq for one in await tx.deliveries(ROW.id, 2**62, 100)] == [3, 10, 9, 8, 2]
        assert await tx.count_deliveries(ROW.id) == 5
        assert [one.trigger for one in await tx.waiting_deliveries(10)] == ["redelivery"]

    await store.scan(look)


async def test_a_delivery_is_one_row_however_often_it_is_tried(store: SqliteStore) -> None:
    async def twice(tx: WriteTransaction) -> Delivery | None:
        await tx.put_delivery(delivery(5, "retrying"))
        found = await tx.find_delivery(ROW.id, 5)
        assert found is not None
        await tx.put_delivery(found._replace(attempts=2, outcome="delivered", status=200))
        return await tx.find_delivery(ROW.id, 5)

    kept = await store.write(twice)
    assert kept is not None
    assert (kept.attempts, kept.outcome, kept.status) == (2, "delivered", 200)


async def test_what_is_kept_goes_with_the_webhook_and_leaves_no_trace_in_the_feed(store: SqliteStore) -> None:
    async def act(tx: WriteTransaction) -> None:
        await tx.put_webhook_state(WebhookState(ROW.id, 1))
        await tx.put_webhook_state(WebhookState(ROW.id, 9, failures=2))
        await tx.put_delivery(delivery(9))
        assert await tx.webhook_state(ROW.id) == WebhookState(ROW.id, 9, failures=2)
        assert await tx.last_event() == 1
        await tx.delete(ROW, Note("delete", AT))
        assert await tx.webhook_state(ROW.id) is None
        assert await tx.count_deliveries(ROW.id) == 0
        assert await tx.last_event() == 2

    await store.write(act)
