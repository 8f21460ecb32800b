"""The history of a record in SQLite, where only some changes are indexed: whichever is asked for is found."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.records.history import Note, Verb
from steelyard.records.kinds import Row
from steelyard.store.protocol import WriteTransaction
from steelyard.store.sqlite import SqliteStore, open_store

_NUMBERS = [1, 2, 15, 16, 17, 31, 32, 33, 48, 49, 70]


def _at(number: int) -> str:
    return f"2026-01-01T00:00:{number % 60:02}.{number:06}Z" if number < 60 else f"2026-01-01T00:01:{number % 60:02}.0Z"


def _row(name: str, revision: int) -> Row:
    fields = {"description": f"state {revision}", "project": None}
    return Row("model", f"model-{name}", "w", name, revision, _at(1), _at(revision), fields)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = open_store(tmp_path / "db", 1)
    yield made
    await made.close()


async def _create(store: SqliteStore, name: str, revision: int = 1, verb: Verb = "create") -> None:
    async def action(tx: WriteTransaction) -> None:
        await tx.insert(_row(name, revision), [], Note(verb, _at(revision)))

    await store.write(action)


async def _update(store: SqliteStore, name: str, first: int, last: int, verb: Verb = "update") -> None:
    async def action(tx: WriteTransaction) -> None:
        for revision in range(first, last + 1):
            await tx.update(_row(name, revision), None, Note(verb, _at(revision)), ["description"])

    await store.write(action)


async def _delete(store: SqliteStore, name: str, revision: int) -> None:
    async def action(tx: WriteTransaction) -> None:
        await tx.delete(_row(name, revision), Note("delete", _at(revision + 1)))

    await store.write(action)


async def _numbers(store: SqliteStore, name: str, newest: int = 2**62, limit: int = 1000) -> list[int]:
    return [one.revision for one in await store.read(lambda tx: tx.revisions(f"model-{name}", newest, limit))]


async def _two_models(store: SqliteStore, changes: int) -> None:
    """Two models, whose changes come by turns."""
    for name in ("a", "b"):
        await _create(store, name)
    for revision in range(2, changes + 1):
        for name in ("a", "b"):
            await _update(store, name, revision, revision)


@pytest.mark.parametrize("changes", _NUMBERS)
async def test_every_revision_is_found_by_its_number(store: SqliteStore, changes: int) -> None:
    await _two_models(store, changes)
    for number in range(1, changes + 1):
        found = await store.read(lambda tx, number=number: tx.revision("model-a", number))  # type: ignore[misc]
        assert found is not None
        assert (found.record_id, found.revision) == ("model-a", number)
        assert found.fields == _row("a", number).fields
    assert await store.read(lambda tx: tx.revision("model-a", changes + 1)) is None
    assert await store.read(lambda tx: tx.revision("model-a", 0)) is None
    assert await store.read(lambda tx: tx.count_revisions("model-a")) == changes


async def test_pages_go_from_any_revision_down(store: SqliteStore) -> None:
    await _two_models(store, 70)
    assert await _numbers(store, "a") == list(range(70, 0, -1))
    for newest in range(71):
        assert await _numbers(store, "b", newest, 20) == list(range(newest, max(0, newest - 20), -1))


async def test_every_revision_is_found_by_its_time(store: SqliteStore) -> None:
    await _two_models(store, 50)
    for number in range(1, 51):
        found = await store.read(lambda tx, number=number: tx.revision_at("model-b", _at(number)))  # type: ignore[misc]
        assert found is not None
        assert found.revision == number
    assert await store.read(lambda tx: tx.revision_at("model-b", "2025-01-01T00:00:00.000000Z")) is None
    last = await store.read(lambda tx: tx.revision_at("model-b", "2027-01-01T00:00:00.000000Z"))
    assert last is not None
    assert last.revision == 50


async def test_a_history_goes_on_after_delete_and_undelete(store: SqliteStore) -> None:
    await _two_models(store, 19)
    await _delete(store, "a", 19)
    assert await _numbers(store, "a") == list(range(20, 0, -1))
    await _create(store, "a", 21, "undelete")
    assert await _numbers(store, "a") == list(range(21, 0, -1))
    await _update(store, "a", 22, 30)
    assert await _numbers(store, "a") == list(range(30, 0, -1))


async def test_a_history_goes_on_after_a_workspace_came_back(store: SqliteStore) -> None:
    await _two_models(store, 19)
    await _create(store, "new")
    note = Note("delete", _at(20), cause="workspace-w")
    await store.write(lambda tx: tx.delete_in_workspace("w", note), heavy=True)
    await _create(store, "b", 21, "undelete")
    await _update(store, "b", 22, 25)
    assert await _numbers(store, "b") == list(range(25, 0, -1))
    assert await _numbers(store, "new") == [2, 1]


async def test_what_changed_without_a_history_is_not_in_it_and_breaks_nothing(tmp_path: Path) -> None:
    first = open_store(tmp_path / "db", 1)
    await _two_models(first, 19)
    await first.close()
    silent = open_store(tmp_path / "db", 1, history=False)
    await _update(silent, "a", 20, 40)
    await _delete(silent, "b", 19)
    await silent.close()
    again = open_store(tmp_path / "db", 1)
    assert await _numbers(again, "b") == list(range(19, 0, -1))
    await _create(again, "b", 21, "undelete")
    await _update(again, "a", 41, 44)
    assert await _numbers(again, "a") == [*range(44, 40, -1), *range(19, 0, -1)]
    assert await _numbers(again, "b") == [21, *range(19, 0, -1)]
    assert await again.read(lambda tx: tx.revision("model-a", 30)) is None
    await again.close()


async def test_a_purge_removes_the_whole_history(store: SqliteStore) -> None:
    await _two_models(store, 40)
    await _delete(store, "a", 40)

    async def purge(tx: WriteTransaction) -> None:
        deleted = await tx.find_deleted("model", "w", "a")
        assert deleted is not None
        await tx.purge(deleted, Note("purge", _at(42)))

    await store.write(purge)
    assert [one.action for one in await store.read(lambda tx: tx.revisions("model-a", 2**62, 100))] == ["purge"]
    assert await store.read(lambda tx: tx.count_revisions("model-b")) == 40
    assert await _numbers(store, "b") == list(range(40, 0, -1))
