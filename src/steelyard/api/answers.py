"""The bytes of answers."""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from steelyard.actions.writes import Written
from steelyard.records.kinds import Document, Row

_JSON = b"application/json"
_WITHOUT_BODY = frozenset({204, 304})


class Answer(Response):
    """A response whose bytes are ready. (The framework's own takes its headers apart and together again.)"""

    def __init__(self, body: bytes, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = list(headers)
        if status not in _WITHOUT_BODY:
            self.raw_headers.append((b"content-length", b"%d" % len(body)))
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def one(row: Row, document: Document, status: int = 200) -> Answer:
    """One record, with its entity tag."""
    return Answer(orjson.dumps(document), status, [(b"content-type", _JSON), (b"etag", row.etag.encode())])


def not_modified(row: Row) -> Answer:
    """That the caller has the record already."""
    return Answer(b"", 304, [(b"etag", row.etag.encode())])


def json(body: Any, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    """Any other value."""
    return Answer(orjson.dumps(body), status, [(b"content-type", _JSON), *headers])


def dangling(written: Written) -> list[tuple[bytes, bytes]]:
    """The header that counts references to what is no more."""
    return [(b"x-steelyard-dangling", b"%d" % written.dangling)]
