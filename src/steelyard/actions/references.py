"""Checks that what a record refers to is there, for the references that must be."""

from collections.abc import AsyncIterator

from steelyard.actions.context import Caller
from steelyard.errors import BadReference, InvalidInput
from steelyard.records.aliases import ALIAS
from steelyard.records.kinds import Row
from steelyard.records.model_names import parse_model_name
from steelyard.records.models import model_kind
from steelyard.records.names import REFERENCE_RULE, Reference, parse_reference
from steelyard.store.protocol import ReadTransaction

_LONGEST_LINE = 1000


async def require_project(tx: ReadTransaction, workspace: str, project: str) -> None:
    """Raises InvalidInput if the workspace has no such project."""
    if not await tx.exists("project", workspace, project):
        message = f"project {project!r} does not exist in the workspace {workspace!r}; create it first"
        raise InvalidInput.of(("body", "project"), "project_missing", message)


async def require_fileset(tx: ReadTransaction, caller: Caller, workspace: str, fileset: str | None) -> str | None:
    """The canonical reference to the fileset. Raises BadReference if there is none, as far as the caller sees."""
    if fileset is None:
        return None
    if fileset == "":
        raise BadReference("a fileset reference must not be empty", field="fileset")
    reference = parse_reference(fileset, workspace)
    if reference is None:
        raise BadReference(f"not a fileset reference: {REFERENCE_RULE}", field="fileset")
    if not await _there(tx, caller, "fileset", reference):
        raise BadReference(
            f"fileset {reference.name!r} not found in the workspace {reference.workspace!r}", field="fileset"
        )
    return str(reference)


async def require_filled_fileset(tx: ReadTransaction, caller: Caller, workspace: str, fileset: str) -> tuple[str, Row]:
    """The canonical reference to a fileset that holds a file, and the fileset. Raises BadReference."""
    canonical = await require_fileset(tx, caller, workspace, fileset)
    reference = parse_reference(canonical or "", workspace)
    row = await tx.find("fileset", reference.workspace, reference.name) if reference else None
    if canonical is None or row is None:
        raise BadReference("a fileset reference must not be empty", field="fileset")
    if not row.fields["file_count"]:
        raise BadReference(f"fileset {canonical!r} exists but is empty; put files into it first", field="fileset")
    return canonical, row


async def require_target(
    tx: ReadTransaction, caller: Caller, kind: str, home: str, text: str | None, place: tuple[str | int, ...]
) -> None:
    """Raises InvalidInput if `text` names a record that is not here (asked only where references are strict)."""
    reference = parse_reference(text, home) if text else None
    if reference and not await _there(tx, caller, kind, reference):
        message = f"there is no {kind} {str(reference)!r}, and this server asks for references that exist"
        raise InvalidInput.of(place, "reference_missing", message)


async def _there(tx: ReadTransaction, caller: Caller, kind: str, reference: Reference) -> bool:
    """Whether a record is there for the caller: one that they do not see is as one that is not."""
    home, name = reference.workspace, reference.name
    return caller.sees(kind, home, name) and await tx.exists(kind, home, name)


async def require_model(
    tx: ReadTransaction, caller: Caller, home: str, text: str, place: tuple[str | int, ...]
) -> None:
    """The same for the name of a model, an alias, or a model with an adapter."""
    name = parse_model_name(text, home)
    for link in name.links("") if name else ():
        await require_target(tx, caller, link.target_kind, home, str(link.target), place)


async def resolve_model(tx: ReadTransaction, reference: Reference) -> Reference:
    """The model that a reference names: itself, or what the alias stands for (which may be missing)."""
    if model_kind(reference) == ALIAS.name:
        alias = await tx.find(ALIAS.name, reference.workspace, reference.name)
        if alias is not None:
            return parse_reference(alias.fields["model"], alias.workspace) or reference
    return reference


async def find_model(tx: ReadTransaction, workspace: str, name: str) -> tuple[Row | None, int | None]:
    """The model of that name, or the one that the alias of that name stands for, with the revision it is pinned to."""
    if "@" not in name:
        return await tx.find("model", workspace, name), None
    alias = await tx.find(ALIAS.name, workspace, name)
    target = parse_reference(alias.fields["model"], workspace) if alias else None
    if alias is None or target is None:
        return None, None
    return await tx.find("model", target.workspace, target.name), alias.fields["model_revision"]


async def ancestors(tx: ReadTransaction, reference: Reference) -> AsyncIterator[Reference]:
    """The model that a reference names, its base model, that one's, and so on, as far as they are here."""
    seen: set[Reference] = set()
    while (model := await resolve_model(tx, reference)) not in seen and len(seen) < _LONGEST_LINE:
        seen.add(model)
        yield model
        row = await tx.find("model", model.workspace, model.name)
        base = parse_reference(row.fields["base_model"], row.workspace) if row and row.fields["base_model"] else None
        if base is None:
            return
        reference = base


async def check_ancestry(
    tx: ReadTransaction, caller: Caller, row: Row, base_model: str, place: tuple[str | int, ...]
) -> None:
    """Raises InvalidInput if the model `row`, with that base model, would become its own ancestor.

    What lies behind a model that the caller does not see is not told: whoever walks the line stops where it closes.
    """
    base = parse_reference(base_model, row.workspace)
    if base is None:
        return
    async for ancestor in ancestors(tx, base):
        if ancestor == Reference(row.workspace, row.name):
            message = f"{base_model!r} is itself made from {str(ancestor)!r}: a model cannot be its own ancestor"
            raise InvalidInput.of(place, "reference", message)
        if not caller.sees("model", ancestor.workspace, ancestor.name):
            return
