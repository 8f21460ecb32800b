"""Trust in a model's code: who gave it, by which rule, for which bytes; and how it is lost."""

from collections.abc import Sequence
from typing import Any

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.records.filesets import FILESET
from steelyard.records.kinds import Fields, Row
from steelyard.records.models import MODEL
from steelyard.records.names import Reference
from steelyard.records.trust import BY_CALLER, is_code, rule_for
from steelyard.store.protocol import WriteTransaction

_MOST_MODELS = 10_000


async def withdraw_trust(
    tx: WriteTransaction, context: Context, caller: Caller, fileset: Row, paths: Sequence[str]
) -> list[Reference]:
    """Takes trust from the models of `fileset` if code files, or others that were trusted, are among the `paths` that
    have changed.

    Answers which models those are; each keeps a revision that names the paths.
    """
    lost = []
    home = Reference(fileset.workspace, fileset.name)
    for model, field in await tx.referrers(FILESET.name, home, fileset.id, _MOST_MODELS):
        if model.kind != MODEL.name or field != "fileset" or not model.fields["trust_remote_code"]:
            continue
        trusted = (model.fields["trust_decision"] or {}).get("files", {})
        changed = sorted(path for path in paths if is_code(path) or path in trusted)
        if not changed:
            continue
        named = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        fields = {**model.fields, "trust_remote_code": False, "trust_decision": None}
        why = caller._replace(reason=f"code that was trusted has changed: {named}"[:1000])
        await writes.change_fields(tx, context, why, MODEL, model, fields, verb="distrust", cause=fileset.id)
        lost.append(Reference(model.workspace, model.name))
    return lost


def decide(
    context: Context,
    caller: Caller,
    workspace: str,
    fields: Fields,
    fileset: Row | None,
    code: dict[str, str],
    *,
    asked: bool,
) -> dict[str, Any] | None:
    """The decision behind `trust_remote_code` in `fields`, None where it is off; `code` are the digests of the code
    files by path, and `asked` says that the caller asks for trust in this very change.

    Trust that nobody asks for now is for the bytes that it was given to: for others, it goes out of `fields`.
    Raises Forbidden where no rule allows it.
    """
    if not fields["trust_remote_code"]:
        return None
    given: dict[str, Any] | None = fields.get("trust_decision")
    if given is not None and given["files"] == code and given["fileset"] == fields["fileset"]:
        return given
    if given is not None and not asked:
        if given["files"] == code:
            return given
        fields["trust_remote_code"] = False
        return None
    rule = rule_for(context.policy.trusted_sources, fileset.fields["storage"] if fileset else None)
    if rule == BY_CALLER:
        caller.require("models.trust-remote-code.set", workspace)
    return {
        "rule": rule,
        "decided_by": caller.name,
        "decided_at": context.now(),
        "reason": caller.reason,
        "fileset": fields["fileset"],
        "commit": fileset.fields["commit"] if fileset else None,
        "files": code,
    }
