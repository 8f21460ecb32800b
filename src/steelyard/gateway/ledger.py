"""Writes down what was used: a request only leaves its row here, and rows go to the store together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from steelyard.errors import SteelyardError
from steelyard.records.usage import UsageRow
from steelyard.store.protocol import Store, WriteTransaction

_log = logging.getLogger("steelyard.usage")

# How many rows one write takes: other writers wait for it.
_BATCH = 1000
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0


class Ledger:
    """Rows on their way to the store, which gets them at most `flush_seconds` after they came.

    While it does not take any, up to `most_rows` are kept; more are lost, and counted in `dropped`.
    """

    def __init__(self, store: Store, *, flush_seconds: float = 0.25, most_rows: int = 100_000) -> None:
        self._store = store
        self._seconds = flush_seconds
        self._most = most_rows
        self._rows: list[UsageRow] = []
        self._task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self.written = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many rows are not written yet."""
        return len(self._rows)

    def add(self, row: UsageRow) -> None:
        """Takes a row; it is written soon, in the background."""
        if len(self._rows) >= self._most:
            self.dropped += 1
            return
        self._rows.append(row)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_soon())

    async def flush(self) -> bool:
        """Writes all that has been added, and answers whether the store took it."""
        async with self._writing:
            while batch := self._rows[:_BATCH]:
                done = "lost"
                try:
                    await self._store.write(_adding(batch), heavy=True)
                    done = "written"
                except SteelyardError as error:
                    _log.warning("%d rows of usage wait to be written: %s", len(self._rows), error.message)
                    done = "waiting"
                    return False
                finally:
                    # A fault of ours would be one again at the next try: its rows must not hold up the others.
                    if done != "waiting":
                        del self._rows[: len(batch)]
                        self.written += len(batch) if done == "written" else 0
                        self.dropped += len(batch) if done == "lost" else 0
        return True

    async def close(self) -> None:
        """Writes what is left, before the store is closed; what it does not take now is lost."""
        if not await self.flush():
            self.dropped += len(self._rows)
            self._rows.clear()
        if self._task is not None:
            self._task.cancel()
        if self.dropped:
            _log.error("%d rows of usage are lost: the database could not be written", self.dropped)

    async def _write_soon(self) -> None:
        """Writes until nothing is left: this task is there only while there are rows."""
        wait = self._seconds
        try:
            while self._rows:
                await asyncio.sleep(wait)
                wait = self._seconds if await self.flush() else min(max(2 * wait, _FIRST_WAIT), _LONGEST_WAIT)
        finally:
            self._task = None


def _adding(rows: Sequence[UsageRow]) -> Callable[[WriteTransaction], Awaitable[None]]:
    async def action(tx: WriteTransaction) -> None:
        await tx.add_usage(rows)

    return action
