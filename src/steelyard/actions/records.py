"""The reads that all kinds of records share: one record, and lists."""

from dataclasses import dataclass, replace

from steelyard.actions.context import Context
from steelyard.actions.hidden import load_content
from steelyard.actions.references import find_model
from steelyard.errors import InvalidParameters, NotFound
from steelyard.records.documents import content_digests, visible
from steelyard.records.history import Revision
from steelyard.records.kinds import Document, Kind, Row
from steelyard.store.protocol import ReadTransaction
from steelyard.store.queries import Query


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list. `total` counts all pages; `following` tells where the next page starts, None at the end."""

    documents: list[Document]
    total: int
    following: tuple[str, str] | None


def missing(kind: Kind, workspace: str, name: str) -> NotFound:
    """The error of a record that is not there."""
    place = f" in the workspace {workspace!r}" if workspace else ""
    return NotFound(f"{kind.title} {name!r} not found{place}")


async def get(
    context: Context, kind: Kind, workspace: str, name: str, *, verbose: bool = False
) -> tuple[Row, Document]:
    """A record and how it is shown; `verbose` shows its large values too. Raises NotFound."""

    async def action(tx: ReadTransaction) -> tuple[Row, Document]:
        row, pinned = await find_named(tx, kind, workspace, name)
        if row is not None and pinned is not None:
            past = await tx.revision(row.id, pinned)
            row = await past_row(tx, past) if past and past.fields is not None else None
        if row is None:
            raise missing(kind, workspace, name)
        return row, await shown(tx, kind, row, verbose=verbose)

    return await context.store.read(action)


async def find_named(tx: ReadTransaction, kind: Kind, workspace: str, name: str) -> tuple[Row | None, int | None]:
    """The record that a name in a path means, and the revision it is pinned to: models are found by alias too."""
    if kind.name == "model" and "@" in name:
        return await find_model(tx, workspace, name)
    return await tx.find(kind.name, workspace, name), None


async def past_row(tx: ReadTransaction, revision: Revision) -> Row:
    """The record as it was after `revision`, which is not a delete."""
    created_at, created_by = await tx.created(revision.record_id) or (revision.at, None)
    return Row(
        revision.kind,
        revision.record_id,
        revision.workspace,
        revision.name,
        revision.revision,
        created_at,
        revision.at,
        revision.fields or {},
        created_by,
        revision.actor,
    )


async def list_all(context: Context, kind: Kind, query: Query, *, verbose: bool = False) -> Listed:
    """A page of a list."""

    async def action(tx: ReadTransaction) -> Listed:
        # One row more than asked for tells whether there is another page.
        rows = await tx.select(replace(query, limit=query.limit + 1))
        more, rows = len(rows) > query.limit, rows[: query.limit]
        documents = [await shown(tx, kind, row, verbose=verbose) for row in rows]
        following = (documents[-1][query.sort], rows[-1].id) if more else None
        return Listed(documents, await tx.count(query), following)

    return await context.store.scan(action)


async def require_workspace(tx: ReadTransaction, workspace: str) -> None:
    """Raises InvalidParameters if there is no such workspace."""
    if not await tx.exists("workspace", "", workspace):
        message = f"workspace {workspace!r} does not exist; create it first"
        raise InvalidParameters.of(("path", "workspace"), "workspace_missing", message)


async def shown(tx: ReadTransaction, kind: Kind, row: Row, *, verbose: bool) -> Document:
    """How the record is answered."""
    contents = None
    if verbose:
        contents = {digest: await load_content(tx, digest) for digest in content_digests(kind, row.fields)}
    return visible(kind, row, contents=contents)
