"""How every write is answered: done, done once for a key, or only shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import orjson
from fastapi import Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.perform import OnceKey, perform, perform_for_show, perform_once
from steelyard.actions.writes import Write, Written
from steelyard.api import answers
from steelyard.api.answers import Answer
from steelyard.api.requests import caller_of, context_of, header
from steelyard.errors import InvalidParameters
from steelyard.store.protocol import KeptAnswer

_KEY_LENGTH = 255
_REPEATED = (b"idempotent-replayed", b"true")

Shape = Callable[[Written], Answer]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What a caller may say of any write, in its query."""

    dry_run: bool = False


def _options(
    dry_run: Annotated[
        bool, Query(description="Validate and show what would happen, and what else it would touch; store nothing.")
    ] = False,
    reason: Annotated[
        str | None, Query(max_length=1000, description="Why, for the history; or the header `X-Steelyard-Reason`.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Header(
            max_length=_KEY_LENGTH,
            description="The same key with the same request gives the first answer again, for 24 hours.",
        ),
    ] = None,
    if_match: Annotated[str | None, Header(description="Entity tags; another state of the record is 412.")] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: only if the record is not there.")] = None,
) -> WriteOptions:
    # What is not used here stands for the documentation: `reason` and the headers are read where they are needed.
    return WriteOptions(dry_run)


Options = Annotated[WriteOptions, Depends(_options)]
PLAIN = WriteOptions()


async def answer_write(
    request: Request, write: Write, options: WriteOptions, shape: Shape, body: bytes = b""
) -> Response:
    """Performs `write` as the caller wants it, and shapes the answer. `body` is what came, for idempotency keys."""
    context = context_of(request)
    if options.dry_run:
        written, preview = await perform_for_show(context, write)
        return _show(written, preview.document())
    key = header(request, b"idempotency-key")
    if key is None:
        return shape(await perform(context, write))

    def keep(written: Written) -> KeptAnswer:
        answer = shape(written)
        headers = [(name.decode(), value.decode("latin-1")) for name, value in answer.raw_headers]
        return KeptAnswer("", answer.status_code, headers, bytes(answer.body).decode())

    kept, repeated = await perform_once(context, write, _once_key(request, key, body), keep)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in kept.headers if name != "content-length"]
    return Answer(kept.body.encode(), kept.status, [*headers, _REPEATED] if repeated else headers)


def _once_key(request: Request, key: bytes, body: bytes) -> OnceKey:
    text = key.decode("latin-1")
    if not text.isascii() or not text.isprintable() or not 0 < len(text) <= _KEY_LENGTH:
        message = f"must have 1 to {_KEY_LENGTH} printable ASCII characters"
        raise InvalidParameters.of(("header", "Idempotency-Key"), "idempotency_key", message)
    scope = f"{caller_of(request).name or ''} {request.method} {request.scope['path']}"
    conditions = [header(request, name) or b"" for name in (b"if-match", b"if-none-match", b"content-type")]
    return OnceKey.of(scope, text, request.scope["query_string"], *conditions, body)


def _show(written: Written, preview: dict[str, object]) -> Response:
    headers = [(b"content-type", b"application/json")]
    return Answer(orjson.dumps({**written.document, "dry_run": preview}), 200, headers)


def shape_record(status: int = 200) -> Shape:
    """Answers the record as it is now."""
    return lambda written: answers.one(written.row, written.document, status)


def shape_gone(written: Written) -> Answer:
    """Answers nothing, and counts the records that still name what is gone."""
    return Answer(b"", 204, answers.dangling(written))


def shape_gone_message(message: str, id: str) -> Shape:
    """The same with an object, for the kinds whose deletes are answered so."""
    return lambda written: answers.json({"message": message, "id": id}, headers=answers.dangling(written))
