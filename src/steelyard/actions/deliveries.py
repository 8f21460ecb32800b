"""The background task that sends changes to webhooks.

It follows the feed once for all of them and notes who wants which change; then each webhook is sent its changes one
after the other, several webhooks at a time. Where a webhook has come to is stored after each attempt, beside the
records: what was not stored is sent again after a restart, so a change arrives at least once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import random
from typing import Any

from steelyard.actions import attempts
from steelyard.actions.attempts import Message
from steelyard.actions.context import Context
from steelyard.actions.webhooks import find_event
from steelyard.outbound.transport import Transport
from steelyard.records.deliveries import Delivery, DeliveryRules, Follower, WebhookState, seconds_between
from steelyard.records.kinds import Row
from steelyard.records.webhooks import WEBHOOK
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_log = logging.getLogger("steelyard.webhooks")

# Under load a commit ends every few milliseconds: they are gathered, so that looking costs the writers nothing.
_GATHER_SECONDS = 0.05
_LOOK_SECONDS = 60.0
_PAUSE_SECONDS = 5.0
# How long attempts that are under way may take to end when the server stops. What is cut off is sent again.
_GRACE_SECONDS = 2.0
_PAGE = 500
_PAGES_AT_ONCE = 20
_MOST_WAITING = 1000
_MOST_BY_HAND = 100
# How far a webhook that wants little may be ahead of its stored cursor.
_UNSTORED = 1000
_FORGET_EVERY = 100


@dataclass(slots=True)
class _Followed:
    """An enabled webhook: up to where the feed has been looked at for it, and which changes it is still to be sent."""

    follower: Follower
    position: int
    stored: int
    waiting: deque[int] = field(default_factory=deque)
    task: "asyncio.Task[None] | None" = None
    sent: int = 0
    not_before: float = 0.0
    """By the clock of the event loop: after a fault of ours."""


class Deliverer:
    """Sends what happens to whoever wants to hear of it. `draw` gives numbers from 0 to 1."""

    def __init__(
        self, context: Context, transport: Transport, rules: DeliveryRules, draw: Callable[[], float] = random
    ) -> None:
        self._context = context
        self._transport = transport
        self._rules = rules
        self._draw = draw
        self._followed: dict[str, _Followed] = {}
        self._by_hand: dict[int, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(rules.concurrency)

    async def run(self) -> None:
        """Delivers until it is cancelled; then attempts under way have a moment to end."""
        try:
            while True:
                bell = self._context.store.changed.listen()
                try:
                    seconds = await self._look()
                except Exception:  # noqa: BLE001 - the outermost layer of this task: nobody else would begin it again
                    _log.exception("the deliveries could not be looked through")
                    seconds = _PAUSE_SECONDS
                await bell.wait(seconds)
                await asyncio.sleep(_GATHER_SECONDS)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        tasks = [one.task for one in self._followed.values() if one.task] + list(self._by_hand.values())
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.close()

    async def _look(self) -> float:
        """Starts what is to be done now, and answers after how many seconds there is more to do, if nothing happens."""

        async def action(tx: ReadTransaction) -> tuple[list[Follower], list[Delivery], int]:
            return await tx.followers(), await tx.waiting_deliveries(_MOST_BY_HAND), await tx.last_event()

        now = self._context.now()
        followers, by_hand, last = await self._context.store.scan(action)
        for delivery in by_hand:
            if delivery.number not in self._by_hand:
                self._start_by_hand(delivery, followers)
        await self._choose([one for one in followers if one.fields["enabled"]], last)
        more = await self._read_on(last)
        await self._store_cursors()
        wait = 0.0 if more else _LOOK_SECONDS
        for one in self._followed.values():
            if one.waiting and one.task is None:
                due = one.follower.state.next_attempt_at if one.follower.state else None
                pause = one.not_before - asyncio.get_running_loop().time()
                seconds = max(seconds_between(now, due) if due else 0.0, pause)
                if seconds > 0:
                    wait = min(wait, seconds)
                else:
                    self._start(one)
        return wait

    async def _choose(self, enabled: list[Follower], last: int) -> None:
        """Takes up the webhooks that are new, and lets go of those that are disabled or gone."""
        found = {one.id: one for one in enabled}
        for id in [id for id, one in self._followed.items() if id not in found and one.task is None]:
            del self._followed[id]
        for id, follower in found.items():
            if id in self._followed:
                self._followed[id].follower = follower
            else:
                cursor = follower.state.cursor if follower.state else await self._start_of(follower, last)
                self._followed[id] = _Followed(follower, cursor, cursor)

    async def _start_of(self, follower: Follower, last: int) -> int:
        async def action(tx: ReadTransaction) -> int | None:
            return await tx.webhook_start(follower.id)

        start = await self._context.store.scan(action)
        return last if start is None else start

    async def _read_on(self, last: int) -> bool:
        """Looks at what has happened, once for all who are at the same place; answers whether there is more."""
        for _ in range(_PAGES_AT_ONCE):
            behind = [
                one for one in self._followed.values() if one.position < last and len(one.waiting) < _MOST_WAITING
            ]
            if not behind:
                return False
            start = min(one.position for one in behind)
            here = [one for one in behind if one.position == start]
            # Not beyond the next who wait: from there on they go together.
            until = min((one.position for one in behind if one.position > start), default=last)

            async def action(tx: ReadTransaction, start: int = start) -> Any:
                return await tx.events(start, _PAGE)

            events = [event for event in await self._context.store.scan(action) if event.seq <= until]
            for event in events:
                for one in here:
                    if attempts.wants(one.follower.workspace, one.follower.fields["kinds"], event):
                        one.waiting.append(event.seq)
            for one in here:
                one.position = events[-1].seq if len(events) == _PAGE else until
        return True

    async def _store_cursors(self) -> None:
        """Stores how far the webhooks have come that have been sent nothing for long: nothing there was for them."""
        for one in self._followed.values():
            if one.task is None and not one.waiting and one.position - one.stored >= _UNSTORED:
                await self._store_cursor(one)

    async def _store_cursor(self, one: _Followed) -> None:
        async def action(tx: WriteTransaction) -> None:
            row = await tx.find(WEBHOOK.name, one.follower.workspace, one.follower.name)
            if row is not None and row.id == one.follower.id:
                state = await tx.webhook_state(row.id) or WebhookState(row.id, one.position)
                await tx.put_webhook_state(state._replace(cursor=max(state.cursor, one.position)))

        await self._context.store.write(action)
        one.stored = one.position

    def _start(self, one: _Followed) -> None:
        one.task = asyncio.create_task(self._deliver(one))
        one.task.add_done_callback(lambda task: self._ended(one, task))

    def _ended(self, one: _Followed, task: "asyncio.Task[None]") -> None:
        one.task = None
        if _failed(task):
            one.not_before = asyncio.get_running_loop().time() + _PAUSE_SECONDS

    async def _deliver(self, one: _Followed) -> None:
        """Sends a webhook what it is still to be sent, until an attempt fails."""
        while one.waiting:
            message = await self._next_message(one.follower, one.waiting[0])
            if message is None or (isinstance(message, Message) and not await self._sent(one, message)):
                return
            one.waiting.popleft()

    async def _next_message(self, follower: Follower, seq: int) -> Message | bool | None:
        """What to send now: True for a change that is not wanted (any more), None if it is not the time to send."""
        now = self._context.now()

        async def action(tx: ReadTransaction) -> Message | bool | None:
            row = await tx.find(WEBHOOK.name, follower.workspace, follower.name)
            if row is None or row.id != follower.id or not row.fields["enabled"]:
                return None
            state = await tx.webhook_state(row.id)
            # One that was deleted and brought back has no state, and hears of what happens from then on.
            settled = state.cursor if state is not None else await tx.webhook_start(row.id)
            if settled is not None and settled >= seq:
                return True
            if state is not None and state.next_attempt_at and state.next_attempt_at > now:
                return None
            event = await find_event(tx, seq)
            if event is None or not attempts.wants(row.workspace, row.fields["kinds"], event):
                return True
            return await attempts.message_of_event(tx, self._context, self._rules, row, seq) or True

        return await self._context.store.scan(action)

    async def _sent(self, one: _Followed, message: Message) -> bool:
        """Sends the first of what waits, and keeps what came of it; answers whether it was delivered."""
        seq = one.waiting[0]
        async with self._places:
            attempt = await attempts.send(self._transport, self._context, self._rules, message)
        one.sent += 1
        forget = one.sent % _FORGET_EVERY == 1

        async def action(tx: WriteTransaction) -> WebhookState | None:
            kept = await attempts.settle(tx, self._context, self._rules, message, attempt, seq=seq, draw=self._draw())
            if forget and kept is not None:
                await tx.forget_deliveries(kept.webhook_id, self._rules.kept)
            return kept

        state = await self._context.store.write(action)
        if state is None or attempt.error is not None:
            return False
        one.stored = state.cursor
        return True

    def _start_by_hand(self, delivery: Delivery, followers: list[Follower]) -> None:
        follower = next((one for one in followers if one.id == delivery.webhook_id), None)
        if follower is not None:
            task = asyncio.create_task(self._send_by_hand(delivery, follower))
            self._by_hand[delivery.number] = task
            task.add_done_callback(lambda task: self._ended_by_hand(delivery.number, task))

    def _ended_by_hand(self, number: int, task: "asyncio.Task[None]") -> None:
        # One that failed by a fault of ours stays noted: it would fail again. The next server tries it once more.
        if not _failed(task):
            del self._by_hand[number]

    async def _send_by_hand(self, delivery: Delivery, follower: Follower) -> None:
        async def read(tx: ReadTransaction) -> Message | Row | None:
            row = await tx.find(WEBHOOK.name, follower.workspace, follower.name)
            if row is None or row.id != follower.id:
                return None
            if delivery.seq is None:
                return await attempts.message_of_ping(tx, self._context, self._rules, row, delivery)
            return await attempts.message_of_event(tx, self._context, self._rules, row, delivery.seq) or row

        message = await self._context.store.scan(read)
        if message is None:
            return
        if isinstance(message, Row):  # the change has been purged since
            message = Message(message, delivery.message_id, delivery.event, "", b"", ())
            attempt = attempts.Attempt(None, "the change has been purged")
        else:
            async with self._places:
                attempt = await attempts.send(self._transport, self._context, self._rules, message)

        async def action(tx: WriteTransaction) -> None:
            await attempts.settle_by_hand(tx, self._context, message, attempt, delivery)

        await self._context.store.write(action)


def _failed(task: "asyncio.Task[None]") -> bool:
    """Whether a task ended by a fault, which is told to the log."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("a delivery failed by a fault of the server", exc_info=error)
    return error is not None
