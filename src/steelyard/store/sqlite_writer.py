"""The one writer of a SQLite database: many actions, one commit.

Actions that arrive while a commit is being flushed to disk wait together and share the next one. The statements of an
action run on the event loop, microseconds each, between BEGIN and a COMMIT that a thread makes: the flush is what takes
long, and the only part that gives up the interpreter's lock. (A thread for the statements too would ask for that lock
back after each of them, and wait for the loop's turn to end every time.) A heavy action runs in the thread as a whole.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple, TypeVar, cast

from steelyard.errors import SteelyardError, StorageFull, Unavailable
from steelyard.store.protocol import WriteTransaction
from steelyard.store.queries import Key
from steelyard.store.sqlite_changes import SqliteWriteTransaction
from steelyard.store.statements import Statement

T = TypeVar("T")
Action = Callable[[WriteTransaction], Awaitable[Any]]

# How long, in seconds, a batch may hold up the event loop before it commits what it has.
_BATCH_TIME = 0.005
# How many turns of the loop those who have just been answered get to send their next write. At once, the writers would
# fall into two halves, each waiting for the other's commit: twice the commits, each for half as many.
_TURNS = 4

_NOT_WRITTEN = "the database could not be written: nothing was changed; try again"


class _Job(NamedTuple):
    action: Action
    heavy: bool
    dry_run: bool
    answer: "asyncio.Future[Any]"


@dataclass(slots=True)
class _Outcome:
    job: _Job
    value: Any = None
    error: BaseException | None = None
    touched: list[Key] = field(default_factory=list)


# Whatever it is belongs to the action that raised it: its caller hears of it, the others of the batch do not.
_FAULTS = (
    SteelyardError,
    sqlite3.Error,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    RuntimeError,
)


class SqliteWriter:
    """Runs actions in the order in which they come, each whole or not at all."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: Mapping[str, Statement],
        committed: Callable[[Sequence[Key]], None],
        *,
        history: bool,
    ) -> None:
        self._connection = connection
        self._committed = committed
        self._history = history
        self._statements = statements
        self._jobs: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="steelyard-commit")
        self._busy = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def write(self, action: Callable[[WriteTransaction], Awaitable[T]], *, heavy: bool, dry_run: bool) -> T:
        """Runs `action` and answers when its changes are durable. Raises what it raises, StorageFull or Unavailable."""
        if self._closing:
            raise Unavailable("the server is stopping")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.append(_Job(action, heavy, dry_run, answer))
        if not self._busy:
            self._busy = True
            self._idle.clear()
            # Not at once: what else this turn of the loop brings goes into the same batch.
            loop.call_soon(self._next_batch)
        return await answer

    async def close(self) -> None:
        """Waits until everything that was taken is durable."""
        self._closing = True
        await self._idle.wait()
        self._thread.shutdown()
        self._connection.close()

    def _gather(self, turns: int) -> None:
        """Begins the next batch in that many turns of the loop."""
        if turns:
            asyncio.get_running_loop().call_soon(self._gather, turns - 1)
        else:
            self._next_batch()

    def _next_batch(self) -> None:
        if not self._jobs:
            self._busy = False
            self._idle.set()
            return
        outcomes: list[_Outcome] = []
        if self._jobs[0].heavy:
            committed = self._thread.submit(self._run_whole, self._jobs.popleft(), outcomes)
        else:
            try:
                self._run_batch(outcomes)
            except sqlite3.Error as error:
                self._give_up(outcomes, error)
                return
            committed = self._thread.submit(self._commit)
        # Not `run_in_executor`, which makes a second future of the first.
        loop = asyncio.get_running_loop()
        committed.add_done_callback(lambda done: loop.call_soon_threadsafe(self._settle, outcomes, done.exception()))

    def _run_whole(self, job: _Job, outcomes: list[_Outcome]) -> None:
        outcomes.append(_Outcome(job))
        self._connection.execute("BEGIN IMMEDIATE")
        self._run(outcomes[0], savepoint=True)
        self._commit()

    def _run_batch(self, outcomes: list[_Outcome], *, savepoints: bool = False) -> None:
        """Runs what waits, up to a commit. It hopes that no action fails after it has changed something; if one does,
        everything is taken back and done again, with a savepoint for each.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        until = perf_counter() + _BATCH_TIME
        while self._jobs and not self._jobs[0].heavy and perf_counter() < until:
            job = self._jobs.popleft()
            if job.answer.cancelled():
                continue
            outcome = _Outcome(job)
            outcomes.append(outcome)
            kept = self._run(outcome, savepoint=savepoints or job.dry_run)
            if not self._connection.in_transaction:
                return  # a full disk ends the whole transaction: the commit will fail, and all are told
            if not kept:
                self._connection.execute("ROLLBACK")
                self._jobs.extendleft(outcome.job for outcome in reversed(outcomes))
                outcomes.clear()
                self._run_batch(outcomes, savepoints=True)
                return

    def _run(self, outcome: _Outcome, *, savepoint: bool) -> bool:
        """Whether the transaction holds what it should: all changes of the action, or none if it failed."""
        transaction = SqliteWriteTransaction(
            self._connection, self._statements, history=self._history, savepoint=savepoint
        )
        try:
            outcome.value = finish(outcome.job.action(transaction))
        except _FAULTS as error:
            outcome.error = _named(error)
            transaction.end(keep=False)
            return savepoint or not transaction.wrote
        transaction.end(keep=not outcome.job.dry_run)
        if not outcome.job.dry_run:
            outcome.touched = transaction.touched
        return True

    def _commit(self) -> None:
        if not self._connection.in_transaction:
            raise Unavailable(_NOT_WRITTEN)
        try:
            # The method, not a statement: that would give the interpreter's lock up and ask for it back several times.
            self._connection.commit()
        except sqlite3.Error:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _settle(self, outcomes: list[_Outcome], failure: BaseException | None) -> None:
        if failure is None:
            # Before anybody is answered: who reads next must see what has been written.
            self._committed([key for outcome in outcomes for key in outcome.touched])
        for outcome in outcomes:
            answer = outcome.job.answer
            if answer.done():
                continue
            error = outcome.error or (_named(failure) if failure else None)
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(outcome.value)
        self._gather(_TURNS)

    def _give_up(self, outcomes: list[_Outcome], error: sqlite3.Error) -> None:
        """The database does not take statements any more: everything that waits is told so."""
        self._roll_back()
        waiting, self._jobs = self._jobs, deque()
        self._settle([*outcomes, *(_Outcome(job) for job in waiting)], error)


def finish(action: Awaitable[T]) -> T:
    """The result of a coroutine that never waits."""
    coroutine = cast("Coroutine[Any, Any, T]", action)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    coroutine.close()
    raise TypeError("an action waited for something other than its transaction")


def _named(error: BaseException) -> BaseException:
    """Our own error for what SQLite says by its code; any other as it is."""
    if not isinstance(error, sqlite3.OperationalError):
        return error
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("the disk is full: nothing was changed; free some space and try again")
    return Unavailable(_NOT_WRITTEN)
