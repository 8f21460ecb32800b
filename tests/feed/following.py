"""Followers of the feed: by the page, and by Server-Sent Events over connections that can be cut anywhere."""

import json
import random
import socket
import threading
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

EVENTS = "/apis/steelyard/v1/events"
Event = dict[str, Any]


def page(http: httpx.Client, **query: Any) -> tuple[list[Event], str]:
    """One page: its events, and where the next one starts."""
    answer = http.get(EVENTS, params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["data"], body["next_cursor"]


def latest(http: httpx.Client) -> str:
    return page(http, after="latest")[1]


def all_pages(http: httpx.Client, after: str = "0", **query: Any) -> list[Event]:
    """Every event after a cursor, as they are by the time the end is reached."""
    found: list[Event] = []
    while True:
        events, following = page(http, after=after, **query)
        found += events
        if following == after:
            return found
        after = following


class Stream:
    """One connection to the stream, read event by event, as its bytes come."""

    def __init__(self, url: str, last: str | None = None, timeout: float = 20, **query: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout)
        self._buffer = b""
        resume = f"Last-Event-ID: {last}\r\n" if last else ""
        path = f"{EVENTS}?{urlencode(query)}"
        head = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n{resume}\r\n"
        )
        try:
            self.socket.sendall(head.encode())
            self.head = self._until(b"\r\n\r\n").decode()
        except (OSError, EOFError):
            self.socket.close()
            raise

    def _until(self, mark: bytes) -> bytes:
        seen = 0
        while (end := self._buffer.find(mark, max(0, seen - len(mark)))) < 0:
            seen = len(self._buffer)
            part = self.socket.recv(1_048_576)
            if not part:
                raise EOFError
            self._buffer += part
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def next(self) -> Event:
        """The next event. Raises EOFError where the stream ends, OSError where it is cut."""
        while True:
            # Chunk sizes stand in lines of their own, which start with none of the names of fields.
            block = self._until(b"\n\n").decode()
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:4] in {"id: ", "even", "data"})
            if "data" in fields:
                event: Event = json.loads(fields["data"])
                assert (event["cursor"], event["event"]) == (fields["id"], fields["event"])
                return event

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class Follower(threading.Thread):
    """Follows the stream from the beginning, reconnects with the last id that it has seen, and cuts itself off at
    random. `url` may change under it: then the server has been started again.
    """

    def __init__(self, url: str, seed: int, **query: str) -> None:
        super().__init__()
        self.url = url
        self.events: list[Event] = []
        self.cuts = 0
        self._random = random.Random(seed)
        self._query = query
        self._ended = threading.Event()
        self._caught_up = threading.Condition()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow(self._random.randint(0, 60))
            except (OSError, EOFError):
                self.cuts += 1
                self._ended.wait(0.01)

    def _follow(self, most: int) -> None:
        last = self.events[-1]["cursor"] if self.events else None
        with Stream(self.url, last, timeout=1, after="0", **self._query) as stream:
            for _ in range(most):
                event = stream.next()
                with self._caught_up:
                    self.events.append(event)
                    self._caught_up.notify_all()
        self.cuts += 1

    def wait_for(self, cursor: str, seconds: float = 60) -> None:
        """Returns when the change of that number, or a later one, has been seen."""

        def seen() -> bool:
            return bool(self.events) and int(self.events[-1]["cursor"]) >= int(cursor)

        with self._caught_up:
            assert self._caught_up.wait_for(seen, seconds), f"the follower never saw {cursor}"

    def end(self) -> None:
        self._ended.set()
        self.join()
