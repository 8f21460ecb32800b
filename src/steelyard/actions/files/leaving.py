"""Which files may leave the server, and which may come into a fileset: the lookups behind `records/file_policy.py`."""

from steelyard.actions.context import Context
from steelyard.actions.files.content import identity_of
from steelyard.actions.guard import unguarded
from steelyard.errors import FileRefused
from steelyard.records.file_policy import Leaving, ModelTrust, leaving, needs_trust, policy_in, refusal_of_put, trust_of
from steelyard.records.filesets import FILESET, FileEntry
from steelyard.records.kinds import Row
from steelyard.records.models import MODEL
from steelyard.records.names import Reference
from steelyard.store.protocol import ReadTransaction

_MOST_MODELS = 10_000


async def may_leave(context: Context, fileset: Row, file: FileEntry) -> Leaving:
    """Whether a file may be handed out of a fileset, as things are at this moment."""
    scan = (file.facts or {}).get("scan")
    if scan is None and not needs_trust(file.path, None):
        return Leaving()

    async def look(tx: ReadTransaction) -> Leaving:
        workspace = await tx.find("workspace", "", fileset.workspace)
        policy = policy_in(context.policy.files, workspace.fields if workspace else None)
        models = await _models(tx, fileset) if needs_trust(file.path, scan) else []
        return leaving(policy, file.path, identity_of(file), scan, models)

    return await unguarded(context).store.read(look)


async def check_put(tx: ReadTransaction, context: Context, fileset: Row, path: str, facts: dict[str, object]) -> None:
    """Raises FileRefused if the fileset's workspace takes no file with such content."""
    scan = facts.get("scan")
    if isinstance(scan, dict):
        workspace = await tx.find("workspace", "", fileset.workspace)
        policy = policy_in(context.policy.files, workspace.fields if workspace else None)
        if refusal := refusal_of_put(policy, path, scan):
            raise FileRefused(refusal, path=path)


async def _models(tx: ReadTransaction, fileset: Row) -> list[ModelTrust]:
    home = Reference(fileset.workspace, fileset.name)
    found = await tx.referrers(FILESET.name, home, fileset.id, _MOST_MODELS)
    return [
        trust_of(f"{row.workspace}/{row.name}", row.fields)
        for row, field in found
        if row.kind == MODEL.name and field == "fileset"
    ]
