"""Requests to a provider by its own name: they go on as they are, and so does what is answered.

Nothing is chosen, translated or tried again. The limits of the provider's workspace count them, and what can be read of
their usage in passing is written down.
"""

import asyncio
from collections.abc import Sequence

import orjson
from starlette.types import Send

from steelyard.errors import SteelyardError
from steelyard.gateway.answering import error_answer, send_error
from steelyard.gateway.attempts import AttemptFailed, Opened, usage_of
from steelyard.gateway.calls import Call
from steelyard.gateway.cost import estimate
from steelyard.gateway.dialects.watch import StreamWatch
from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.gateway import Asker, Gateway, Told
from steelyard.gateway.headers import Header
from steelyard.gateway.limiter import Reservation
from steelyard.gateway.limits import LimitRule
from steelyard.gateway.meter import Usage
from steelyard.gateway.paths import OTHER
from steelyard.gateway.sending import send_raw
from steelyard.gateway.sse import blocks
from steelyard.gateway.streams import Events
from steelyard.gateway.table import Target

_METERED_BYTES = 1_048_576
"""How much of an answer is looked at for its usage."""


class Meter:
    """Reads the usage in an answer that passes by; what it cannot read, it lets be."""

    def __init__(self, dialect: str, headers: Sequence[Header]) -> None:
        kind = next((value.lower() for name, value in headers if name == b"content-type"), b"")
        packed = any(name == b"content-encoding" and value != b"identity" for name, value in headers)
        self._dialect = dialect if dialect != OTHER and not packed else None
        self._watch = StreamWatch(dialect) if self._dialect and kind.startswith(b"text/event-stream") else None
        self._events = Events(_METERED_BYTES)
        self._parts: list[bytes] = []
        self._left = _METERED_BYTES

    def add(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._dialect is None:
            return
        if self._watch is None:
            self._left -= len(data)
            if self._left >= 0:
                self._parts.append(data)
            return
        try:
            for block in blocks(self._events.push(data)):
                self._watch.feed(block)
        except (UpstreamFailed, SteelyardError):
            self._dialect = None

    @property
    def usage(self) -> Usage | None:
        """What was found."""
        if self._dialect is None or self._watch is not None:
            return self._watch.usage if self._watch is not None else None
        try:
            said = orjson.loads(b"".join(self._parts)) if self._left >= 0 else None
        except orjson.JSONDecodeError:
            return None
        return usage_of(said, self._dialect) if isinstance(said, dict) else None


async def pass_raw(
    gateway: Gateway,
    call: Call,
    target: Target,
    rules: Sequence[LimitRule],
    workspace: str,
    model: str,
    asker: Asker,
    send: Send,
) -> None:
    """Answers a request to a provider."""
    parts, loop = gateway.parts, asyncio.get_running_loop()
    reservation: Reservation | None = None
    opened: Opened | None = None
    told: Told | None = None
    meter: Meter | None = None
    try:
        if rules:
            expected = estimate(call.body or {}, len(call.raw)).total if call.body else 0
            reservation = parts.limiter.reserve(
                rules, workspace=workspace, model=model, key=asker.key, tokens=expected, cost=0.0
            )
        if target.fault is not None:
            raise target.fault
        opened = await parts.attempts.attempt_raw(call, target)
        meter = Meter(call.dialect, opened.answer.headers)
        sent = await send_raw(send, call, opened, opened.headers, meter)
        parts.attempts.closed(opened, sent.outcome)
        if sent.error is not None:
            target.place.failed(loop.time())
            told = Told(sent.error.status, sent.error.code, meter.usage, target.provider)
        else:
            told = Told(opened.status, None, meter.usage, target.provider)
    except (AttemptFailed, SteelyardError) as failed:
        said = error_answer(failed, call.dialect)
        told = Told(said.status, said.code, provider=target.provider)
        await send_error(send, said)
    finally:
        if opened is not None and told is None:
            parts.attempts.closed(opened, "cancelled")
        told = told or Told.left(meter.usage if meter else None, target.provider)
        gateway.settle(call, workspace, f"{target.provider} {model}".strip(), None, None, asker, reservation, told)
