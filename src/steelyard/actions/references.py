"""Checks that what a record refers to is there, for the references that must be."""

from steelyard.errors import BadReference, InvalidInput
from steelyard.records.names import REFERENCE_RULE, parse_reference
from steelyard.store.protocol import ReadTransaction


async def require_project(tx: ReadTransaction, workspace: str, project: str) -> None:
    """Raises InvalidInput if the workspace has no such project."""
    if not await tx.exists("project", workspace, project):
        message = f"project {project!r} does not exist in the workspace {workspace!r}; create it first"
        raise InvalidInput.of(("body", "project"), "project_missing", message)


async def require_fileset(tx: ReadTransaction, workspace: str, fileset: str | None) -> str | None:
    """The canonical reference to the fileset. Raises BadReference if there is none."""
    if fileset is None:
        return None
    if fileset == "":
        raise BadReference("a fileset reference must not be empty", field="fileset")
    reference = parse_reference(fileset, workspace)
    if reference is None:
        raise BadReference(f"not a fileset reference: {REFERENCE_RULE}", field="fileset")
    if not await tx.exists("fileset", reference.workspace, reference.name):
        raise BadReference(
            f"fileset {reference.name!r} not found in the workspace {reference.workspace!r}", field="fileset"
        )
    return str(reference)


async def require_target(
    tx: ReadTransaction, kind: str, home: str, text: str | None, place: tuple[str | int, ...]
) -> None:
    """Raises InvalidInput if `text` names a record that is not here (asked only where references are strict)."""
    reference = parse_reference(text, home) if text else None
    if reference and not await tx.exists(kind, reference.workspace, reference.name):
        message = f"there is no {kind} {str(reference)!r}, and this server asks for references that exist"
        raise InvalidInput.of(place, "reference_missing", message)
