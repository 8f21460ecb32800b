"""`steelyard audit`: who did what, and who was not allowed to; and whether the record of it is whole."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.client import Query
from steelyard.cli.errors import DANGER, UsageError
from steelyard.cli.exporting import OutputFile, export_lines
from steelyard.cli.groups import group
from steelyard.cli.journal import SECONDS, filter_options, query_of
from steelyard.cli.session import Session, with_session
from steelyard.cli.walking import All, Limit, PageSize, tell_rest, walk
from steelyard.errors import StartupError

_PATH = "/apis/steelyard/v1/audit"
_COLUMNS = ("at", "outcome", "action", "subject", "key_id", "address", "workspace", "name", "rule", "detail")
_HEAD = re.compile(r"[0-9a-f]{64}")

_FILTERS = filter_options(
    {
        "subject": ("--subject", "Only by that subject."),
        "key_id": ("--key", "Only with that key."),
        "action": ("--action", "Only that, as model.update or iam.create."),
        "outcome": ("--outcome", "Only `allowed`, or only `refused`."),
        "inside": ("--in", "Only in that workspace; else in all whose audit you may read."),
        "kind": ("--kind", "Only about records of that kind."),
        "name": ("--name", "Only about what has that name."),
    }
)


def list_(
    session: Session, *, all: All = False, limit: Limit = None, page_size: PageSize = None, **filters: Any
) -> None:
    """List what was done and refused, newest first."""
    found = walk(session, _PATH, _query(filters), all=all, limit=limit, page_size=page_size)
    session.output.records(found.records, _COLUMNS, key="seq")
    tell_rest(session, found, "nothing")


def export(session: Session, *, output: OutputFile = None, **filters: Any) -> None:
    """Write it all, oldest first, a line of JSON for each entry. Without filters, `audit verify FILE` checks it."""
    export_lines(session, f"{_PATH}:export", output, "entries", query=_query(filters), seconds=SECONDS)


def verify(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="An export; else the audit of the server is checked.")
    ] = None,
    *,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Check that data folder, without a server.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="HASH", help="A hash that you have noted: it is found unless the end was cut off."
        ),
    ] = None,
) -> None:
    """Check that nothing in the audit was changed or taken out.

    Each entry's hash is that of the one before and of its own words. Whoever can write the database could compute all
    of them anew, or cut off the end: note the head, which this command prints, somewhere else, and give it with --head
    the next time. The exit code is 9 where something is wrong.
    """
    if file is not None and data_dir is not None:
        raise UsageError("FILE and --data-dir exclude each other")
    if head is not None and not _HEAD.fullmatch(head):
        raise UsageError("--head takes the 64 hexadecimal digits that an earlier check printed")
    found = _checked(session, file, data_dir, head)
    if session.output.json:
        session.output.value(found)
    elif found["broken_at"] is not None:
        session.output.line(f"broken at entry {found['broken_at']}: {found['why']}", "red")
    elif not found["whole"]:
        session.output.line(str(found["why"]), "red")
    else:
        session.output.line(f"{found['rows']:,} entries, all as they were written; head {found['head']}")
    if not found["whole"]:
        raise typer.Exit(DANGER)


def _checked(session: Session, file: Path | None, data_dir: Path | None, head: str | None) -> dict[str, Any]:
    if file is None and data_dir is None:
        query = {"head": head} if head else {}
        return session.client.call("GET", f"{_PATH}:verify", query=query, seconds=SECONDS).record()
    from steelyard.app.audit import check_file, check_folder  # noqa: PLC0415 - only this reads databases

    try:
        return check_file(file, head) if file is not None else check_folder(data_dir or Path(), head)
    except StartupError as error:
        raise UsageError(error.message) from None


def _query(filters: Mapping[str, str | None]) -> Query:
    # Every command has a --workspace of its own, for where it works: the filter is `--in`.
    return query_of({"workspace" if name == "inside" else name: value for name, value in filters.items()})


def build_audit(epilog: str) -> typer.Typer:
    """The group of commands."""
    app = group("audit", "The audit: who did what, and who was not allowed to.", epilog)
    app.command("list")(with_session(list_, _FILTERS))
    app.command("export")(with_session(export, _FILTERS))
    app.command("verify")(with_session(verify))
    return app
