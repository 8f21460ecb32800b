"""What SQLite keeps of the deliveries to webhooks: the part of both transactions that is about them."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from steelyard.records.deliveries import Delivery, Follower, WebhookState


class WebhookReads:
    """Reads about deliveries; part of `SqliteReadTransaction`."""

    _execute: Callable[..., sqlite3.Cursor]

    async def followers(self) -> list[Follower]:
        return [_follower(found) for found in self._execute("followers")]

    async def webhook_state(self, webhook_id: str) -> WebhookState | None:
        found = self._execute("webhook_state", (webhook_id,)).fetchone()
        return WebhookState(*found) if found else None

    async def webhook_start(self, webhook_id: str) -> int | None:
        found = self._execute("webhook_start", (webhook_id,)).fetchone()
        return int(found[0]) if found else None

    async def deliveries(self, webhook_id: str, newest: int, limit: int) -> list[Delivery]:
        rows = self._execute("deliveries", (webhook_id, newest, limit))
        return [Delivery(*found) for found in rows]

    async def count_deliveries(self, webhook_id: str) -> int:
        return int(self._execute("count_deliveries", (webhook_id,)).fetchone()[0])

    async def find_delivery(self, webhook_id: str, seq: int) -> Delivery | None:
        found = self._execute("find_delivery", (webhook_id, seq)).fetchone()
        return Delivery(*found) if found else None

    async def waiting_deliveries(self, limit: int) -> list[Delivery]:
        return [Delivery(*found) for found in self._execute("waiting_deliveries", (limit,))]


class WebhookChanges:
    """Changes of deliveries, which leave no revision; part of `SqliteWriteTransaction`."""

    _change: Callable[[str, Sequence[Any]], int]

    async def put_webhook_state(self, state: WebhookState) -> None:
        self._change("put_webhook_state", state)

    async def put_delivery(self, delivery: Delivery) -> None:
        if delivery.number:
            told = (delivery.status, delivery.error, delivery.last_attempt_at, delivery.next_attempt_at)
            self._change("update_delivery", (delivery.outcome, delivery.attempts, *told, delivery.number))
        else:
            self._change("insert_delivery", delivery[1:])

    async def forget_deliveries(self, webhook_id: str, keep: int) -> None:
        self._change("forget_deliveries", (webhook_id, keep))


def _follower(found: Sequence[Any]) -> Follower:
    workspace, name, id, revision, fields, *state = found
    return Follower(workspace, name, id, revision, orjson.loads(fields), WebhookState(*state) if state[0] else None)
