"""`steelyard push`: a folder becomes a fileset, and the model or adapter that its files are of."""

from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.adapters import ADAPTERS
from steelyard.cli.bars import size_text
from steelyard.cli.errors import RefusedError, UsageError
from steelyard.cli.filesets import FILESETS
from steelyard.cli.findings import show_findings
from steelyard.cli.folders import Globs
from steelyard.cli.models import FINETUNING_TYPES, MODELS
from steelyard.cli.pull import Exclude, Include
from steelyard.cli.resource import Resource
from steelyard.cli.sending import Difference, HashedFile, Sending, compared, hashed
from steelyard.cli.session import Session
from steelyard.cli.tasks import Jobs
from steelyard.cli.writing import DryRun

_INSPECT_SECONDS = 300.0


def push(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with the files.", show_default=False)],
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The fileset, and its model: name or workspace/name.", show_default=False),
    ],
    *,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="What has changed, for `files log`.")
    ] = None,
    model: Annotated[
        bool, typer.Option("--model/--no-model", help="Whether there is to be a model of the files.")
    ] = True,
    trust: Annotated[bool, typer.Option("--trust", help="Trust the code among the files: these very bytes.")] = False,
    base_model: Annotated[
        str | None, typer.Option("--base-model", metavar="MODEL", help="What the model was made from.")
    ] = None,
    finetuning_type: Annotated[
        str | None,
        typer.Option(
            "--finetuning-type",
            metavar="TYPE",
            help="How it was made from it: lora, dpo and more (TAB completes).",
            autocompletion=lambda incomplete: [name for name in FINETUNING_TYPES if name.startswith(incomplete)],
        ),
    ] = None,
    adapter_of: Annotated[
        str | None, typer.Option("--adapter-of", metavar="MODEL", help="The files are an adapter of that model.")
    ] = None,
    include: Include = None,
    exclude: Exclude = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove files that are not in the folder.")] = False,
    jobs: Jobs = 4,
    dry_run: DryRun = False,
) -> None:
    """Send a folder: only bytes that the server lacks, several files at once, in one commit.

    Hidden files, and links that lead out of the folder, are left out. Interrupted, it goes on where it was. The
    fileset and the model are made if they are not there, and the spec is shown as the server read it.
    """
    wanted = _Wanted(model, trust, base_model, finetuning_type, adapter_of)
    home, title = FILESETS.item(session.workspace, name)
    files = hashed(session, folder, Globs(include, exclude), jobs)
    if not files:
        raise UsageError(f"there are no files to send in {folder}")
    difference = compared(session, home, files, delete=delete)
    if dry_run:
        _show_plan(session, title, difference, home, jobs)
        return
    if difference.commit is None:
        _create_fileset(session, title, purpose="model" if wanted.something else "generic")
    done = _send(session, home, title, difference, files, message, jobs)
    record = wanted.write(session, title) if wanted.something else None
    _report(session, title, done, record, wanted)


class _Wanted:
    """The record that there is to be of the files: a model, an adapter or none. Raises `UsageError`."""

    def __init__(
        self, model: bool, trust: bool, base_model: str | None, finetuning_type: str | None, adapter_of: str | None
    ) -> None:
        if adapter_of and (base_model or trust):
            raise UsageError("--adapter-of excludes --base-model and --trust: those are of models")
        if not model and (trust or base_model or finetuning_type or adapter_of):
            raise UsageError("--no-model excludes --trust, --base-model, --finetuning-type and --adapter-of")
        self.resource: Resource = ADAPTERS if adapter_of else MODELS
        self.something = model
        said = {"base_model": base_model, "finetuning_type": finetuning_type, "model": adapter_of}
        self.touched = False
        self._said: dict[str, Any] = {key: value for key, value in said.items() if value}
        if adapter_of:
            self._said.setdefault("finetuning_type", "lora")
        if trust:
            self._said["trust_remote_code"] = True

    def write(self, session: Session, title: str) -> dict[str, Any]:
        """Makes the record, or brings the one that is there to these files."""
        path, _ = self.resource.item(session.workspace, title)
        workspace, _, name = title.partition("/")
        body = {"fileset": title, **self._said}
        try:
            there = session.client.call("GET", path).record()
        except RefusedError as error:
            if error.http_status != 404:
                raise
            made = session.client.call(
                "POST", self.resource.home(workspace), body={"name": name, **body}, seconds=_INSPECT_SECONDS
            ).record()
            self.touched = True
            session.output.note(f"{self.resource.noun} {title} created")
            return made
        fixed = {field.name for field in self.resource.fields if field.fixed}
        # Trust is asked for anew whatever stands there: it is for the bytes that are there now.
        changes = {
            key: value
            for key, value in body.items()
            if key not in fixed and (there.get(key) != value or key == "trust_remote_code")
        }
        if not changes:
            return there
        changed = session.client.call("PATCH", path, body=changes, seconds=_INSPECT_SECONDS).record()
        if changed.get("revision") != there.get("revision"):
            self.touched = True
            session.output.note(f"{self.resource.noun} {title} updated: {', '.join(changes)}")
        return changed


