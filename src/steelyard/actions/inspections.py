"""What the files of a fileset say of the model in them: read once per content, kept, and put into models' specs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from steelyard.actions.context import Context
from steelyard.actions.files.content import StoredFiles, identity_of, verdict_of
from steelyard.actions.files.tree import MOST_FILES
from steelyard.actions.hidden import store_contents
from steelyard.errors import NotInspected
from steelyard.inspect.version import INSPECTION_VERSION
from steelyard.records.blobs import StoredInspection
from steelyard.records.filesets import Commit, FileEntry, content_digest
from steelyard.records.kinds import Fields, Row
from steelyard.records.models import MODEL
from steelyard.records.specs import overlaid, said_by_hand, with_tool_calling
from steelyard.records.trust import code_files
from steelyard.store.protocol import ReadTransaction, WriteTransaction

T = TypeVar("T")

_MOST_TRIES = 8
_MOST_MODELS = 10_000


class Content(NamedTuple):
    """What was read in the files that a fileset has now: `body` is None only where nothing more was tried."""

    commit: Commit
    digest: str
    body: Mapping[str, Any]


async def write(
    context: Context,
    action: Callable[[WriteTransaction], Awaitable[T]],
    *,
    heavy: bool = False,
    dry_run: bool = False,
) -> T:
    """Runs `action` in a transaction; where it needs a content that nobody has read, that is read first.

    Raises what `action` raises.
    """
    for _ in range(_MOST_TRIES):
        try:
            return await context.store.write(action, heavy=heavy, dry_run=dry_run)
        except NotInspected as needed:
            await inspect_fileset(context, needed.fileset)
    return await context.store.write(action, heavy=heavy, dry_run=dry_run)


async def known_content(tx: ReadTransaction, fileset: Row) -> Content:
    """What was read in a fileset's files. Raises NotInspected, upon which `write` reads them and tries again."""
    commit = await tx.head_commit(fileset.id)
    stored = await tx.inspection(commit.content) if commit and commit.content else None
    if commit is None or commit.content is None or stored is None or stored.version != INSPECTION_VERSION:
        raise NotInspected(fileset)
    return Content(commit, commit.content, stored.body)


async def inspect_fileset(context: Context, fileset: Row) -> Content | None:
    """Reads what is in a fileset now, unless the same content was read before; None if the fileset is gone."""

    async def look(tx: ReadTransaction) -> tuple[Commit, list[FileEntry]] | None:
        commit = await tx.head_commit(fileset.id)
        if commit is None:
            return None
        return commit, await tx.files_at(fileset.id, commit.number, limit=MOST_FILES)

    found = await context.store.scan(look)
    if found is None:
        return None
    commit, files = found
    digest = commit.content or content_digest((entry.path, identity_of(entry)) for entry in files)
    stored = await context.store.scan(lambda tx: tx.inspection(digest))
    known = stored is not None and stored.version == INSPECTION_VERSION
    if stored is None or not known:
        body = await _read(context, fileset, files)
        stored = StoredInspection(INSPECTION_VERSION, context.now(), body)
    elif commit.content is not None:
        return Content(commit, digest, stored.body)

    async def keep(tx: WriteTransaction) -> None:
        body = dict(stored.body)
        if body["spec"]:
            # The linear layers of a large model are long, and most who ask do not want them.
            body = await store_contents(tx, MODEL, body)
        await tx.set_commit_content(fileset.id, commit.number, digest)
        await tx.put_inspection(digest, stored._replace(body=body))

    await context.store.write(keep)
    return Content(commit, digest, stored.body)


async def _read(context: Context, fileset: Row, files: list[FileEntry]) -> dict[str, Any]:
    checkpoint = StoredFiles(context, fileset, files, asyncio.get_running_loop())
    body = await asyncio.to_thread(_inspected, checkpoint)
    body["code"] = code_files((entry.path, identity_of(entry), verdict_of(entry)) for entry in files)
    return body


def _inspected(checkpoint: StoredFiles) -> dict[str, Any]:
    # Loaded when the first checkpoint is read: a server that reads none starts without the readers.
    from steelyard.inspect.checkpoint import inspect_checkpoint  # noqa: PLC0415
    from steelyard.inspect.memory import minimum_gpus  # noqa: PLC0415

    inspection = inspect_checkpoint(checkpoint)
    body = inspection.as_document()
    if inspection.layout is not None and body["spec"]:
        needed = minimum_gpus(inspection.layout)
        body["spec"]["minimum_gpus_all_weights"] = needed.all_weights
        body["spec"]["minimum_gpus_lora"] = needed.lora
    return body


def spec_read(content: Content, fileset: Row, *, plugins: bool) -> dict[str, Any] | None:
    """The spec that the files and the metadata of a fileset say; a field that they do not say is null."""
    if not content.body["spec"]:
        return None
    spec = dict(content.body["spec"])
    storage = fileset.fields["storage"]
    known_as = storage.get("repo_id") or storage.get("target") or f"{fileset.workspace}/{fileset.name}"
    if spec.get("checkpoint_model_name") is None:
        spec["checkpoint_model_name"] = known_as
    if "embed" in known_as.lower():
        spec["is_embedding_model"] = True
    model = fileset.fields["metadata"].get("model") or {}
    return with_tool_calling(spec, model.get("tool_calling"), plugins=plugins)


def put_spec(fields: Fields, before: Fields, content: Content, fileset: Row, *, plugins: bool, sent: bool) -> None:
    """Gives the model `fields` the spec of its files; `sent` says that a user has just written one, in `fields`.

    What a user wrote wins field by field, and `spec_origin` says where it does.
    """
    read = spec_read(content, fileset, plugins=plugins)
    spec, origin = fields.get("spec"), before.get("spec_origin")
    by_hand = said_by_hand(spec, read) if spec and (sent or origin is None) else list((origin or {}).get("by_hand", ()))
    fields["spec"] = overlaid(read, spec, by_hand)
    fields["spec_origin"] = {
        "fileset": f"{fileset.workspace}/{fileset.name}",
        "commit": content.commit.id,
        "content": content.digest,
        "complete": fields["spec"] is not None,
        "by_hand": by_hand if fields["spec"] is not None else [],
    }
