"""The store on SQLite: a file in the data folder, one writer, a reader on the event loop and some beside it."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from steelyard.errors import StartupError
from steelyard.store.filters import register_functions
from steelyard.store.protocol import ReadTransaction, WriteTransaction
from steelyard.store.queries import Key
from steelyard.store.signal import Signal
from steelyard.store.sqlite_transaction import SqliteReadTransaction
from steelyard.store.sqlite_writer import SqliteWriter, finish
from steelyard.store.statements import load_migrations, load_statements

T = TypeVar("T")

_OLDEST_SQLITE = (3, 38, 0)  # STRICT tables, and JSON that is always there


class SqliteStore:
    """Records in one SQLite file. Made by `open_store`."""

    def __init__(self, path: Path, readers: int, *, history: bool) -> None:
        self.changed = Signal()
        self._watchers: list[Callable[[Sequence[Key]], None]] = []
        self._statements = load_statements()
        self._writer = SqliteWriter(_connect(path, read_only=False), self._statements, self._committed, history=history)
        # Reads of a few records take microseconds: less than the way to a thread and back. They share a view of the
        # database until the next commit, because to take a new one for each would cost more than to read.
        self._near_is_open = False
        self._near = _connect(path, read_only=True)
        self._near_transaction = SqliteReadTransaction(self._near, self._statements)
        self._pool: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for _ in range(readers):
            self._pool.put(_connect(path, read_only=True))
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="steelyard-read")
        self._readers = readers

    async def read(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        if not self._near_is_open:
            self._near.execute("BEGIN")
            self._near_is_open = True
        return await action(self._near_transaction)

    def watch(self, watcher: Callable[[Sequence[Key]], None]) -> None:
        self._watchers.append(watcher)

    def _committed(self, touched: Sequence[Key]) -> None:
        """Something has been committed: the view that reads share is of the past, and keeps the log long."""
        if self._near_is_open:
            self._near.execute("ROLLBACK")
            self._near_is_open = False
        if touched:
            for watcher in self._watchers:
                watcher(touched)
        self.changed.ring()

    async def scan(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._scan, action)

    def _scan(self, action: Callable[[ReadTransaction], Awaitable[T]]) -> T:
        connection = self._pool.get()
        try:
            connection.execute("BEGIN")
            try:
                return finish(action(SqliteReadTransaction(connection, self._statements)))
            finally:
                connection.execute("ROLLBACK")
        finally:
            self._pool.put(connection)

    async def write(
        self, action: Callable[[WriteTransaction], Awaitable[T]], *, heavy: bool = False, dry_run: bool = False
    ) -> T:
        return await self._writer.write(action, heavy=heavy, dry_run=dry_run)

    async def ready(self) -> bool:
        try:
            return self._near.execute("SELECT 1 FROM records LIMIT 1").fetchone() is not None
        except sqlite3.Error:
            return False

    async def close(self) -> None:
        await self._writer.close()
        self._threads.shutdown()
        self._near.close()
        for _ in range(self._readers):
            self._pool.get().close()


def open_store(path: Path, readers: int, *, history: bool = True) -> SqliteStore:
    """The store in the file `path`, made or brought up to date first. Raises StartupError."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        raise StartupError(f"this Python has SQLite {sqlite3.sqlite_version}; Steelyard needs {oldest} or newer")
    try:
        _migrate(path)
        return SqliteStore(path, readers, history=history)
    except sqlite3.DatabaseError as error:
        raise StartupError(f"the database {path} cannot be opened: {error}") from error


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit is on the disk before it is answered, also when the power fails.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA cache_size = -32768")
        # A page that changes often is written back once for many commits, and fewer commits wait for it.
        connection.execute("PRAGMA wal_autocheckpoint = 3000")
    register_functions(connection)
    return connection


def _migrate(path: Path) -> None:
    """Runs the migrations that the database has not seen, each in a transaction of its own."""
    connection = _connect(path, read_only=False)
    try:
        seen = int(connection.execute("PRAGMA user_version").fetchone()[0])
        migrations = load_migrations()
        if seen > migrations[-1][0]:
            raise StartupError(f"the database {path} was made by a newer Steelyard; use that one, or another folder")
        for number, text in migrations:
            if number > seen:
                connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")
    finally:
        connection.close()