def _create_fileset(session: Session, title: str, *, purpose: str) -> None:
    workspace, _, name = title.partition("/")
    body = {"name": name, "purpose": purpose}
    try:
        session.client.call("POST", FILESETS.home(workspace), body=body)
    except RefusedError as error:
        if error.http_status != 409:
            raise
        # Somebody else was as quick: it is there, and that was wanted.
        return
    session.output.note(f"fileset {title} created")


def _send(
    session: Session,
    home: str,
    title: str,
    difference: Difference,
    files: list[HashedFile],
    message: str | None,
    jobs: int,
) -> dict[str, Any]:
    if not difference.changes:
        return {"id": difference.commit, "changed": False, "put": 0, "removed": 0, "sent": 0}
    sending = Sending(session, home, jobs)
    sent = sending.send(difference.put)
    commit = sending.commit(difference, files, message)
    return {
        "id": commit.get("id"),
        "changed": commit.get("changed"),
        "put": len(difference.put),
        "removed": len(difference.removed),
        "sent": sent,
    }


def _report(session: Session, title: str, done: dict[str, Any], record: dict[str, Any] | None, wanted: _Wanted) -> None:
    output = session.output
    # Who pushes again to be sure has seen the spec before.
    news = output.json or done["changed"] or wanted.touched
    of_model = record is not None and wanted.resource is MODELS
    inspection = _inspection(session, title) if news and of_model else None
    if output.json:
        output.value({"fileset": title, "commit": done, wanted.resource.noun: record, "inspection": inspection})
        return
    commit = str(done["id"])[:12]
    if done["changed"]:
        removed = f", {done['removed']:,} removed" if done["removed"] else ""
        output.line(f"{title}: {done['put']:,} put{removed}, {size_text(done['sent'])} sent ({commit})")
    else:
        output.line(f"{title}: up to date ({commit})")
    if inspection is not None:
        show_findings(output, inspection)


def _inspection(session: Session, title: str) -> dict[str, Any]:
    path, _ = MODELS.item(session.workspace, title)
    return session.client.call("GET", f"{path}/inspection", seconds=_INSPECT_SECONDS).record()


def _show_plan(session: Session, title: str, difference: Difference, home: str, jobs: int) -> None:
    new = difference.commit is None
    absent = difference.put if new else Sending(session, home, jobs).missing(difference.put)
    size = sum(one.file.size for one in absent)
    plan = {
        "fileset": title,
        "new": new,
        "put": [one.file.path for one in difference.put],
        "removed": difference.removed,
        "same": difference.same,
        "bytes": size,
    }
    if session.output.json:
        session.output.value(plan)
        return
    for one in difference.put:
        session.output.line(f"+ {one.file.path}  {size_text(one.file.size)}", "green")
    for path in difference.removed:
        session.output.line(f"- {path}", "red")
    counts = f"{len(difference.put):,} to put, {len(difference.removed):,} to remove, {difference.same:,} the same"
    session.output.line(f"{title}: {counts}, {size_text(size)} to send; nothing was written")
