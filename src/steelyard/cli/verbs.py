"""The verbs that every resource has: list, get, create, update, delete."""

import sys
from typing import Annotated, Any

import typer

from steelyard.cli.address import quoted_etag
from steelyard.cli.errors import UsageError
from steelyard.cli.resource import Resource
from steelyard.cli.session import Session
from steelyard.cli.walking import All, Limit, PageSize, tell_rest, walk
from steelyard.cli.writing import DryRun, IfMatch, Reason, Yes, read_before, tell, write_query

# The server's own: a file may bring them along, and no mask may name them.
_READ_ONLY = frozenset(
    {
        *("id", "name", "workspace", "created_at", "created_by", "updated_at", "updated_by", "revision"),
        *("adapters", "frozen", "auth_context", "entity_id", "parent"),
    }
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or `workspace/name`.", show_default=False)]
OptionalName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Its name; or give `name` in the file.", show_default=False),
]
File = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="FILE", help="A JSON file with fields, `-` for stdin; options go above it."),
]


class Verbs:
    """The verbs of one resource, each a function of a session."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def list_(
        self,
        session: Session,
        *,
        filter: Annotated[
            str | None,
            typer.Option(
                "--filter",
                metavar="FILTER",
                help='Which ones, as text (name~"llama" AND created_at>"2026-01-01") or as JSON.',
            ),
        ] = None,
        sort: Annotated[
            str | None,
            typer.Option("--sort", metavar="FIELD", help="name, created_at or updated_at; -name for downwards."),
        ] = None,
        all: All = False,
        limit: Limit = None,
        page: Annotated[int | None, typer.Option("--page", min=1, help="Start at this page.")] = None,
        page_size: PageSize = None,
    ) -> None:
        query = {key: value for key, value in (("filter", filter), ("sort", sort)) if value is not None}
        path = self.resource.collection(session.workspace)
        found = walk(session, path, query, all=all, limit=limit, page=page, page_size=page_size)
        session.output.records(found.records, self._columns(session))
        tell_rest(session, found, f"no {self.resource.plural}")

    def get(
        self,
        session: Session,
        name: Name,
        *,
        etag: Annotated[bool, typer.Option("--etag", help="Print only the ETag, for --if-match.")] = False,
        revision: Annotated[int | None, typer.Option("--revision", min=1, help="As it was at this revision.")] = None,
        at: Annotated[
            str | None, typer.Option("--at", metavar="TIME", help="As it was at this time: 2026-01-31T12:00:00Z.")
        ] = None,
        **options: Any,
    ) -> None:
        if revision and at:
            raise UsageError("--revision and --at exclude each other")
        path, _ = self.resource.item(session.workspace, name)
        asked = {"verbose": "true" if options.get("verbose") else None, "revision": revision, "at": at}
        query = {key: value for key, value in asked.items() if value is not None}
        answer = session.client.call("GET", path, query=query)
        if etag:
            typer.echo(answer.etag or "")
        else:
            session.output.record(answer.record(), {"etag": answer.etag})

    def create(
        self,
        session: Session,
        name: OptionalName = None,
        file: File = None,
        reason: Reason = None,
        dry_run: DryRun = False,
        **fields: Any,
    ) -> None:
        body = session.reader.object("--file", file) if file else {}
        if file is None:
            fields = self.completed(fields, new=True)
        if name and self.resource.scoped and "/" in name:
            workspace, _, name = name.partition("/")
        else:
            workspace = session.workspace
        if name:
            body["name"] = name
        if not body.get("name"):
            raise UsageError(f"a {self.resource.noun} needs a name: give it as NAME, or as `name` in --file")
        body.update(self.resource.read(session.reader, fields))
        query = write_query(dry_run=dry_run, reason=reason)
        record = session.client.call("POST", self.resource.home(workspace), query=query, body=body).record()
        tell(session, record, f"{self.resource.noun} {self._title(record)}", "created")

    def update(
        self,
        session: Session,
        name: Name,
        *,
        file: File = None,
        if_match: IfMatch = None,
        reason: Reason = None,
        dry_run: DryRun = False,
        **fields: Any,
    ) -> None:
        path, title = self.resource.item(session.workspace, name)
        if file is None:
            fields = self.completed(fields, new=False)
        cleared = self._cleared(fields.pop("unset", None) or [])
        changes = session.reader.object("--file", file) if file else {}
        changes.update(self.resource.read(session.reader, fields))
        both = sorted(changes.keys() & set(cleared))
        if both:
            raise UsageError(f"--unset and a new value for {both[0]} exclude each other")
        if not changes and not cleared:
            raise UsageError("nothing to change: give an option for a field, or --file")
        query = write_query(dry_run=dry_run, reason=reason)
        if cleared:
            # Whatever the mask names and the body lacks is cleared; what the body has is set whole, as without a mask.
            given = [key for key, value in changes.items() if value is not None and key not in _READ_ONLY]
            query["update_mask"] = ",".join([*given, *cleared])
        before = read_before(session, path, dry_run=dry_run)
        answer = session.client.call("PATCH", path, query=query, body=changes, if_match=quoted_etag(if_match))
        tell(session, answer.record(), f"{self.resource.noun} {title}", "updated", before)

    def delete(
        self,
        session: Session,
        name: Name,
        *,
        yes: Yes = False,
        if_match: IfMatch = None,
        purge: Annotated[bool, typer.Option("--purge", help="Keep no history, and no way back.")] = False,
        reason: Reason = None,
        dry_run: DryRun = False,
    ) -> None:
        path, title = self.resource.item(session.workspace, name)
        done = "deleted for good" if purge else "deleted"
        if not (yes or dry_run):
            if not sys.stdin.isatty():
                raise UsageError(f"not deleted: nobody is here to ask; say --yes to delete {title}")
            for_good = " for good, with its history" if purge else ""
            typer.confirm(f"Delete {self.resource.noun} {title}{for_good}?", abort=True, err=True)
        query = {**write_query(dry_run=dry_run, reason=reason), **({"purge": "true"} if purge else {})}
        answer = session.client.call("DELETE", path, query=query, if_match=quoted_etag(if_match))
        result = answer.record() if dry_run else {"deleted": title}
        tell(session, result, f"{self.resource.noun} {title}", done)
        dangling = answer.headers.get("x-steelyard-dangling", "0")
        if dangling != "0":
            session.output.note(f"references to it in other records, which lead nowhere now: {dangling}")

    def completed(self, fields: dict[str, Any], *, new: bool) -> dict[str, Any]:
        """The options of a `create` (`new`) or an `update` without a file, with what a kind adds where they lack it."""
        del new
        return fields

    def _cleared(self, names: list[str]) -> list[str]:
        clearable = self.resource.clearable
        # As the field is called, or as its option is.
        by_name = {field.flag[2:].replace("-", "_"): field.name for field in self.resource.fields}
        found = []
        for text in names:
            name = text.removeprefix("--").replace("-", "_")
            name = by_name.get(name, name)
            if name not in clearable:
                raise UsageError(f"{text!r} cannot be unset; these can: {', '.join(clearable)}")
            found.append(name)
        return found

    def _title(self, record: dict[str, Any]) -> str:
        return f"{record.get('workspace')}/{record.get('name')}" if self.resource.scoped else str(record.get("name"))

    def _columns(self, session: Session) -> list[str]:
        every = self.resource.scoped and session.workspace == "-"
        return [*(["workspace"] if every else []), *self.resource.columns]
