"""The bytes of answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from steelyard.actions.records import Deleted
from steelyard.records.documents import Document
from steelyard.records.kinds import Row

_JSON = b"application/json"


class Answer(Response):
    """A response whose bytes are ready. (The framework's own takes its headers apart and together again.)"""

    def __init__(self, body: bytes, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
        self.background = None


def one(row: Row, document: Document, status: int = 200) -> Answer:
    """One record, with its entity tag."""
    return Answer(orjson.dumps(document), status, [(b"content-type", _JSON), (b"etag", row.etag.encode())])


def not_modified(row: Row) -> Response:
    """That the caller has the record already."""
    return Response(status_code=304, headers={"etag": row.etag})


def json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Any other object."""
    extra = [(key.encode(), value.encode()) for key, value in (headers or {}).items()]
    return Answer(orjson.dumps(body), status, [(b"content-type", _JSON), *extra])


def gone(deleted: Deleted) -> Response:
    """That a record is deleted; the header counts the records that still name it."""
    return Response(status_code=204, headers=dangling(deleted))


def gone_with_message(deleted: Deleted, message: str, id: str) -> Answer:
    """The same, for the kinds whose deletes are answered with an object."""
    return json({"message": message, "id": id}, headers=dangling(deleted))


def dangling(deleted: Deleted) -> dict[str, str]:
    """The header that counts references to what is no more."""
    return {"x-steelyard-dangling": str(deleted.dangling)}
