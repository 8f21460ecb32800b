"""What has to happen so that a server is as manifests say: asked of the server itself, in dry runs.

The server decides what differs, because it alone knows defaults, canonical references and hidden parts. Each step
carries the ETag that the record had, so that a plan is either carried out as it was shown or refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from steelyard.cli.address import workspace_verb
from steelyard.cli.client import Client
from steelyard.cli.errors import RefusedError, UsageError
from steelyard.cli.kinds import KINDS, ORDER
from steelyard.cli.manifests import Manifest
from steelyard.cli.prune import Prune

BATCH_SECONDS = 600.0
_ATTEMPTS = 3
# As many as the server takes at once.
_BATCH = 1000
_NOT_IN_MANIFESTS = "not in the manifests"


class Action(StrEnum):
    """What becomes of a record."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Step:
    """One record: how it should be (`record`; None: gone), how it was seen (`etag`; None: not there), what differs."""

    kind: str
    workspace: str
    name: str
    record: dict[str, Any] | None
    origin: str
    etag: str | None = None
    action: Action = Action.CREATE
    diff: Sequence[dict[str, Any]] = ()
    affected: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What to call it."""
        return f"{self.kind} {self.name}"

    def operation(self) -> dict[str, Any]:
        """The step as an operation of a batch, under the condition that the record is as it was seen."""
        condition = {"if_match": self.etag} if self.etag else {"if_none_match": "*"}
        body = {} if self.record is None else {"body": self.record}
        return (
            {"op": "delete" if self.record is None else "apply", "kind": self.kind, "name": self.name}
            | condition
            | body
        )

    def document(self) -> dict[str, Any]:
        """The step for a program."""
        stands = {"workspace": self.workspace} if self.workspace else {}
        return {**stands, "kind": self.kind, "name": self.name, "action": self.action, "diff": list(self.diff)}


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one workspace; `own` is the one of the workspace itself."""

    workspace: str
    own: Step | None
    inside: list[Step]

    @property
    def steps(self) -> list[Step]:
        """All steps."""
        return [*([self.own] if self.own else []), *self.inside]

    @property
    def changes(self) -> list[Step]:
        """The steps within the workspace that write something."""
        return [step for step in self.inside if step.action is not Action.UNCHANGED]


def make_plans(client: Client, manifests: Iterable[Manifest], prune: Prune | None) -> list[Plan]:
    """A plan for each workspace. Raises `RefusedError` for what the server would refuse."""
    homes: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        homes.setdefault(manifest.home, []).append(manifest)
    return [_plan(client, workspace, found, prune) for workspace, found in homes.items()]


def refused_step(error: RefusedError, steps: Sequence[Step]) -> RefusedError:
    """The error of a batch, with the step that it is about."""
    if error.operation is None or not 0 <= error.operation < len(steps):
        return error
    step = steps[error.operation]
    return error.about(f"{step.origin}: {step.title}")


def _plan(client: Client, workspace: str, manifests: Sequence[Manifest], prune: Prune | None) -> Plan:
    own, inside = None, []
    for manifest in _in_order(manifests):
        step = Step(manifest.kind, manifest.workspace, manifest.name, manifest.record, manifest.origin)
        if manifest.workspace:
            inside.append(step)
        else:
            own = step
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _asked(client, workspace, own, inside, prune)
        except RefusedError as error:
            # Somebody wrote between the look at the ETags and the dry run: look again.
            if error.http_status != 412 or attempt == _ATTEMPTS:
                raise
    raise AssertionError("the loop returns or raises")


def _asked(client: Client, workspace: str, own: Step | None, inside: list[Step], prune: Prune | None) -> Plan:
    home = KINDS["workspace"]
    path, _ = home.item(workspace, workspace)
    try:
        etag = client.call("GET", path).etag
    except RefusedError as error:
        if error.http_status == 404 and own is None:
            raise error.about(f"{inside[0].origin}: {inside[0].title}") from None
        if error.http_status != 404 or own is None:
            raise
        # Nothing can be asked of a workspace that is not there: all in it will be new.
        body = {**(own.record or {}), "name": workspace}
        client.call("POST", home.path, query={"dry_run": "true"}, body=body)
        return Plan(workspace, own, inside)
    if own is not None:
        query = {"dry_run": "true", "update_mask": "*"}
        answer = client.call("PATCH", path, query=query, body=own.record, if_match=etag).record()
        own = _with(own, etag, Action.CHANGE, answer.get("dry_run"))
    goers = (
        []
        if prune is None
        else [
            Step(kind, workspace, name, None, _NOT_IN_MANIFESTS)
            for kind, name in prune.found(client, workspace, {(step.kind, step.name) for step in inside})
        ]
    )
    batch = workspace_verb(workspace, "batch")
    steps = [_with(step, etag) for step, etag in _seen(client, batch, [*inside, *goers])]
    if not steps:
        return Plan(workspace, own, [])
    if len(steps) > _BATCH:
        raise UsageError(
            f"{len(steps):,} records for the workspace {workspace}, and a batch takes {_BATCH:,}: "
            "split them, or use `steelyard import --on-conflict replace`"
        )
    try:
        answer = client.call(
            "POST",
            batch,
            query={"dry_run": "true"},
            body={"operations": [step.operation() for step in steps]},
            seconds=BATCH_SECONDS,
        ).record()
    except RefusedError as error:
        raise refused_step(error, steps) from None
    return Plan(
        workspace,
        own,
        [
            _with(step, step.etag, _action(step), result.get("dry_run"))
            for step, result in zip(steps, answer["results"], strict=True)
        ],
    )


def _action(step: Step) -> Action:
    if step.record is None:
        return Action.DELETE
    return Action.CHANGE if step.etag else Action.CREATE


def _with(step: Step, etag: str | None, action: Action = Action.CREATE, preview: Any = None) -> Step:
    shown = preview if isinstance(preview, dict) else {}
    diff, affected = shown.get("diff") or [], shown.get("affected") or {}
    if action is Action.CHANGE and not diff:
        action = Action.UNCHANGED
    return Step(step.kind, step.workspace, step.name, step.record, step.origin, etag, action, diff, affected)


def _seen(client: Client, batch: str, steps: Sequence[Step]) -> Iterable[tuple[Step, str | None]]:
    """Each step with the ETag of its record, or None where there is none."""
    for start in range(0, len(steps), _BATCH):
        part = steps[start : start + _BATCH]
        # A change of nothing answers the record as it is, and many of them take one request.
        probes = [{"op": "update", "kind": step.kind, "name": step.name, "body": {}} for step in part]
        answer = client.call(
            "POST",
            batch,
            query={"dry_run": "true"},
            body={"atomic": False, "operations": probes},
            seconds=BATCH_SECONDS,
        ).record()
        for step, result in zip(part, answer["results"], strict=True):
            if result["status"] not in {200, 404}:
                raise RefusedError(result["status"], result.get("error"), {}).about(f"{step.origin}: {step.title}")
            yield step, result.get("etag")


def _in_order(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Those first that others name: by kind, and models after the ones that they were made from."""
    bases = {f"{manifest.workspace}/{manifest.name}": manifest for manifest in manifests if manifest.kind == "model"}

    def depth(manifest: Manifest) -> int:
        seen: set[str] = set()
        while isinstance(base := manifest.record.get("base_model"), str):
            base = base if "/" in base else f"{manifest.workspace}/{base}"
            if base not in bases or base in seen:
                break
            seen.add(base)
            manifest = bases[base]
        return len(seen)

    return sorted(manifests, key=lambda manifest: (ORDER.index(manifest.kind), depth(manifest)))
