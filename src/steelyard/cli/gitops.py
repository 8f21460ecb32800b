"""`steelyard apply` and `steelyard drift`: make a server what manifests say, or see how it differs from them."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from steelyard.cli.address import workspace_verb
from steelyard.cli.differences import show_affected, show_differences
from steelyard.cli.errors import DRIFT, CliError, RefusedError, UsageError
from steelyard.cli.kinds import KINDS
from steelyard.cli.manifests import read_manifests
from steelyard.cli.output import Output
from steelyard.cli.plan import BATCH_SECONDS, Action, Plan, Step, make_plans, refused_step
from steelyard.cli.prune import Prune, mark
from steelyard.cli.session import Session
from steelyard.cli.writing import DryRun, Reason, Yes

Paths = Annotated[
    list[str] | None, typer.Argument(metavar="[PATH]...", help="More of what --file takes.", show_default=False)
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file", "-f", metavar="PATH", help="A manifest file, a folder with them, or - for stdin; repeatable."
    ),
]
Pruned = Annotated[
    bool,
    typer.Option("--prune", help="Also delete what was applied before and is in no manifest now, kind by kind."),
]
Manager = Annotated[
    str | None,
    typer.Option("--manager", metavar="NAME", help="Whose manifests these are; --prune touches no other's records."),
]
_SIGNS = {Action.CREATE: ("+", "green"), Action.CHANGE: ("~", "yellow"), Action.DELETE: ("-", "red")}


def apply(
    session: Session,
    paths: Paths = None,
    *,
    file: Files = None,
    prune: Pruned = False,
    manager: Manager = None,
    yes: Yes = False,
    reason: Reason = None,
    dry_run: DryRun = False,
) -> None:
    """Make records what manifests say: shows what would change, asks, and does it, all of a workspace or nothing."""
    output = session.output
    if output.json and not (yes or dry_run):
        raise UsageError("--json asks nobody: say --yes, or --dry-run")
    marked = mark(manager)
    plans = _plans(session, paths, file, Prune(marked) if prune else None)
    for plan in plans:
        _show(output, plan)
    changes = any(_writes(plan) for plan in plans)
    output.line(_summary(plans))
    if changes and not dry_run:
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError("not applied: nobody is here to ask; say --yes, or --dry-run")
            typer.confirm("Apply this?", abort=True, err=True)
        _carry_out(session, plans, f"{marked}: {reason}" if reason else marked)
        output.line("applied")
    if output.json:
        steps = [step.document() for plan in plans for step in plan.steps]
        output.value({"applied": changes and not dry_run, "steps": steps})


def drift(
    session: Session, paths: Paths = None, *, file: Files = None, prune: Pruned = False, manager: Manager = None
) -> None:
    """Show how the server differs from manifests: exit code 0 where it does not, 8 where it does."""
    plans = _plans(session, paths, file, Prune(mark(manager)) if prune else None)
    drifted = [step for plan in plans for step in plan.steps if step.action is not Action.UNCHANGED]
    if session.output.json:
        session.output.value({"drift": bool(drifted), "steps": [step.document() for step in drifted]})
    for plan in plans:
        _show(session.output, plan)
    if drifted:
        raise typer.Exit(DRIFT)
    session.output.line("no drift")


def _plans(session: Session, paths: list[str] | None, files: list[str] | None, prune: Prune | None) -> list[Plan]:
    every = [*(files or []), *(paths or [])]
    if not every:
        raise UsageError("no manifests: give files or folders, or -f -")
    return make_plans(session.client, read_manifests(every, session.workspace, session.reader), prune)


def _writes(plan: Plan) -> bool:
    return any(step.action is not Action.UNCHANGED for step in plan.steps)


def _show(output: Output, plan: Plan) -> None:
    if not _writes(plan):
        return
    output.line(f"workspace {plan.workspace}")
    for step in plan.steps:
        if step.action is Action.UNCHANGED:
            continue
        sign, colour = _SIGNS[step.action]
        output.line(f"  {sign} {step.title}", colour)
        if step.action is Action.CHANGE:
            show_differences(output, step.diff, "      ")
        # Of something new it is no news that requests to it go somewhere.
        hidden = {"routes"} if step.action is Action.CREATE else set()
        affected = {key: value for key, value in step.affected.items() if key not in hidden}
        show_affected(output, affected, "      ")


def _summary(plans: Sequence[Plan]) -> str:
    found = [step.action for plan in plans for step in plan.steps]
    counts = {action: found.count(action) for action in Action}
    words = [f"{count} to {action}" for action, count in counts.items() if count and action is not Action.UNCHANGED]
    return ", ".join([*words, f"{counts[Action.UNCHANGED]} unchanged"])


def _carry_out(session: Session, plans: Sequence[Plan], reason: str) -> None:
    done: list[str] = []
    for plan in plans:
        if not _writes(plan):
            continue
        try:
            _write_workspace(session, plan.workspace, plan.own, reason)
            _write_inside(session, plan, reason)
        except CliError:
            if done:
                session.output.note(f"before this, these workspaces were applied: {', '.join(done)}")
            raise
        done.append(plan.workspace)


def _write_workspace(session: Session, name: str, step: Step | None, reason: str) -> None:
    if step is None or step.action is Action.UNCHANGED:
        return
    home, query = KINDS["workspace"], {"reason": reason}
    if step.action is Action.CREATE:
        session.client.call("POST", home.path, query=query, body={**(step.record or {}), "name": name})
    else:
        path, _ = home.item(name, name)
        session.client.call("PATCH", path, query={**query, "update_mask": "*"}, body=step.record, if_match=step.etag)


def _write_inside(session: Session, plan: Plan, reason: str) -> None:
    if not plan.changes:
        return
    body = {"operations": [step.operation() for step in plan.changes]}
    path = workspace_verb(plan.workspace, "batch")
    try:
        session.client.call("POST", path, query={"reason": reason}, body=body, seconds=BATCH_SECONDS)
    except RefusedError as error:
        refused = refused_step(error, plan.changes)
        raise refused.about(f"nothing in the workspace {plan.workspace} was changed") from None
