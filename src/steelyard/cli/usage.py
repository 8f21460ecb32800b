"""`steelyard usage`: what was used of models, request by request, in sums, or all of it as a file."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from steelyard.cli.address import segment
from steelyard.cli.errors import UsageError
from steelyard.cli.exporting import NDJSON, OutputFile, export_lines
from steelyard.cli.groups import group
from steelyard.cli.journal import SECONDS, filter_options, query_of
from steelyard.cli.session import Session, with_session
from steelyard.cli.walking import All, Limit, PageSize, tell_rest, walk

_COLUMNS = ("at", "model", "provider", "status", "error", "input", "output", "cost", "latency_ms", "key")
_SUMS = ("requests", "errors", "input", "output", "cached_input", "cost", "p50_ms", "p95_ms")
_GROUPS = ("workspace", "model", "provider", "key", "route", "day", "hour", "status")
_FORMATS = {"ndjson": NDJSON, "csv": "text/csv"}

_FILTERS = filter_options(
    {
        "model": ("--model", "Only that model's."),
        "provider": ("--provider", "Only what that provider served."),
        "key": ("--key", "Only by callers with that key."),
        "route": ("--route", "Only what was asked for by that name: a virtual model, an alias."),
        "status": ("--status", "Only answers of that status, as 429, or kind, as 5xx."),
    }
)


def list_(
    session: Session, *, all: All = False, limit: Limit = None, page_size: PageSize = None, **filters: Any
) -> None:
    """List requests, newest first: what each used, what it cost, and how long it took."""
    found = walk(session, _path(session, ""), query_of(filters), all=all, limit=limit, page_size=page_size)
    everywhere = ("workspace",) if session.workspace == "-" else ()
    session.output.records(found.records, ("at", *everywhere, *_COLUMNS[1:]), key="request_id")
    tell_rest(session, found, "no usage")


def summary(
    session: Session,
    *,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="WHAT",
            help=f"What to sum by, as model,day: {', '.join(_GROUPS)}. Empty: all together.",
            autocompletion=lambda incomplete: [name for name in _GROUPS if name.startswith(incomplete)],
        ),
    ] = "model",
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=10_000, help="The most groups.")] = None,
    **filters: Any,
) -> None:
    """Sum usage up: requests, errors, tokens, cost and times. Days and hours are those of UTC."""
    query = {**query_of(filters), "group_by": by, **({"limit": limit} if limit else {})}
    found = session.client.call("GET", _path(session, ":summary"), query=query, seconds=SECONDS).record()
    if session.output.json:
        session.output.value(found)
        return
    groups, data = found.get("group_by", []), found.get("data", [])
    session.output.records([_flat(each) for each in data], [*groups, *_SUMS])
    if not data:
        session.output.note("no usage")
    elif found.get("more"):
        session.output.note(f"{len(data):,} groups shown, and there are more; --limit shows them")


def export(
    session: Session,
    *,
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(_FORMATS),
            help="A line of JSON for each request, or a table for spreadsheets.",
            autocompletion=lambda incomplete: [name for name in _FORMATS if name.startswith(incomplete)],
        ),
    ] = "ndjson",
    output: OutputFile = None,
    **filters: Any,
) -> None:
    """Write all usage up to now, oldest first."""
    if format not in _FORMATS:
        raise UsageError(f"--format takes {', '.join(_FORMATS)}")
    path, titles = _path(session, ":export"), 1 if format == "csv" else 0
    query, headers = {**query_of(filters), "format": format}, {"accept": _FORMATS[format]}
    export_lines(session, path, output, "requests", extra=titles, query=query, headers=headers, seconds=SECONDS)


def _path(session: Session, verb: str) -> str:
    return f"/apis/steelyard/v1/workspaces/{segment(session.workspace, 'workspace')}/usage{verb}"


def _flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """A group with a number or a text for each column."""
    cost = found.get("cost") or {}
    latency = found.get("latency_ms") or {}
    return {
        **found,
        "cost": ", ".join(
            f"{amount:.6f}".rstrip("0").rstrip(".") + f" {currency}" for currency, amount in cost.items()
        ),
        "p50_ms": latency.get("p50"),
        "p95_ms": latency.get("p95"),
    }


def build_usage(epilog: str) -> typer.Typer:
    """The group of commands."""
    app = group("usage", "Usage: what was used of models, what it cost, and how long it took.", epilog)
    for name, function in (("list", list_), ("summary", summary), ("export", export)):
        app.command(name)(with_session(function, _FILTERS))
    return app
