"""The one writer of a SQLite database: many actions, one commit.

Actions that arrive while a commit is being flushed to disk wait together and share the next one. The statements of an
action run on the event loop, microseconds each, between BEGIN and a COMMIT that a thread makes: the flush is what takes
long, and the only part that gives up the interpreter's lock. (A thread for the statements too would ask for that lock
back after each of them, and wait for the loop's turn to end every time.) A heavy action runs in the thread as a whole.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, TypeVar, cast

from steelyard.errors import SteelyardError, StorageFull, Unavailable
from steelyard.store.protocol import WriteTransaction
from steelyard.store.sqlite_changes import SqliteWriteTransaction

T = TypeVar("T")
Action = Callable[[WriteTransaction], Awaitable[Any]]

# How long, in seconds, a batch may hold up the event loop before it commits what it has.
_BATCH_TIME = 0.005


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


class SqliteWriter:
    """Runs actions in the order in which they come, each whole or not at all."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: Mapping[str, str],
        committed: Callable[[], None],
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

    def _next_batch(self) -> None:
        if not self._jobs:
            self._busy = False
            self._idle.set()
            return
        loop = asyncio.get_running_loop()
        outcomes: list[_Outcome] = []
        if self._jobs[0].heavy:
            committed = loop.run_in_executor(self._thread, self._run_whole, self._jobs.popleft(), outcomes)
        else:
            try:
                self._run_batch(outcomes)
            except sqlite3.Error as error:
                self._give_up(outcomes, error)
                return
            committed = loop.run_in_executor(self._thread, self._commit)
        committed.add_done_callback(lambda done: self._settle(outcomes, done.exception()))

    def _run_whole(self, job: _Job, outcomes: list[_Outcome]) -> None:
        outcomes.append(_Outcome(job))
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes[0] = self._run(job)
        self._commit()

    def _run_batch(self, outcomes: list[_Outcome]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        until = perf_counter() + _BATCH_TIME
        while self._jobs and not self._jobs[0].heavy and perf_counter() < until:
            job = self._jobs.popleft()
            if job.answer.cancelled():
                continue
            outcomes.append(_Outcome(job))
            outcomes[-1] = self._run(job)
            if not self._connection.in_transaction:
                return  # a full disk ends the whole transaction: the commit will fail, and all are told

    def _run(self, job: _Job) -> _Outcome:
        transaction = SqliteWriteTransaction(self._connection, self._statements, history=self._history)
        try:
            value = finish(job.action(transaction))
        except (
            SteelyardError,
            sqlite3.Error,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            AssertionError,
            RuntimeError,
        ) as error:
            # Whatever it is belongs to this action alone: its caller hears of it, the others of the batch do not.
            self._end(transaction, keep=False)
            return _Outcome(job, error=_named(error))
        self._end(transaction, keep=not job.dry_run)
        return _Outcome(job, value)

    def _end(self, transaction: SqliteWriteTransaction, *, keep: bool) -> None:
        """Keeps an action's changes for the commit, or takes them back."""
        if transaction.wrote and self._connection.in_transaction:
            if not keep:
                self._connection.execute("ROLLBACK TO action")
            self._connection.execute("RELEASE action")

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _settle(self, outcomes: list[_Outcome], failure: BaseException | None) -> None:
        if failure is None:
            # Before anybody is answered: who reads next must see what has been written.
            self._committed()
        for outcome in outcomes:
            answer = outcome.job.answer
            if answer.done():
                continue
            error = outcome.error or (_named(failure) if failure else None)
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(outcome.value)
        self._next_batch()

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
    return Unavailable("the database could not be written: nothing was changed; try again")
