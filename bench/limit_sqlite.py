"""The limit for writes: durable updates of one row each, through one SQLite writer behind bare ASGI.

Run as `uvicorn --factory bench.limit_sqlite:make_app` with BENCH_DATABASE (a file to make) and BENCH_MODELS
(the number of rows) in the environment. Each PATCH reads its row, decodes it, sets the fields, encodes it,
writes it, and is answered after the commit that holds it has been synced. No history, no events, no checks.
"""

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.limit_asgi import App, Message, Receive, Send
from bench.records import answer, name_of

_MOST_IN_ONE_COMMIT = 512


@dataclass(frozen=True)
class _Change:
    name: str
    body: bytes
    answered: asyncio.Future[bytes]


class _Writer:
    """One thread that owns the database and commits whatever has gathered while it was committing."""

    def __init__(self, database: Path, models: int, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._loop = loop
        self._waiting: queue.SimpleQueue[_Change] = queue.SimpleQueue()
        _fill(database, models)
        threading.Thread(target=self._work, daemon=True, name="writer").start()

    def patch(self, name: str, body: bytes) -> asyncio.Future[bytes]:
        """The encoded row, once it is on disk."""
        answered: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting.put(_Change(name, body, answered))
        return answered

    def _work(self) -> None:
        connection = _connect(self._database)
        while True:
            batch = list(self._gather())
            connection.execute("BEGIN IMMEDIATE")
            rows = [_apply(connection, change) for change in batch]
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_deliver, batch, rows)

    def _gather(self) -> Iterator[_Change]:
        yield self._waiting.get()
        for _ in range(_MOST_IN_ONE_COMMIT - 1):
            try:
                yield self._waiting.get_nowait()
            except queue.Empty:
                return


def make_app() -> App:
    """An application that takes PATCH on any path; the last part of the path names the row."""
    # uvicorn calls a factory from inside the loop that it will serve with
    database, models = Path(os.environ["BENCH_DATABASE"]), int(os.environ["BENCH_MODELS"])
    writer = _Writer(database, models, asyncio.get_running_loop())

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] == "PATCH":
            body = await writer.patch(scope["path"].rpartition("/")[2], await _read(receive))
        else:
            body = b'{"status":"ready"}'
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _fill(database: Path, models: int) -> None:
    connection = _connect(database)
    connection.execute("CREATE TABLE models (name TEXT PRIMARY KEY, record TEXT NOT NULL)")
    connection.execute("BEGIN")
    rows = ((name_of(number), orjson.dumps(answer(number)).decode()) for number in range(models))
    connection.executemany("INSERT INTO models VALUES (?, ?)", rows)
    connection.execute("COMMIT")
    connection.close()


def _apply(connection: sqlite3.Connection, change: _Change) -> bytes:
    (text,) = connection.execute("SELECT record FROM models WHERE name = ?", (change.name,)).fetchone()
    record = orjson.loads(text)
    record.update(orjson.loads(change.body))
    row = orjson.dumps(record)
    connection.execute("UPDATE models SET record = ? WHERE name = ?", (row.decode(), change.name))
    return row


def _deliver(batch: list[_Change], rows: list[bytes]) -> None:
    for change, row in zip(batch, rows, strict=True):
        # a client that has gone away has cancelled its future; its change is kept all the same
        if not change.answered.done():
            change.answered.set_result(row)
