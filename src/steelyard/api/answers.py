"""The bytes of answers."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from steelyard.actions.records import Deleted
from steelyard.records.documents import Document
from steelyard.records.kinds import Row

JSON = "application/json"


def one(row: Row, document: Document, status: int = 200) -> Response:
    """One record, with its entity tag."""
    return Response(orjson.dumps(document), status, {"etag": row.etag}, media_type=JSON)


def not_modified(row: Row) -> Response:
    """That the caller has the record already."""
    return Response(status_code=304, headers={"etag": row.etag})


def json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any other object."""
    return Response(orjson.dumps(body), status, dict(headers or {}), media_type=JSON)


def gone(deleted: Deleted) -> Response:
    """That a record is deleted; the header counts the records that still name it."""
    return Response(status_code=204, headers=dangling(deleted))


def gone_with_message(deleted: Deleted, message: str, id: str) -> Response:
    """The same, for the kinds whose deletes are answered with an object."""
    return json({"message": message, "id": id}, headers=dangling(deleted))


def dangling(deleted: Deleted) -> dict[str, str]:
    """The header that counts references to what is no more."""
    return {"x-steelyard-dangling": str(deleted.dangling)}
