"""How every write is answered: done, done once for a key, or only shown."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

import orjson
from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import inspections
from steelyard.actions.perform import OnceKey, perform, perform_for_show, run_for_show, run_once
from steelyard.actions.writes import Write, Written
from steelyard.api import answers
from steelyard.api.answers import Answer
from steelyard.api.requests import caller_of, context_of, header
from steelyard.errors import InvalidParameters
from steelyard.store.protocol import WriteTransaction
from steelyard.store.queries import KeptAnswer

_KEY_LENGTH = 255
_REPEATED = (b"idempotent-replayed", b"true")

T = TypeVar("T")
Shape = Callable[[Written], Answer]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What a caller may say of any write, in its query."""

    dry_run: bool = False


async def options_of(request: Request) -> WriteOptions:
    """What the query says of the write. Raises InvalidParameters.

    Read by hand, for writes are many, and the framework's way of reading six parameters costs more than most of them.
    The document tells of the parameters by `WRITE_PARAMETERS`.
    """
    query = request.scope["query_string"]
    if b"dry_run" not in query:
        return PLAIN
    texts = request.query_params.getlist("dry_run")
    dry_run = _TRUTHS.get(texts[-1].lower()) if texts else False
    if dry_run is None:
        raise InvalidParameters.of(("query", "dry_run"), "bool_parsing", "must be true or false")
    return WriteOptions(dry_run)


_TRUTHS = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n"), False),
}
WRITE_PARAMETERS = (
    {
        "name": "dry_run",
        "in": "query",
        "description": "Validate and show what would happen, and what else it would touch; store nothing.",
        "schema": {"type": "boolean", "default": False},
    },
    {
        "name": "reason",
        "in": "query",
        "description": "Why, for the history; or the header `X-Steelyard-Reason`.",
        "schema": {"type": "string", "maxLength": 1000},
    },
    {
        "name": "idempotency-key",
        "in": "header",
        "description": "The same key with the same request gives the first answer again, for 24 hours.",
        "schema": {"type": "string", "maxLength": _KEY_LENGTH},
    },
    {
        "name": "if-match",
        "in": "header",
        "description": "Entity tags; another state of the record is 412.",
        "schema": {"type": "string"},
    },
    {
        "name": "if-none-match",
        "in": "header",
        "description": "`*`: only if the record is not there.",
        "schema": {"type": "string"},
    },
)
Options = Annotated[WriteOptions, Depends(options_of)]
PLAIN = WriteOptions()


async def answer_write(
    request: Request, write: Write, options: WriteOptions, shape: Shape, body: bytes = b""
) -> Response:
    """Performs `write` as the caller wants it, and shapes the answer. `body` is what came, for idempotency keys."""
    context = context_of(request)
    if options.dry_run:
        written, preview = await perform_for_show(context, write)
        return _show(written, preview.document())
    key = once_key(request, body)
    if key is None:
        return shape(await perform(context, write))

    first: list[Written] = []

    async def run(tx: WriteTransaction) -> KeptAnswer:
        first[:] = [await write.run(tx)]
        return kept_answer(shape(replace(first[0], once={})))

    kept, repeated = await run_once(context, run, key, heavy=write.heavy)
    if not repeated and first[0].once:
        return shape(first[0])
    return replayed(kept, repeated)


async def answer_run(
    request: Request,
    run: Callable[[WriteTransaction], Awaitable[T]],
    options: WriteOptions,
    shape: Callable[[T], Answer],
    body: bytes,
) -> Response:
    """Answers a write of many records, which shows itself what it does in a dry run."""
    context = context_of(request)
    if options.dry_run:
        return shape(await run_for_show(context, run))
    key = once_key(request, body)
    if key is None:
        return shape(await inspections.write(context, run, heavy=True))

    async def kept(tx: WriteTransaction) -> KeptAnswer:
        return kept_answer(shape(await run(tx)))

    return replayed(*await run_once(context, kept, key, heavy=True))


def once_key(request: Request, body: bytes) -> OnceKey | None:
    """The request's `Idempotency-Key`, if it has one. Raises InvalidParameters."""
    sent = header(request, b"idempotency-key")
    if sent is None:
        return None
    text = sent.decode("latin-1")
    if not text.isascii() or not text.isprintable() or not 0 < len(text) <= _KEY_LENGTH:
        message = f"must have 1 to {_KEY_LENGTH} printable ASCII characters"
        raise InvalidParameters.of(("header", "Idempotency-Key"), "idempotency_key", message)
    scope = f"{caller_of(request).name or ''} {request.method} {request.scope['path']}"
    conditions = [header(request, name) or b"" for name in (b"if-match", b"if-none-match", b"content-type")]
    return OnceKey.of(scope, text, request.scope["query_string"], *conditions, body)


def kept_answer(answer: Answer) -> KeptAnswer:
    """An answer in the form in which it is kept."""
    headers = [(name.decode(), value.decode("latin-1")) for name, value in answer.raw_headers]
    return KeptAnswer("", answer.status_code, headers, bytes(answer.body).decode())


def replayed(kept: KeptAnswer, repeated: bool) -> Answer:
    """A kept answer, which says of itself if it is a repetition."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in kept.headers if name != "content-length"]
    return Answer(kept.body.encode(), kept.status, [*headers, _REPEATED] if repeated else headers)


def _show(written: Written, preview: dict[str, object]) -> Response:
    headers = [(b"content-type", b"application/json")]
    return Answer(orjson.dumps({**written.document, "dry_run": preview}), 200, headers)


def shape_record(status: int = 200) -> Shape:
    """Answers the record as it is now."""
    return lambda written: answers.one(written.row, written.document | written.once, status)


def shape_gone(written: Written) -> Answer:
    """Answers nothing, and counts the records that still name what is gone."""
    return Answer(b"", 204, answers.dangling(written))


def shape_gone_record(written: Written) -> Answer:
    """Answers the record that is gone."""
    return answers.json(written.document, headers=answers.dangling(written))


def shape_gone_message(message: str, id: str) -> Shape:
    """The same with an object, for the kinds whose deletes are answered so."""
    return lambda written: answers.json({"message": message, "id": id}, headers=answers.dangling(written))
