"""The writes of filesets as records; those of their files stand in `files/`."""

from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.files.commits import first_commit
from steelyard.actions.following import follow
from steelyard.actions.references import require_project
from steelyard.actions.writes import Write, Written
from steelyard.errors import BadReference, Forbidden
from steelyard.records.conditions import Conditions
from steelyard.records.filesets import FILESET
from steelyard.records.kinds import Fields, Row
from steelyard.records.patch import Said
from steelyard.records.secrets import SECRET
from steelyard.store.protocol import WriteTransaction


def create_fileset(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new fileset without files; one of a source gets them when it is synced.

    Raises InvalidInput; performed, AlreadyExists, PreconditionFailed.
    """
    return writes.create(context, caller, FILESET, workspace, body, conditions, fileset_rules)


def update_fileset(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a fileset. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    changed = writes.update(context, caller, FILESET, workspace, name, said, conditions, fileset_rules)

    async def run(tx: WriteTransaction) -> Written:
        written = await changed.run(tx)
        if written.before and written.before.fields["metadata"] != written.row.fields["metadata"]:
            await follow(tx, context, caller, written.row)
        return written

    return Write(FILESET, "update", run)


def delete_fileset(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a fileset; its bytes stay until the delete can no longer be undone.

    Performed, it raises NotFound, PreconditionFailed, StillReferenced.
    """
    return writes.delete(context, caller, FILESET, workspace, name, conditions)


async def fileset_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """A fileset begins with a commit; its project must be there, and a plugin be allowed, when it is set."""
    if not row.fields and await tx.head_commit(row.id) is None:
        fields["commit"] = (await first_commit(tx, caller, row)).id
        fields["file_count"] = fields["total_size"] = 0
    if fields["project"] and fields["project"] != row.fields.get("project"):
        await require_project(tx, row.workspace, fields["project"])
    if fields["storage"] != row.fields.get("storage"):
        check_secrets(caller, row.workspace, fields["storage"])
    tool_calling = ((fields["metadata"] or {}).get("model") or {}).get("tool_calling") or {}
    plugin = tool_calling.get("tool_call_plugin")
    before = ((row.fields.get("metadata") or {}).get("model") or {}).get("tool_calling") or {}
    if plugin and plugin != before.get("tool_call_plugin"):
        caller.require("models.tool-call-plugin.set", row.workspace)
    if plugin and not context.policy.allow_tool_call_plugin:
        raise Forbidden(
            "metadata.model.tool_calling.tool_call_plugin is code, and switched off on this server "
            "(setting models.tool_call_plugin.enabled)",
            field="metadata.model.tool_calling.tool_call_plugin",
        )


def check_secrets(caller: Caller, workspace: str, storage: Fields) -> None:
    """Raises BadReference for a secret that the caller does not see, as for one that is not there."""
    for field, text in (storage or {}).items():
        if field.endswith("_secret") and text and not caller.sees(SECRET.name, workspace, text.rpartition("/")[2]):
            raise BadReference(
                f"there is no secret {text.rpartition('/')[2]!r} in the workspace {workspace!r}",
                field=f"storage.{field}",
            )
