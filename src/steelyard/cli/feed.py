"""`steelyard events`: the feed of changes, as far as it goes, or for as long as somebody looks."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from steelyard.cli.client import Client, Query
from steelyard.cli.errors import CliError, CutError, RefusedError, StartError
from steelyard.cli.output import Output
from steelyard.cli.session import Session
from steelyard.cli.sse import events as events_of
from steelyard.cli.walking import Limit

_PATH = "/apis/steelyard/v1/events"
_PAGE_SIZE = 500
# Four heartbeats of the server.
_SILENCE_SECONDS = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 15.0
# What a server answers that is stopping, or that stands behind something whose server is not there.
_LATER = frozenset({429, 500, 502, 503, 504})

_Event = dict[str, Any]


def events(
    session: Session,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")] = False,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="CURSOR", help="Only what came after this; `latest`: only what is to come."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="Only changes of this kind: model, prompt, …")
    ] = None,
    limit: Limit = None,
) -> None:
    """Show the changes of all records of a workspace in their order, the oldest first."""
    query: dict[str, str | int | list[str]] = {"kind": kind} if kind else {}
    if session.workspace != "-":
        query["workspace"] = session.workspace
    feed = Feed(session.client, query, after, session.output)
    try:
        for number, event in enumerate(feed.all() if follow else feed.past(), 1):
            _show(session.output, event)
            if number == limit:
                return
    except KeyboardInterrupt:
        # This is how one stops looking.
        return


class Feed:
    """The feed from a cursor on; it remembers how far it has come."""

    def __init__(self, client: Client, query: Query, after: str | None, output: Output) -> None:
        self._client = client
        self._query = query
        self._after = after
        self._output = output
        self._answered = False

    def past(self) -> Iterator[_Event]:
        """What has happened so far."""
        while True:
            position = {} if self._after is None else {"after": self._after}
            page = self._client.call("GET", _PATH, query={**self._query, "limit": _PAGE_SIZE, **position}).record()
            found, cursor = page.get("data"), page.get("next_cursor")
            if not isinstance(found, list):
                raise CliError("the answer is no feed; is --url the address of a Steelyard server?")
            self._answered = True
            yield from found
            ended = cursor is None or str(cursor) == self._after
            self._after = self._after if cursor is None else str(cursor)
            # A page may be empty and yet not the last: the server looks at a bounded number of changes for each.
            if ended:
                return

    def all(self) -> Iterator[_Event]:
        """What has happened so far, then what happens, also after the connection was cut."""
        source, wait = self.past, _FIRST_WAIT
        while True:
            try:
                for event in source():
                    wait = _FIRST_WAIT
                    yield event
                if source == self.past:
                    source = self._live
                    continue
                self._output.note("the server ended the stream; trying again")
            except (CutError, StartError, RefusedError) as error:
                refused = isinstance(error, RefusedError) and error.http_status not in _LATER
                if refused or not self._answered:
                    raise
                self._output.note(f"{error.message}; trying again")
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _live(self) -> Iterator[_Event]:
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if self._after is not None:
            headers["last-event-id"] = self._after
        with self._client.stream(_PATH, query=self._query, headers=headers, seconds=_SILENCE_SECONDS) as answer:
            for event in events_of(answer.iter_lines()):
                self._after = event.id or self._after
                yield _parsed(event.data)


def _parsed(data: str) -> _Event:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise CliError("an event of the feed is not JSON; is --url the address of a Steelyard server?")
    return event


def _show(output: Output, event: _Event) -> None:
    if output.json:
        output.json_line(event)
        return
    name = "/".join(str(event[key]) for key in ("workspace", "name") if event.get(key))
    at = str(event.get("at", ""))[:19].replace("T", " ")
    parts = [str(event.get("cursor", "")), at, str(event.get("event", "")), f"{name}@{event.get('revision')}"]
    # What is new has all its fields; that says nothing.
    if (changed := event.get("changed")) and not str(event.get("event")).endswith(".create"):
        parts.append(f"[{', '.join(map(str, changed))}]")
    if event.get("actor"):
        parts.append(f"by {event['actor']}")
    if event.get("reason"):
        parts.append(f"({event['reason']})")
    output.line("  ".join(parts))
