"""`steelyard files`: what is in a fileset, now and before."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from steelyard.cli.bars import size_text
from steelyard.cli.client import Query
from steelyard.cli.folders import CHUNK
from steelyard.cli.groups import group
from steelyard.cli.naming import find_fileset, whole_commit
from steelyard.cli.session import Session, with_session
from steelyard.cli.writing import DryRun, Reason, write_query

_SECONDS = 300.0
_SHORT = 12

Fileset = Annotated[
    str, typer.Argument(metavar="NAME", help="A fileset, or a model or adapter that has one.", show_default=False)
]
Message = Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="What is changed, for `log`.")]
Revision = Annotated[
    str | None, typer.Option("--revision", metavar="COMMIT", help="As it was at a commit; the present when not given.")
]


def ls(
    session: Session,
    name: Fileset,
    path: Annotated[str | None, typer.Argument(metavar="[PATH]", help="Only what lies below it.")] = None,
    *,
    revision: Revision = None,
) -> None:
    """List the files of a fileset."""
    home, title = find_fileset(session, name)
    query: dict[str, str] = {"path": path} if path else {}
    query |= {"revision": whole_commit(session, home, revision)} if revision else {}
    found = session.client.call("GET", f"{home}/files", query=query, seconds=_SECONDS).record()
    records = found.get("data", [])
    if session.output.json:
        session.output.value(found)
    elif session.output.quiet:
        for record in records:
            typer.echo(record["path"])
    elif records:
        session.output.table(("name", "size", "sha256", "scan"), (_row(record) for record in records))
    else:
        session.output.note(f"no files in {title}")


def cat(
    session: Session,
    name: Fileset,
    path: Annotated[str, typer.Argument(metavar="PATH", help="The file.", show_default=False)],
    *,
    revision: Revision = None,
) -> None:
    """Write the bytes of a file to the standard output."""
    home, _ = find_fileset(session, name)
    query = {"revision": whole_commit(session, home, revision)} if revision else {}
    headers = {"accept": "*/*", "accept-encoding": "identity"}
    with session.client.stream(f"{home}/-/{quote(path)}", query=query, headers=headers, seconds=_SECONDS) as answer:
        for piece in answer.iter_bytes(CHUNK):
            typer.echo(piece, nl=False)


def rm(
    session: Session,
    name: Fileset,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files; a folder ends with /.")],
    *,
    message: Message = None,
    reason: Reason = None,
    dry_run: DryRun = False,
) -> None:
    """Remove files and folders, in one commit; `restore` brings them back."""
    home, title = find_fileset(session, name)
    changes = [
        {"op": "delete_folder", "path": path.rstrip("/")} if path.endswith("/") else {"op": "delete", "path": path}
        for path in dict.fromkeys(paths)
    ]
    body = {"changes": changes, **({"message": message} if message else {})}
    _commit(session, f"{home}/commits", body, write_query(dry_run=dry_run, reason=reason), title, "removed")


def restore(
    session: Session,
    name: Fileset,
    commit: Annotated[str, typer.Argument(metavar="COMMIT", help="The commit to go back to.", show_default=False)],
    *,
    message: Message = None,
    reason: Reason = None,
    dry_run: DryRun = False,
) -> None:
    """Make the files what they were at a commit, as a new commit."""
    home, title = find_fileset(session, name)
    body = {"commit": whole_commit(session, home, commit), **({"message": message} if message else {})}
    _commit(session, f"{home}:restore", body, write_query(dry_run=dry_run, reason=reason), title, "restored")


def _commit(session: Session, path: str, body: dict[str, Any], query: Query, title: str, done: str) -> None:
    answer = session.client.call("POST", path, query=query, body=body, seconds=_SECONDS).record()
    if session.output.json:
        session.output.value(answer)
    elif "dry_run" in query:
        session.output.line(f"{title} would be at {answer['file_count']:,} files, {size_text(answer['total_size'])}")
    elif not answer.get("changed"):
        session.output.line(f"{title}: nothing changed")
    else:
        files = f"{answer['file_count']:,} files, {size_text(answer['total_size'])}"
        session.output.line(f"{title}: {done}; now {files} ({_short(answer['id'])})")


def log(
    session: Session,
    name: Fileset,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 20,
) -> None:
    """Show the commits of a fileset, newest first."""
    home, _ = find_fileset(session, name)
    found = session.client.call("GET", f"{home}/commits", query={"limit": limit}).record()
    records = found.get("data", [])
    if session.output.json:
        session.output.value(records)
        return
    shown = [{**record, "name": _short(record["id"])} for record in records]
    session.output.records(shown, ("name", "at", "actor", "message"))
    if found.get("next") is not None:
        session.output.note(f"{len(records):,} shown; --limit shows more")


def diff(
    session: Session,
    name: Fileset,
    first: Annotated[str, typer.Argument(metavar="A", help="A commit.", show_default=False)],
    second: Annotated[str | None, typer.Argument(metavar="B", help="Another; the present when not given.")] = None,
) -> None:
    """Show which files differ between two commits."""
    home, title = find_fileset(session, name)
    query = {"from": whole_commit(session, home, first)} | (
        {"to": whole_commit(session, home, second)} if second else {}
    )
    found = session.client.call("GET", f"{home}/commits:compare", query=query, seconds=_SECONDS).record()
    if session.output.json:
        session.output.value(found)
        return
    for one in found["data"]:
        sign, colour = {"added": ("+", "green"), "removed": ("-", "red")}.get(one["change"], ("~", "yellow"))
        sizes = [size_text(side["size"]) for side in (one["before"], one["after"]) if side]
        session.output.line(f"{sign} {one['path']}  {' -> '.join(sizes)}", colour)
    if not found["data"]:
        session.output.note(f"the files of {title} do not differ between these commits")


def _row(record: dict[str, Any]) -> tuple[str, str, str, str]:
    return record["path"], size_text(record["size"]), _short(record.get("sha256")), _scan(record)


def _short(text: Any) -> str:
    return text[:_SHORT] if isinstance(text, str) else ""


def _scan(record: dict[str, Any]) -> str:
    scan = record.get("scan")
    return str(scan.get("verdict", "")) if isinstance(scan, dict) else ""


def build_files(epilog: str) -> typer.Typer:
    """The group of commands."""
    app = group("files", "Files: what is in a fileset, now and before; `push` and `pull` bring whole folders.", epilog)
    for function in (ls, cat, rm, restore, log, diff):
        app.command(function.__name__)(with_session(function))
    return app
