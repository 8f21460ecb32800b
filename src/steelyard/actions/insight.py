"""What is known of a model beyond its record: what was read in its files, and the memory that it takes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from steelyard.actions.context import Context
from steelyard.actions.files.content import identity_of
from steelyard.actions.files.tree import MOST_FILES
from steelyard.actions.hidden import load_content
from steelyard.actions.inspections import Content, inspect_fileset, known_content, spec_read
from steelyard.actions.records import find_named, missing, past_row
from steelyard.errors import InvalidParameters, NotInspected
from steelyard.records.filesets import FILESET, FileEntry
from steelyard.records.insight import describe_files, describe_spec
from steelyard.records.kinds import Document, Row
from steelyard.records.models import MODEL
from steelyard.records.names import parse_reference
from steelyard.store.protocol import ReadTransaction

if TYPE_CHECKING:
    from steelyard.inspect.layout import Layout
    from steelyard.inspect.memory import Memory

USUAL_CONTEXT = 4096
"""Tokens that memory is computed for where neither the caller nor the spec says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a model is to serve: see `inspect.memory.estimate`, whose parameters these are."""

    context: int | None = None
    batch: int = 1
    dtype: str | None = None
    kv_dtype: str | None = None
    gpus: int = 1
    adapter_rank: int | None = None
    adapters: int = 1


class _Known(NamedTuple):
    """A model, and what its files say: `reason` tells why they say nothing."""

    model: Row
    fileset: Row | None
    content: Content | None
    files: Sequence[FileEntry]
    reason: str | None


async def named_model(tx: ReadTransaction, workspace: str, name: str) -> Row:
    """The model of that name or alias, as it was where an alias pins it to a revision. Raises NotFound."""
    row, pinned = await find_named(tx, MODEL, workspace, name)
    if row is not None and pinned is not None:
        past = await tx.revision(row.id, pinned)
        row = await past_row(tx, past) if past and past.fields is not None else None
    if row is None:
        raise missing(MODEL, workspace, name)
    return row


async def inspect_model(context: Context, workspace: str, name: str, *, verbose: bool = False) -> Document:
    """What was read of a model's files, from where, what is missing and what is wrong; without files, what is known.

    Files that nobody has read are read now; `verbose` shows the linear layers too. Raises NotFound.
    """
    known = await _known(context, workspace, name)
    body: Mapping[str, Any] = known.content.body if known.content else {}
    read = _read_spec(context, known)
    by_hand = (known.model.fields["spec_origin"] or {}).get("by_hand", ())
    if verbose:
        read = await _with_layers(context, read)
    spec = await _with_layers(context, known.model.fields["spec"]) if verbose else known.model.fields["spec"]
    return {
        "model": f"{known.model.workspace}/{known.model.name}",
        "revision": known.model.revision,
        "fileset": known.model.fields["fileset"],
        "commit": known.content.commit.id if known.content else None,
        "content": known.content.digest if known.content else None,
        "reason": known.reason,
        "format": body.get("format", "none"),
        **describe_spec(spec, read, body, by_hand, verbose=verbose),
        "faults": body.get("faults", []),
        "read": body.get("read", []),
        "bytes_read": sum(file["nbytes"] for file in body.get("read", ())),
        **describe_files(known.model.fields, known.files, body, identity_of),
    }


async def model_memory(context: Context, workspace: str, name: str, load: Load) -> Document:
    """The memory that serving a model takes, in bytes, from the headers of its files or else from its spec.

    Raises NotFound, InvalidParameters where neither is known, InvalidInput as `inspect.memory.estimate`.
    """
    known = await _known(context, workspace, name)
    spec = await _with_layers(context, known.model.fields["spec"] or _read_spec(context, known))
    body = known.content.body if known.content else None
    if not spec and not (body and body.get("layout")):
        message = "nothing is known of the model's size: it has no spec, and no files from which one can be read"
        raise InvalidParameters.of(("path", "name"), "size_unknown", f"{message}; set its fileset, or its spec")
    document = await asyncio.to_thread(_estimated, body, spec, load)
    return {"model": f"{known.model.workspace}/{known.model.name}", **document}


def _estimated(body: Mapping[str, Any] | None, spec: Mapping[str, Any] | None, load: Load) -> Document:
    # Loaded when somebody asks: see `inspections.py`.
    from steelyard.inspect.memory import layout_of_spec  # noqa: PLC0415

    layout = _layout_read(body)
    basis = "files"
    if layout is None:
        layout, basis = layout_of_spec(spec or {}), "spec"
    stated = (spec or {}).get("context_size")
    memory = _memory(layout, load, load.context or stated or USUAL_CONTEXT)
    document = dict(memory.as_document())
    if load.context is None:
        where = "the spec's context_size" if stated else "no context is known, and this one is usual"
        document["assumed"] = [*document["assumed"], f"The context is {memory.context} tokens: {where}."]
    return {"basis": basis, **document}


def _layout_read(body: Mapping[str, Any] | None) -> "Layout | None":
    from steelyard.inspect.checkpoint import Inspection  # noqa: PLC0415

    inspection = Inspection.from_document(body) if body else None
    return inspection.layout if inspection else None


def _memory(layout: "Layout", load: Load, tokens: int) -> "Memory":
    from steelyard.inspect.memory import estimate  # noqa: PLC0415

    return estimate(
        layout,
        context=tokens,
        batch=load.batch,
        dtype=load.dtype,
        kv_dtype=load.kv_dtype,
        gpus=load.gpus,
        adapter_rank=load.adapter_rank,
        adapters=load.adapters,
    )


async def _known(context: Context, workspace: str, name: str) -> _Known:
    async def find(tx: ReadTransaction) -> tuple[Row, Row | None]:
        row = await named_model(tx, workspace, name)
        reference = parse_reference(row.fields["fileset"] or "", row.workspace)
        fileset = await tx.find(FILESET.name, reference.workspace, reference.name) if reference else None
        return row, fileset

    model, fileset = await context.store.read(find)
    named = model.fields["fileset"]
    if fileset is None:
        reason = f"the fileset {named!r} is not here" if named else "the model has no fileset"
        return _Known(model, None, None, (), f"{reason}: what is known of it was written by hand")
    if not fileset.fields["file_count"]:
        return _Known(model, fileset, None, (), f"the fileset {named!r} is empty")
    content = await _content(context, fileset)
    if content is None:
        return _Known(model, None, None, (), f"the fileset {named!r} was deleted just now")
    number = content.commit.number
    files = await context.store.scan(lambda tx: tx.files_at(fileset.id, number, limit=MOST_FILES))
    return _Known(model, fileset, content, files, None)


async def _content(context: Context, fileset: Row) -> Content | None:
    try:
        return await context.store.scan(lambda tx: known_content(tx, fileset))
    except NotInspected:
        return await inspect_fileset(context, fileset)


def _read_spec(context: Context, known: _Known) -> Mapping[str, Any] | None:
    if known.content is None or known.fileset is None:
        return None
    return spec_read(known.content, known.fileset, plugins=context.policy.allow_tool_call_plugin)


async def _with_layers(context: Context, spec: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The spec with its linear layers, which are kept beside it."""
    marker = (spec or {}).get("linear_layers")
    if spec is None or not isinstance(marker, dict):
        return spec
    layers = await context.store.scan(lambda tx: load_content(tx, marker["sha256"]))
    return {**spec, "linear_layers": layers}
