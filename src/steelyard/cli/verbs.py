"""The verbs that every resource has: list, get, create, update, delete; and the commands made of them."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from steelyard.cli.client import Answer
from steelyard.cli.errors import RefusedError, UsageError
from steelyard.cli.output import progress
from steelyard.cli.resource import Resource, Unset, Update
from steelyard.cli.session import Session, remember, with_session

# Fewer round trips for a whole list, and answers that are still small.
_WALK_PAGE_SIZE = 500
_ATTEMPTS = 5
# The server's own: they cannot be set, so they do not go back with a replaced record.
_READ_ONLY = frozenset({"id", "name", "workspace", "created_at", "created_by", "updated_at", "updated_by", "revision"})

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or `workspace/name`.", show_default=False)]
OptionalName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Its name; or give `name` in the file.", show_default=False),
]
File = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="FILE", help="A JSON file with fields, `-` for stdin; options go above it."),
]
IfMatch = Annotated[
    str | None,
    typer.Option("--if-match", metavar="ETAG", help="Only if the record still has this ETag; else exit code 6."),
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
        all: Annotated[bool, typer.Option("--all", help="Every one, not only the first page.")] = False,
        limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
        page: Annotated[int | None, typer.Option("--page", min=1, help="Start at this page.")] = None,
        page_size: Annotated[
            int | None, typer.Option("--page-size", min=1, max=1000, help="How many a request asks for.")
        ] = None,
    ) -> None:
        if all and limit:
            raise UsageError("--all and --limit exclude each other")
        query: dict[str, str | int] = {}
        if filter is not None:
            query["filter"] = filter
        if sort is not None:
            query["sort"] = sort
        size = page_size or (_WALK_PAGE_SIZE if all else min(limit, _WALK_PAGE_SIZE) if limit else None)
        if size:
            query["page_size"] = size
        records: list[dict[str, Any]] = []
        show = progress(session.output.quiet)
        path = self.resource.collection(session.workspace)
        total, last = None, True
        for part in session.client.pages(path, query, sort=sort, first=page):
            records += part.records
            total, last = part.total, part.last
            if not (all or limit) or (limit and len(records) >= limit):
                break
            if not last:
                show(len(records), total)
        show(0, None)
        cut = len(records) > limit if limit else False
        records = records[:limit]
        session.output.records(records, self._columns(session))
        if not records:
            session.output.note(f"no {self.resource.plural}")
        elif cut or not last:
            of = f" of {total:,}" if total else ""
            session.output.note(f"{len(records):,}{of} shown; --all shows every one")

    def get(
        self,
        session: Session,
        name: Name,
        etag: Annotated[bool, typer.Option("--etag", help="Print only the ETag, for --if-match.")] = False,
        **options: Any,
    ) -> None:
        path, _ = self.resource.item(session.workspace, name)
        answer = session.client.call("GET", path, query={"verbose": "true"} if options.get("verbose") else None)
        if etag:
            typer.echo(answer.etag or "")
        else:
            session.output.record(answer.record(), {"etag": answer.etag})

    def create(self, session: Session, name: OptionalName = None, file: File = None, **fields: Any) -> None:
        body = session.reader.object("--file", file) if file else {}
        if name and self.resource.scoped and "/" in name:
            workspace, _, name = name.partition("/")
        else:
            workspace = session.workspace
        if name:
            body["name"] = name
        if not body.get("name"):
            raise UsageError(f"a {self.resource.noun} needs a name: give it as NAME, or as `name` in --file")
        body.update(self.resource.read(session.reader, fields))
        record = session.client.call("POST", self.resource.home(workspace), body=body).record()
        self._written(session, record, f"{self.resource.noun} {self._title(record)} created")

    def update(
        self,
        session: Session,
        name: Name,
        file: File = None,
        if_match: IfMatch = None,
        **fields: Any,
    ) -> None:
        path, title = self.resource.item(session.workspace, name)
        cleared = self._cleared(fields.pop("unset", None) or [])
        changes = session.reader.object("--file", file) if file else {}
        changes.update(self.resource.read(session.reader, fields))
        both = sorted(changes.keys() & cleared.keys())
        if both:
            raise UsageError(f"--unset and a new value for {both[0]} exclude each other")
        changes.update(cleared)
        if not changes:
            raise UsageError("nothing to change: give an option for a field, or --file")
        before: dict[str, Any] = {}
        if self.resource.update is Update.REPLACE:
            before, answer = self._replace(session, path, changes, _etag(if_match))
        else:
            if not (session.output.json or session.output.quiet):
                # Only to say what changed; the write itself needs no reading.
                before = session.client.call("GET", path).record()
            answer = session.client.call(self.resource.update.name, path, body=changes, if_match=_etag(if_match))
        if session.output.json:
            session.output.value(answer.record())
        else:
            session.output.changes(f"{self.resource.noun} {title}", before, answer.record())

    def delete(
        self,
        session: Session,
        name: Name,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        if_match: IfMatch = None,
    ) -> None:
        path, title = self.resource.item(session.workspace, name)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"not deleted: nobody is here to ask; say --yes to delete {title}")
            typer.confirm(f"Delete {self.resource.noun} {title}?", abort=True, err=True)
        answer = session.client.call("DELETE", path, if_match=_etag(if_match))
        if session.output.json:
            session.output.value({"deleted": title})
        session.output.line(f"{self.resource.noun} {title} deleted")
        dangling = answer.headers.get("x-steelyard-dangling", "0")
        if dangling != "0":
            session.output.note(f"references to it in other records, which lead nowhere now: {dangling}")

    def _replace(
        self, session: Session, path: str, changes: dict[str, Any], if_match: str | None
    ) -> tuple[dict[str, Any], Answer]:
        for attempt in range(1, _ATTEMPTS + 1):
            found = session.client.call("GET", path)
            before = found.record()
            body = {key: value for key, value in before.items() if key not in _READ_ONLY} | changes
            body = {key: value for key, value in body.items() if value is not Unset.LEAVE_OUT}
            try:
                return before, session.client.call("PUT", path, body=body, if_match=if_match or found.etag)
            except RefusedError as error:
                # Another writer was faster; these changes are by field, so they go on top of that writer's.
                if error.http_status != 412 or if_match or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the loop returns or raises")

    def _cleared(self, names: list[str]) -> dict[str, Any]:
        clearable = self.resource.clearable
        # As the field is called, or as its option is.
        by_name = {field.flag[2:].replace("-", "_"): field.name for field in self.resource.fields}
        found = {}
        for text in names:
            name = text.removeprefix("--").replace("-", "_")
            name = by_name.get(name, name)
            if name not in clearable:
                raise UsageError(f"{text!r} cannot be unset; these can: {', '.join(clearable)}")
            found[name] = clearable[name]
        return found

    def _written(self, session: Session, record: dict[str, Any], text: str) -> None:
        if session.output.json:
            session.output.value(record)
        else:
            session.output.line(text)

    def _title(self, record: dict[str, Any]) -> str:
        return f"{record.get('workspace')}/{record.get('name')}" if self.resource.scoped else str(record.get("name"))

    def _columns(self, session: Session) -> list[str]:
        every = self.resource.scoped and session.workspace == "-"
        return [*(["workspace"] if every else []), *self.resource.columns]


def _etag(text: str | None) -> str | None:
    # A shell takes the quotes away that belong to an ETag.
    if text is None or text == "*" or text.startswith(('"', "W/")):
        return text
    return f'"{text}"'


def commands(resource: Resource, epilog: str) -> typer.Typer:
    """The group of commands for one resource."""
    verbs = Verbs(resource)
    noun, fields = resource.noun, resource.parameters()
    app = typer.Typer(name=resource.plural, help=resource.about, no_args_is_help=True, epilog=epilog)
    app.callback()(remember)
    examples = "\n".join(["\b", "Examples:", *(f"  {line}" for line in resource.examples)])

    def add(name: str, run: Callable[..., None], help: str, epilog: str | None = None) -> None:
        app.command(name, help=help, epilog=epilog)(run)

    where = " of a workspace" if resource.scoped else ""
    add("list", with_session(verbs.list_), f"List the {resource.plural}{where}.")
    add("get", with_session(verbs.get, _verbose(resource)), f"Show one {noun}.")
    add("create", with_session(verbs.create, fields), f"Make a {noun}.", examples)
    how = {
        Update.PATCH: " Fields that are not given keep their values.",
        Update.PUT: "",
        Update.REPLACE: " It is read, changed and written back; other fields and other writers lose nothing.",
    }[resource.update]
    add(
        "update",
        with_session(verbs.update, {**fields, **_unset(resource)}),
        f"Change fields of a {noun}.{how}",
        examples,
    )
    add("delete", with_session(verbs.delete), f"Delete a {noun}.")
    return app


def _verbose(resource: Resource) -> dict[str, tuple[Any, Any]]:
    if not resource.hidden_part:
        return {}
    option = typer.Option("--verbose", help=f"With {resource.hidden_part}.")
    return {"verbose": (Annotated[bool, option], False)}


def _unset(resource: Resource) -> dict[str, tuple[Any, Any]]:
    names = list(resource.clearable)
    if not names:
        return {}
    option = typer.Option(
        "--unset",
        metavar="FIELD",
        help=f"Clear a field: {', '.join(names)}. May be given several times.",
        autocompletion=lambda incomplete: [name for name in names if name.startswith(incomplete)],
    )
    return {"unset": (Annotated[list[str] | None, option], None)}
