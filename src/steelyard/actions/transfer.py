"""Takes a workspace out as lines, and lines into a workspace."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steelyard.actions.batch import apply
from steelyard.actions.context import Caller, Context
from steelyard.actions.hidden import load_content
from steelyard.actions.records import missing
from steelyard.actions.registry import VERBS
from steelyard.actions.writes import Write
from steelyard.errors import InvalidInput, SteelyardError
from steelyard.records.conditions import NONE
from steelyard.records.documents import content_digests, whole
from steelyard.records.kinds import Document
from steelyard.records.patch import Said
from steelyard.records.registry import KINDS
from steelyard.records.transfer import EXPORT_VERSION, ORDER, exported, header
from steelyard.records.workspaces import WORKSPACE
from steelyard.store.protocol import ReadTransaction, WriteTransaction
from steelyard.store.queries import Query

_PAGE = 500
MOST_LINES = 100_000

OnConflict = Literal["refuse", "replace", "skip"]


@dataclass(slots=True)
class Imported:
    """What became of the lines of an import."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0


async def export_workspace(context: Context, workspace: str) -> AsyncIterator[Document]:
    """The lines of a workspace, in an order that depends on nothing but its records. Raises NotFound at once."""

    async def own(tx: ReadTransaction) -> Document:
        row = await tx.find(WORKSPACE.name, "", workspace)
        if row is None:
            raise missing(WORKSPACE, "", workspace)
        return exported(WORKSPACE, row, whole(WORKSPACE, row, contents={}))

    first = await context.store.read(own)

    async def lines() -> AsyncIterator[Document]:
        yield header()
        yield {key: value for key, value in first.items() if key != "name"}
        for name in ORDER[1:]:
            if name in KINDS:
                async for line in _records(context, name, workspace):
                    yield line

    return lines()


async def _records(context: Context, kind_name: str, workspace: str) -> AsyncIterator[Document]:
    kind = KINDS[kind_name]
    after: tuple[str, str] | None = None
    while True:
        query = Query(kind_name, workspace, "name", descending=False, limit=_PAGE, after=after)

        async def page(tx: ReadTransaction, query: Query = query) -> tuple[list[Document], tuple[str, str] | None]:
            rows = await tx.select(query)
            found = []
            for row in rows:
                if kind.provisioned and row.fields[kind.provisioned]:
                    continue
                contents = {digest: await load_content(tx, digest) for digest in content_digests(kind, row.fields)}
                found.append(exported(kind, row, whole(kind, row, contents=contents)))
            return found, (rows[-1].name, rows[-1].id) if len(rows) == _PAGE else None

        found, after = await context.store.scan(page)
        for line in found:
            yield line
        if after is None:
            return


def prepare_import(
    context: Context, caller: Caller, workspace: str, lines: Sequence[Any], on_conflict: OnConflict
) -> Callable[[WriteTransaction], Awaitable[Imported]]:
    """What takes the lines of an export into a workspace: all of them, or none.

    Raises InvalidInput; performed, whatever the writes raise, with the line's number (from 1) as the detail `line`.
    """
    prepared = [
        (number, _prepare(context, caller, workspace, line, number))
        for number, line in enumerate(lines, 1)
        if line is not None
    ]
    steps = [(number, step) for number, step in prepared if step is not None]

    async def run(tx: WriteTransaction) -> Imported:
        done = Imported()
        for number, (kind, name, write, create) in steps:
            try:
                await _take(tx, done, on_conflict, await tx.exists(kind, _home(kind, workspace), name), write, create)
            except SteelyardError as error:
                error.details["line"] = number
                raise
        return done

    return run


def _home(kind: str, workspace: str) -> str:
    return "" if kind == WORKSPACE.name else workspace


async def _take(
    tx: WriteTransaction, done: Imported, on_conflict: OnConflict, there: bool, write: Write, create: Write | None
) -> None:
    if there and create is not None and on_conflict == "skip":
        done.skipped += 1
        return
    written = await (create if create is not None and on_conflict == "refuse" else write).run(tx)
    if written.before is None:
        done.created += 1
    elif written.before != written.after:
        done.updated += 1
    else:
        done.unchanged += 1


def _prepare(
    context: Context, caller: Caller, workspace: str, line: Any, number: int
) -> tuple[str, str, Write, Write | None] | None:
    """Kind, name, the write that makes the record what the line says, and the one that only creates it."""
    try:
        match line:
            case {"steelyard_export": version}:
                if number != 1 or version != EXPORT_VERSION:
                    raise _bad("steelyard_export", f"only line 1 says the version, and it must be {EXPORT_VERSION}")
                return None
            case {"kind": WORKSPACE.name, "record": dict(record), **rest} if not rest:
                said = Said(record, "fields", "*")
                update = VERBS[WORKSPACE.name].update(context, caller, "", workspace, said, NONE)
                return WORKSPACE.name, workspace, update, None
            case {"kind": str(kind), "name": str(name), "record": dict(record), **rest} if kind in KINDS and not rest:
                write = apply(context, caller, KINDS[kind], workspace, name, record, NONE)
                create = VERBS[kind].create(context, caller, workspace, {**record, "name": name}, NONE)
                return kind, name, write, create
        raise _bad("kind", f"a line is an object with kind ({', '.join(KINDS)}), name and record")
    except SteelyardError as error:
        error.details["line"] = number
        raise


def _bad(field: str, message: str) -> InvalidInput:
    return InvalidInput.of(("body", field), "import_line", message)
