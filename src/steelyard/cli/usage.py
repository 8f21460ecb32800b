"""`steelyard usage`: what was used of models, request by request, in sums, or all of it as a file."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from steelyard.cli.address import segment
from steelyard.cli.errors import UsageError
from steelyard.cli.output import progress
from steelyard.cli.session import Session, remember, with_session
from steelyard.cli.transfer import target
from steelyard.cli.walking import walk

_SECONDS = 300.0
_CHUNK = 1 << 16
_COLUMNS = ("at", "model", "provider", "status", "error", "input", "output", "cost", "latency_ms", "key")
_SUMS = ("requests", "errors", "input", "output", "cached_input", "cost", "p50_ms", "p95_ms")
_GROUPS = ("workspace", "model", "provider", "key", "route", "day", "hour", "status")
_FORMATS = {"ndjson": "application/x-ndjson", "csv": "text/csv"}
_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _filter(flag: str, help: str) -> tuple[Any, None]:
    return Annotated[str | None, typer.Option(flag, metavar=flag[2:].upper().replace("-", "_"), help=help)], None


_FILTERS: Mapping[str, tuple[Any, Any]] = {
    "since": _filter("--since", "From this time on: 2026-01-31T12:00:00Z, or so long ago: 30m, 24h, 7d."),
    "until": _filter("--until", "Before this time."),
    "model": _filter("--model", "Only that model's."),
    "provider": _filter("--provider", "Only what that provider served."),
    "key": _filter("--key", "Only by callers with that key."),
    "route": _filter("--route", "Only what was asked for by that name: a virtual model, an alias."),
    "status": _filter("--status", "Only answers of that status, as 429, or kind, as 5xx."),
    "request_id": _filter("--request-id", "Only the request of that X-Request-ID."),
}


def list_(
    session: Session,
    *,
    all: Annotated[bool, typer.Option("--all", help="Every one, not only the first page.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    page_size: Annotated[
        int | None, typer.Option("--page-size", min=1, max=1000, help="How many a request asks for.")
    ] = None,
    **filters: Any,
) -> None:
    """List requests, newest first: what each used, what it cost, and how long it took."""
    if all and limit:
        raise UsageError("--all and --limit exclude each other")
    found = walk(session, _path(session, ""), _query(filters), all=all, limit=limit, page_size=page_size)
    if session.output.quiet and not session.output.json:
        for record in found.records:
            typer.echo(record.get("request_id", ""))
    else:
        everywhere = ("workspace",) if session.workspace == "-" else ()
        session.output.records(found.records, ("at", *everywhere, *_COLUMNS[1:]))
    if not found.records:
        session.output.note("no usage")
    elif found.more:
        session.output.note(f"{found.shown}; --all shows every one")


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
    query = {**_query(filters), "group_by": by, **({"limit": limit} if limit else {})}
    found = session.client.call("GET", _path(session, ":summary"), query=query, seconds=_SECONDS).record()
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
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to stdout.")
    ] = None,
    **filters: Any,
) -> None:
    """Write all usage up to now, oldest first."""
    if format not in _FORMATS:
        raise UsageError(f"--format takes {', '.join(_FORMATS)}")
    show, lines = progress(session.output.quiet, "lines exported"), 0
    query, headers = {**_query(filters), "format": format}, {"accept": _FORMATS[format]}
    with (
        session.client.stream(_path(session, ":export"), query=query, headers=headers, seconds=_SECONDS) as answer,
        target(output) as write,
    ):
        for chunk in answer.iter_bytes(_CHUNK):
            write(chunk)
            lines += chunk.count(b"\n")
            if output:
                show(lines, None)
    show(0, None)
    if output:
        titles = 1 if format == "csv" else 0
        session.output.note(f"{max(lines - titles, 0):,} requests written to {output}")


def _path(session: Session, verb: str) -> str:
    return f"/apis/steelyard/v1/workspaces/{segment(session.workspace, 'workspace')}/usage{verb}"


def _query(filters: Mapping[str, str | None]) -> dict[str, str | int | list[str]]:
    query: dict[str, str | int | list[str]] = {}
    for name, value in filters.items():
        if value is not None:
            query[name] = moment(value) if name in {"since", "until"} else value
    return query


def moment(text: str) -> str:
    """A time as the server takes it; the server says what is wrong with one that is neither this nor that."""
    found = _AGO.fullmatch(text)
    if found is None:
        return text
    try:
        moment = datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise UsageError(f"{text} ago is before the first year") from None
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


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
    app = typer.Typer(
        name="usage",
        help="Usage: what was used of models, what it cost, and how long it took.",
        no_args_is_help=True,
        epilog=epilog,
    )
    app.callback()(remember)
    for name, function in (("list", list_), ("summary", summary), ("export", export)):
        app.command(name)(with_session(function, _FILTERS))
    return app
