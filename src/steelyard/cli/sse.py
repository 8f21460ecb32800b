"""Server-Sent Events as they come in, line by line: the part of the standard that a feed needs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event: the id to go on from (empty: it had none), and its data."""

    id: str
    data: str


def events(lines: Iterable[str]) -> Iterator[Event]:
    """The events that the lines of a stream say; what a cut leaves unfinished is none.

    Source: the HTML standard, 9.2.6, "Interpreting an event stream".
    """
    id = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Event(id, "\n".join(data))
            data = []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        # A line that begins with a colon is a comment, sent to show that somebody is there.
        if name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            id = value
