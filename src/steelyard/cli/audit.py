"""`steelyard audit`: who did what, and who was not allowed to; and whether the record of it is whole."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.errors import DANGER, UsageError
from steelyard.cli.output import progress
from steelyard.cli.session import Session, remember, with_session
from steelyard.cli.transfer import target
from steelyard.cli.usage import moment
from steelyard.cli.walking import walk
from steelyard.errors import StartupError

_PATH = "/apis/steelyard/v1/audit"
_SECONDS = 300.0
_CHUNK = 1 << 16
_COLUMNS = ("at", "outcome", "action", "subject", "key_id", "address", "workspace", "name", "rule", "detail")
_HEAD = re.compile(r"[0-9a-f]{64}")


def _filter(flag: str, help: str) -> tuple[Any, None]:
    return Annotated[str | None, typer.Option(flag, metavar=flag[2:].upper().replace("-", "_"), help=help)], None


_FILTERS: Mapping[str, tuple[Any, Any]] = {
    "since": _filter("--since", "From this time on: 2026-01-31T12:00:00Z, or so long ago: 30m, 24h, 7d."),
    "until": _filter("--until", "Before this time."),
    "subject": _filter("--subject", "Only by that subject."),
    "key_id": _filter("--key", "Only with that key."),
    "action": _filter("--action", "Only that, as model.update or iam.create."),
    "outcome": _filter("--outcome", "Only `allowed`, or only `refused`."),
    "inside": _filter("--in", "Only in that workspace; else in all whose audit you may read."),
    "kind": _filter("--kind", "Only about records of that kind."),
    "name": _filter("--name", "Only about what has that name."),
    "request_id": _filter("--request-id", "Only the request of that X-Request-ID."),
}


def list_(
    session: Session,
    *,
    all: Annotated[bool, typer.Option("--all", help="Every one, not only the first page.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    **filters: Any,
) -> None:
    """List what was done and refused, newest first."""
    if all and limit:
        raise UsageError("--all and --limit exclude each other")
    found = walk(session, _PATH, _query(filters), all=all, limit=limit)
    session.output.records(found.records, _COLUMNS)
    if not found.records:
        session.output.note("nothing")
    elif found.more:
        session.output.note(f"{found.shown}; --all shows every one")


def export(
    session: Session,
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to stdout.")
    ] = None,
    **filters: Any,
) -> None:
    """Write it all, oldest first, a line of JSON for each entry. Without filters, `audit verify FILE` checks it."""
    show, lines = progress(session.output.quiet, "lines exported"), 0
    with (
        session.client.stream(f"{_PATH}:export", query=_query(filters), seconds=_SECONDS) as answer,
        target(output) as write,
    ):
        for chunk in answer.iter_bytes(_CHUNK):
            write(chunk)
            lines += chunk.count(b"\n")
            if output:
                show(lines, None)
    show(0, None)
    if output:
        session.output.note(f"{lines:,} entries written to {output}")


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
        return session.client.call("GET", f"{_PATH}:verify", query=query, seconds=_SECONDS).record()
    from steelyard.app.audit import check_file, check_folder  # noqa: PLC0415 - only this reads databases

    try:
        return check_file(file, head) if file is not None else check_folder(data_dir or Path(), head)
    except StartupError as error:
        raise UsageError(error.message) from None


def _query(filters: Mapping[str, str | None]) -> dict[str, str | int | list[str]]:
    query: dict[str, str | int | list[str]] = {}
    for name, value in filters.items():
        if value is not None:
            key = "workspace" if name == "inside" else name
            query[key] = moment(value) if name in {"since", "until"} else value
    return query


def build_audit(epilog: str) -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(
        name="audit",
        help="The audit: who did what, and who was not allowed to.",
        no_args_is_help=True,
        epilog=epilog,
    )
    app.callback()(remember)
    app.command("list")(with_session(list_, _FILTERS))
    app.command("export")(with_session(export, _FILTERS))
    app.command("verify")(with_session(verify))
    return app
