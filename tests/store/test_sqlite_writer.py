"""The writer of SQLite: many actions in one commit, each whole or not at all, and each caller told the truth."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.errors import AlreadyExists, NotFound, StorageFull, Unavailable
from steelyard.records.history import Note
from steelyard.records.kinds import Row
from steelyard.store.protocol import WriteTransaction
from steelyard.store.queries import Key
from steelyard.store.sqlite_writer import SqliteWriter
from steelyard.store.statements import load_migrations, load_statements

Action = Callable[[WriteTransaction], Awaitable[Any]]
_NOW = "2026-01-01T00:00:00.000000Z"


class Breakable(sqlite3.Connection):
    """A connection whose statements can be made to fail, or to wait, by their first word."""

    fails: dict[str, int]
    gates: dict[str, threading.Event]
    said: list[str]

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.say(sql.split(maxsplit=1)[0])
        return super().execute(sql, *parameters)

    def commit(self) -> None:
        self.say("COMMIT")
        super().commit()

    def say(self, word: str) -> None:
        """Waits or fails, if that has been asked for."""
        self.said.append(word)
        if word in self.gates:
            assert self.gates[word].wait(30)
        if word in self.fails:
            error = sqlite3.OperationalError("made to fail")
            error.sqlite_errorcode = self.fails[word]
            raise error


@pytest.fixture
def connection(tmp_path: Path) -> Breakable:
    """A new database."""
    made: Breakable = sqlite3.connect(tmp_path / "db", isolation_level=None, check_same_thread=False, factory=Breakable)
    made.fails, made.gates, made.said = {}, {}, []
    for _, text in load_migrations():
        made.executescript(text)
    return made


@pytest.fixture
def told() -> list[Key]:
    """What the writer has told of the records that its commits have changed."""
    return []


@pytest.fixture
async def writer(connection: Breakable, told: list[Key]) -> AsyncIterator[SqliteWriter]:
    """A writer, which is closed in the end."""
    made = SqliteWriter(connection, load_statements(), told.extend, history=True)
    yield made
    await asyncio.wait_for(made.close(), 30)


def named(name: str) -> Row:
    """A workspace of that name."""
    return Row("workspace", f"workspace-{name}", "", name, 1, _NOW, _NOW, {"description": None})


def insert(*names: str, then: BaseException | None = None) -> Action:
    """Makes workspaces, and fails after that if `then` says so."""

    async def action(tx: WriteTransaction) -> str:
        for name in names:
            await tx.insert(named(name), [], Note("create", _NOW))
        if then is not None:
            raise then
        return names[0]

    return action


async def run(writer: SqliteWriter, *actions: Action, heavy: bool = False) -> list[Any]:
    """Gives the writer all actions in one turn of the loop, and answers what each gave or raised."""
    waiting = (writer.write(action, heavy=heavy, dry_run=False) for action in actions)
    return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)


async def committing(connection: Breakable) -> None:
    """Waits until a commit has begun."""
    for _ in range(100_000):
        if "COMMIT" in connection.said:
            return
        await asyncio.sleep(0)
    raise AssertionError("nothing was committed")


def stored(tmp_path: Path) -> set[str]:
    """The names in the database, as another connection sees them: what is durable."""
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as other:
        return {name for (name,) in other.execute("SELECT name FROM records")}


async def test_actions_of_one_turn_share_a_commit(writer: SqliteWriter, connection: Breakable, tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(50)]
    assert await run(writer, *map(insert, names)) == names
    assert stored(tmp_path) == set(names)
    assert connection.said.count("COMMIT") <= 5


@pytest.mark.parametrize("heavy", [False, True])
async def test_what_is_answered_is_durable(writer: SqliteWriter, tmp_path: Path, heavy: bool) -> None:
    for number in range(10):
        assert await run(writer, insert(f"n{number}"), heavy=heavy) == [f"n{number}"]
        assert f"n{number}" in stored(tmp_path)


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        NotFound("no"),
        ValueError("no"),
        KeyError("no"),
        TypeError("no"),
        ZeroDivisionError("no"),
        AttributeError("no"),
        RecursionError("no"),
    ],
    ids=repr,
)
async def test_an_action_that_fails_takes_nothing_with_it(
    writer: SqliteWriter, tmp_path: Path, error: Exception, heavy: bool
) -> None:
    found = await run(writer, insert("a"), insert("bad", "worse", then=error), insert("b"), heavy=heavy)
    assert found == ["a", error, "b"]
    assert stored(tmp_path) == {"a", "b"}


@pytest.mark.parametrize("heavy", [False, True])
async def test_a_commit_tells_which_records_it_has_changed_before_their_writers_are_answered(
    writer: SqliteWriter, told: list[Key], heavy: bool
) -> None:
    seen_at_answer: list[list[str]] = []

    async def write(name: str, then: Exception | None = None, *, dry_run: bool = False) -> None:
        with contextlib.suppress(NotFound):
            await writer.write(insert(name, then=then), heavy=heavy, dry_run=dry_run)
        seen_at_answer.append([key.name for key in told])

    await asyncio.gather(write("a"), write("bad", NotFound("no")), write("dry", dry_run=True), write("b"))
    assert "a" in seen_at_answer[0]
    assert [key for key in told if key.kind == "workspace"] == [Key("workspace", "", "a"), Key("workspace", "", "b")]


async def test_a_name_that_is_taken_in_the_same_batch(writer: SqliteWriter, tmp_path: Path) -> None:
    found = await run(writer, insert("a"), insert("b", "a"), insert("c"))
    assert (found[0], type(found[1]), found[2]) == ("a", AlreadyExists, "c")
    assert stored(tmp_path) == {"a", "c"}


async def test_savepoints_are_set_only_when_an_action_fails_after_a_change(
    writer: SqliteWriter, connection: Breakable, tmp_path: Path
) -> None:
    await run(writer, insert("a"), insert("a"), insert(then=NotFound("no")), insert("b"))
    assert "SAVEPOINT" not in connection.said, "nothing had to be taken back"
    await run(writer, insert("c"), insert("bad", then=NotFound("no")), insert("d"), insert("e"))
    assert connection.said.count("SAVEPOINT") == 4
    assert connection.said.count("COMMIT") == 2
    assert stored(tmp_path) == {"a", "b", "c", "d", "e"}


async def test_a_transaction_that_sqlite_has_ended_is_told_to_all(
    writer: SqliteWriter, connection: Breakable, tmp_path: Path
) -> None:
    async def ends(tx: WriteTransaction) -> None:
        connection.execute("ROLLBACK")  # as SQLite does by itself when the disk is full

    found = await run(writer, insert("a"), ends)
    assert [type(one) for one in found] == [Unavailable, Unavailable]
    assert stored(tmp_path) == set()
    assert await run(writer, insert("a")) == ["a"]


async def test_an_action_sees_those_before_it(writer: SqliteWriter) -> None:
    async def look(tx: WriteTransaction) -> bool:
        return await tx.exists("workspace", "", "a")

    assert await run(writer, look, insert("a"), look) == [False, "a", True]


@pytest.mark.parametrize("heavy", [False, True])
async def test_a_dry_run_leaves_nothing(writer: SqliteWriter, tmp_path: Path, heavy: bool) -> None:
    dry = writer.write(insert("dry"), heavy=heavy, dry_run=True)
    found = await asyncio.gather(writer.write(insert("a"), heavy=False, dry_run=False), dry)
    assert list(found) == ["a", "dry"]
    assert stored(tmp_path) == {"a"}


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("statement", ["BEGIN", "COMMIT"])
@pytest.mark.parametrize(
    ("code", "error"),
    [(sqlite3.SQLITE_FULL, StorageFull), (sqlite3.SQLITE_IOERR, Unavailable), (sqlite3.SQLITE_BUSY, Unavailable)],
)
async def test_a_commit_that_fails_is_told_to_all(
    writer: SqliteWriter,
    connection: Breakable,
    tmp_path: Path,
    statement: str,
    code: int,
    error: type[Exception],
    heavy: bool,
) -> None:
    connection.fails[statement] = code
    found = await run(writer, insert("a"), insert("b"), heavy=heavy)
    assert [type(one) for one in found] == [error, error]
    assert stored(tmp_path) == set()
    connection.fails.clear()
    assert await run(writer, insert("a")) == ["a"]
    assert stored(tmp_path) == {"a"}


async def test_an_action_that_waits_for_something_else_is_a_fault(writer: SqliteWriter, tmp_path: Path) -> None:
    async def waits(tx: WriteTransaction) -> None:
        await asyncio.sleep(0)

    found = await run(writer, waits, insert("a"))
    assert isinstance(found[0], TypeError)
    assert stored(tmp_path) == {"a"}


async def test_heavy_and_light_actions_keep_their_order(writer: SqliteWriter) -> None:
    order: list[int] = []

    def note(number: int) -> Action:
        async def action(tx: WriteTransaction) -> None:
            order.append(number)

        return action

    heavy = {2, 3, 7}
    await asyncio.gather(*(writer.write(note(number), heavy=number in heavy, dry_run=False) for number in range(10)))
    assert order == list(range(10))


async def test_a_heavy_action_leaves_the_loop_free(writer: SqliteWriter) -> None:
    gate = threading.Event()

    async def long(tx: WriteTransaction) -> bool:
        return gate.wait(30)

    waiting = asyncio.ensure_future(writer.write(long, heavy=True, dry_run=False))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    assert await asyncio.wait_for(waiting, 30) is True


async def test_a_caller_that_gives_up_before_its_turn(
    writer: SqliteWriter, connection: Breakable, tmp_path: Path
) -> None:
    gate = connection.gates["COMMIT"] = threading.Event()
    first = asyncio.ensure_future(writer.write(insert("first"), heavy=False, dry_run=False))
    await committing(connection)
    quitter = asyncio.ensure_future(writer.write(insert("quitter"), heavy=False, dry_run=False))
    patient = asyncio.ensure_future(writer.write(insert("patient"), heavy=False, dry_run=False))
    await asyncio.sleep(0)
    quitter.cancel()
    gate.set()
    assert list(await asyncio.wait_for(asyncio.gather(first, patient), 30)) == ["first", "patient"]
    assert quitter.cancelled()
    assert stored(tmp_path) == {"first", "patient"}


async def test_a_caller_that_gives_up_during_the_commit(
    writer: SqliteWriter, connection: Breakable, tmp_path: Path
) -> None:
    gate = connection.gates["COMMIT"] = threading.Event()
    quitter = asyncio.ensure_future(writer.write(insert("quitter"), heavy=False, dry_run=False))
    patient = asyncio.ensure_future(writer.write(insert("patient"), heavy=False, dry_run=False))
    await committing(connection)
    quitter.cancel()
    gate.set()
    assert await asyncio.wait_for(patient, 30) == "patient"
    assert stored(tmp_path) == {"quitter", "patient"}  # it was under way: done, though nobody hears of it
    assert await run(writer, insert("next")) == ["next"]


async def test_closing_waits_for_what_was_taken(connection: Breakable, tmp_path: Path) -> None:
    writer = SqliteWriter(connection, load_statements(), lambda _touched: None, history=True)
    gate = connection.gates["COMMIT"] = threading.Event()
    names = [f"n{number}" for number in range(5)]
    writes = [asyncio.ensure_future(writer.write(insert(name), heavy=False, dry_run=False)) for name in names]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(writer.close())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not closing.done()
    with pytest.raises(Unavailable):
        await writer.write(insert("late"), heavy=False, dry_run=False)
    gate.set()
    await asyncio.wait_for(closing, 30)
    assert await asyncio.gather(*writes) == names
    assert stored(tmp_path) == set(names)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
