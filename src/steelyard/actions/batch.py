"""Many writes at once: in one transaction, all or nothing; or each for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steelyard.actions import history
from steelyard.actions.context import Caller, Context
from steelyard.actions.perform import perform, perform_for_show
from steelyard.actions.preview import Preview, preview
from steelyard.actions.registry import VERBS
from steelyard.actions.writes import Write, Written
from steelyard.errors import InvalidInput, SteelyardError
from steelyard.records.conditions import Conditions, parse_conditions
from steelyard.records.dialects import EVERYTHING, MASK
from steelyard.records.kinds import Document, Kind, Row, split_path
from steelyard.records.patch import Said
from steelyard.records.registry import KINDS
from steelyard.store.protocol import WriteTransaction

MOST_OPERATIONS = 1000

Verb = Literal["create", "update", "apply", "delete", "undelete", "revert"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One write of a batch, on the record `name` of the kind `kind` in the batch's workspace."""

    op: Verb
    kind: str
    name: str
    body: Any = None
    if_match: str | None = None
    if_none_match: str | None = None
    dialect: Literal["fields", "merge", "json_patch"] = "fields"
    update_mask: str | None = None
    revision: int | None = None

    @property
    def conditions(self) -> Conditions:
        """What the caller believes of the record. Raises InvalidParameters."""
        return parse_conditions(self.if_match, self.if_none_match)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an operation: what it wrote (with a preview in a dry run), or why it did not."""

    written: Written | None = None
    preview: Preview | None = None
    error: SteelyardError | None = None


def prepare(context: Context, caller: Caller, workspace: str, operation: Operation) -> Write:
    """The write that an operation asks for. Raises InvalidInput and what the kind's verbs raise."""
    kind, verbs, name = KINDS[operation.kind], VERBS[operation.kind], operation.name
    conditions = operation.conditions
    match operation.op:
        case "create":
            return verbs.create(context, caller, workspace, _named(operation.body, name), conditions)
        case "update":
            said = Said(operation.body, operation.dialect, operation.update_mask)
            return verbs.update(context, caller, workspace, name, said, conditions)
        case "apply":
            return apply(context, caller, kind, workspace, name, operation.body, conditions)
        case "delete":
            return verbs.delete(context, caller, workspace, name, conditions)
        case "undelete":
            return history.undelete(context, caller, kind, workspace, name, conditions, verbs.rules)
        case "revert":
            number = history.read_revert({"revision": operation.revision})
            return history.revert(context, caller, kind, workspace, name, number, conditions, verbs.rules)


def apply(
    context: Context, caller: Caller, kind: Kind, workspace: str, name: str, body: Any, conditions: Conditions
) -> Write:
    """Makes the record exactly what `body` says: it is created if it is not there, and what the body lacks gets its
    default. Where the body does not say them, it keeps what is observed, and a secret that goes to the same address.

    Raises InvalidInput; performed, what creating and updating raise.
    """
    verbs = VERBS[kind.name]
    create = verbs.create(context, caller, workspace, _named(body, name), conditions)
    wanted = {key: value for key, value in body.items() if key != "name"}

    async def run(tx: WriteTransaction) -> Written:
        row = await tx.find(kind.name, workspace, name)
        if row is None:
            return await create.run(tx)
        observed = {key: row.fields[key] for key in kind.observed}
        said = Said(_with_kept_secrets(kind, {**observed, **wanted}, row), "fields", EVERYTHING)
        return await verbs.update(context, caller, workspace, name, said, conditions).run(tx)

    return Write(kind, "update", run)


def _with_kept_secrets(kind: Kind, wanted: Document, row: Row) -> Document:
    """Manifests and exports hold no secrets: to apply one again must not take them away."""
    for path in kind.secrets:
        parent, child = split_path(path)
        if not child:
            wanted = wanted if path in wanted else {**wanted, path: MASK}
            continue
        holder, before = wanted.get(parent), row.fields.get(parent) or {}
        if not isinstance(holder, dict) or child in holder or f"{child}_set" in holder:
            continue
        if before.get(child) and before.get("url") == holder.get("url"):
            wanted = {**wanted, parent: {**holder, child: MASK}}
    return wanted


def _named(body: Any, name: str) -> Any:
    if not isinstance(body, dict):
        raise InvalidInput.of(("body",), "model_attributes_type", "must be a JSON object")
    if body.get("name", name) != name:
        raise InvalidInput.of(("body", "name"), "read_only", "is not the name of the operation; leave it out")
    return {**body, "name": name}


def together(context: Context, caller: Caller, workspace: str, operations: Sequence[Operation]) -> "Batch":
    """The operations as one write, all or nothing. Raises the error of the first that cannot even be prepared, with its
    number as the detail `operation`.
    """
    writes = []
    for index, operation in enumerate(operations):
        try:
            writes.append(prepare(context, caller, workspace, operation))
        except SteelyardError as error:
            error.details["operation"] = index
            raise
    return Batch(context, writes)


@dataclass(frozen=True, slots=True)
class Batch:
    """Prepared writes that happen together."""

    context: Context
    writes: Sequence[Write]

    async def run(self, tx: WriteTransaction, *, show: bool = False) -> list[Result]:
        """Performs them one after the other in `tx`. Raises the error of the first that fails."""
        results = []
        for index, write in enumerate(self.writes):
            try:
                written = await write.run(tx)
            except SteelyardError as error:
                error.details["operation"] = index
                raise
            results.append(Result(written, await preview(tx, written, self.context) if show else None))
        return results


async def one_by_one(
    context: Context, caller: Caller, workspace: str, operations: Sequence[Operation], *, dry_run: bool
) -> list[Result]:
    """Performs each operation for itself; one that fails does not keep the others from happening."""
    results = []
    for operation in operations:
        try:
            write = prepare(context, caller, workspace, operation)
            if dry_run:
                results.append(Result(*await perform_for_show(context, write)))
            else:
                results.append(Result(await perform(context, write)))
        except SteelyardError as error:
            results.append(Result(error=error))
    return results
