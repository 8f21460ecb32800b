"""What a client is sent when its request did not work, in the shape that clients of its dialect know."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from starlette.types import Send

from steelyard.errors import Conflict, InvalidInput, SteelyardError
from steelyard.gateway.attempts import AttemptFailed
from steelyard.gateway.dialects.errors import error_body, message_in
from steelyard.gateway.headers import Header
from steelyard.gateway.paths import OTHER
from steelyard.gateway.sending import send_whole

_OPENAI = "openai.chat"
_NAMES_ITSELF = frozenset({401, 403, 404})


class ErrorAnswer(NamedTuple):
    """An error as it is sent; `code` and `message` are for what is written down of it, and for streams."""

    status: int
    headers: list[Header]
    body: bytes
    code: str
    message: str


def error_answer(error: SteelyardError | AttemptFailed, dialect: str) -> ErrorAnswer:
    """The answer to a request that failed, in the shape of its dialect, with `detail` beside."""
    client = dialect if dialect == "anthropic.messages" else _OPENAI
    if isinstance(error, AttemptFailed):
        return _of_attempt(error, dialect, client)
    message, param = error.message, None
    if isinstance(error, InvalidInput) and error.faults:
        first = error.faults[0]
        param = ".".join(str(step) for step in first.location[1:]) or None
        message = f"{param}: {first.message}" if param else first.message
        if len(error.faults) > 1:
            message += f" (and {len(error.faults) - 1} more)"
    headers = {key.lower(): value for key, value in error.headers.items()}
    if isinstance(error, Conflict):
        headers["x-should-retry"] = "false"
    said = error_body(client, error.status, message, error.code, param=param) | error.details
    raw = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
    return ErrorAnswer(error.status, raw, orjson.dumps(said, default=str), error.code, message)


def _of_attempt(failed: AttemptFailed, dialect: str, client: str) -> ErrorAnswer:
    error = failed.error
    said: dict[str, Any] = error_body(client, failed.status, error.message, error.code) | error.details
    if failed.dialect == dialect and failed.upstream_status not in _NAMES_ITSELF:
        own = _own(failed.body, client)
        if dialect == OTHER:
            said |= _object_in(failed.body)  # in whatever shape
        elif own is not None:
            said = {"detail": message_in(own.get("error")) or error.message, "code": error.code, **own}
    headers = [header for header in failed.headers if header[0] != b"content-type"]
    return ErrorAnswer(failed.status, headers, orjson.dumps(said, default=str), error.code, error.message)


def _own(body: bytes, client: str) -> dict[str, Any] | None:
    """The upstream's own error, if it has the shape that clients of the dialect `client` know."""
    said = _object_in(body)
    error = said.get("error")
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    if client == "anthropic.messages" and (said.get("type") != "error" or not isinstance(error.get("type"), str)):
        return None
    return said


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


async def send_error(send: Send, said: ErrorAnswer) -> None:
    """Sends an error."""
    await send_whole(send, said.status, said.headers, said.body)
