"""One attempt to have a request answered: sent to one target, and awaited until it is known to have worked.

A whole answer has worked when it is here and is what it should be; a stream, when its first token has come. Until then
nothing has been sent to the client, so that what fails can be tried elsewhere without its noticing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import orjson

from steelyard.errors import BadUpstreamAnswer, SteelyardError, UpstreamFailure, UpstreamStreamError, UpstreamTimeout
from steelyard.gateway.calls import Call, raw_request_for, request_for
from steelyard.gateway.connection import Answer
from steelyard.gateway.dialects.counts import chat_usage, messages_usage, responses_usage
from steelyard.gateway.dialects.errors import read_error
from steelyard.gateway.failures import SENTENCES, Failure, UpstreamFailed
from steelyard.gateway.headers import Header, HeaderLists
from steelyard.gateway.inflate import Inflate, inflate_of
from steelyard.gateway.meter import Usage
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.naming import rename_answer
from steelyard.gateway.paths import OTHER
from steelyard.gateway.pool import Pool
from steelyard.gateway.streams import Events, Passing, Stream, Translating
from steelyard.gateway.table import Candidate, Target
from steelyard.gateway.telemetry import AttemptSpan

_ERROR_BYTES = 65_536
_OURS = frozenset({401, 403, 404})
"""What an upstream says with these is about the gateway's key and route, not about the caller's."""
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_BUSY = frozenset({429, 503, 529})
_CANNOT = 501
"""What is asked is nothing that this engine does: it is well all the same, and will say so each time."""
_OUTCOMES: dict[Failure, str] = {
    **{"connect": "connect", "dns": "connect", "tls": "connect", "refused": "refused", "disconnect": "cut"},
    **{"cut": "cut", "timeout": "timeout", "protocol": "bad_answer", "bad_answer": "bad_answer"},
    **{"too_large": "bad_answer", "cancelled": "cancelled"},
}


@dataclass(slots=True, eq=False)
class AttemptFailed(Exception):
    """An attempt that did not work, and what the client is told if no other does.

    `final` says that no other attempt could: the request itself is at fault. `sent` says that the upstream may have
    worked on it. `body` is the upstream's own error, for a client of the same dialect.
    """

    error: SteelyardError
    status: int
    outcome: str
    final: bool = False
    sent: bool = True
    blames: bool = True
    """Whether it speaks against the target: not where the client has left, or has asked for what cannot be."""
    upstream_status: int | None = None
    retry_after: float | None = None
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    dialect: str = ""


@dataclass(slots=True)
class Opened:
    """An attempt that has worked: a whole answer in `body`, or the beginning of a stream in it and the rest to come."""

    target: Target
    candidate: Candidate | None
    answer: Answer
    status: int
    headers: list[Header]
    body: bytes
    usage: Usage | None = None
    reasons: Sequence[str] = ()
    """Why the answer ended, in the upstream's words; of a stream, the stream knows."""
    stream: Stream | None = None
    events: Events | None = None
    inflate: Inflate | None = None
    finished: bool = True
    """Whether `body` is all that there is."""
    first_token: float | None = None
    """When the first token came, by the loop's clock."""
    span: AttemptSpan | None = None
    began: float = 0.0


class Attempts:
    """Makes attempts."""

    def __init__(
        self,
        pool: Pool,
        lists: HeaderLists,
        metrics: GatewayMetrics,
        most_bytes: int,
        noted: Callable[[str, bool], None],
    ) -> None:
        """`noted` hears of each provider whether it has answered as it should."""
        self._noted = noted
        self._pool = pool
        self._lists = lists
        self._metrics = metrics
        self._most = most_bytes
        self._now = asyncio.get_running_loop().time

    def attempt(self, call: Call, candidate: Candidate, target: Target) -> Awaitable[Opened]:
        """Asks one target. Raises AttemptFailed; Overloaded if it is busy; InvalidInput for what cannot be translated.

        The target's place is taken until `closed` is called with what comes of it, or this raises.
        """
        # Before anything is taken: what cannot be translated is the client's to mend.
        call.body_for(candidate, target.served_name)
        return self._attempt(call, candidate, target)

    async def attempt_raw(self, call: Call, target: Target) -> Opened:
        """The same for a request that goes on as it is: it has worked when the head of an answer is here."""
        return await self._attempt(call, None, target)

    async def _attempt(self, call: Call, candidate: Candidate | None, target: Target) -> Opened:
        place = target.place
        await place.enter()
        began = self._now()
        asked_in = call.upstream_dialect(candidate) if candidate is not None else None
        span = call.span.attempt(target.provider, target.url, asked_in)
        outcome, answer, status = "cancelled", None, None
        try:
            if candidate is None:
                head, data = raw_request_for(call, target, span.headers)
            else:
                head, data = request_for(call, candidate, target, span.headers)
            call.attempts += 1
            call.deadline = min(call.deadline, call.started + target.patience.total)
            answer = await self._send(call, target, head, data)
            status = answer.status
            if not 200 <= status < 300 and not (candidate is None and status == 304):
                raise await self._refused(call, candidate, target, answer)
            opened = await self._opened(call, candidate, target, answer)
            outcome = "ok"
            opened.span, opened.began = span, began
            place.succeeded()
            self._noted(target.provider, True)
        except (UpstreamFailed, BadUpstreamAnswer, UpstreamStreamError, AttemptFailed) as error:
            failed = _failed(error, target)
            outcome = failed.outcome
            if failed.retry_after is not None and failed.upstream_status in _BUSY:
                place.hold(self._now() + failed.retry_after)
            elif failed.blames:
                place.failed(self._now())
            if failed.blames or failed.upstream_status in _OURS:
                self._noted(target.provider, False)
            raise failed from None
        finally:
            if outcome != "ok":
                if answer is not None:
                    answer.abort()
                place.leave()
                span.end(outcome, status)
                self._metrics.attempt(target.provider, outcome, self._now() - began)
        return opened

    def closed(self, opened: Opened, outcome: str = "ok") -> None:
        """What came of an attempt is with the client, or cannot be: its place is free, its connection too."""
        opened.answer.abort()
        opened.target.place.leave()
        if opened.span is not None:
            opened.span.end(outcome, opened.answer.status)
        self._metrics.attempt(opened.target.provider, outcome, self._now() - opened.began)

    async def _send(self, call: Call, target: Target, head: bytes, data: bytes) -> Answer:
        patience = target.patience
        left = call.deadline - self._now()
        answer = await self._pool.send(target.outbound, head, data, min(patience.connect, left))
        try:
            try:
                await answer.head(min(patience.first_byte, left))
            except UpstreamFailed as failed:
                if failed.reason != "disconnect" or not answer.reused:
                    raise
                # A kept connection that the other side had closed meanwhile: the request has not been looked at.
                answer = await self._pool.send(target.outbound, head, data, min(patience.connect, left), fresh=True)
                await answer.head(min(patience.first_byte, left))
        except BaseException:
            answer.abort()
            raise
        return answer

    async def _opened(self, call: Call, candidate: Candidate | None, target: Target, answer: Answer) -> Opened:
        if candidate is None or call.dialect == OTHER:
            headers = self._lists.to_client(answer.headers, raw=True)
            return Opened(target, candidate, answer, answer.status, headers, b"", finished=False)
        headers = self._lists.to_client(answer.headers)
        inflate = inflate_of(answer.headers, self._most)
        opened = Opened(target, candidate, answer, answer.status, headers, b"", inflate=inflate)
        upstream = call.upstream_dialect(candidate)
        if call.stream:
            await self._begin_stream(call, opened, upstream)
        else:
            await self._whole(call, opened, upstream)
        return opened

    async def _whole(self, call: Call, opened: Opened, upstream: str) -> None:
        opened.answer.expect(opened.target.patience.between_chunks, call.deadline)
        data = await opened.answer.body(self._most)
        if opened.inflate is not None:
            data = opened.inflate.feed(data)
        try:
            said = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise BadUpstreamAnswer("the upstream's answer is not JSON") from None
        if not isinstance(said, dict) or ("error" in said and said["error"] and not _ANSWERS & said.keys()):
            raise BadUpstreamAnswer("the upstream's answer is not one of its dialect")
        opened.usage = usage_of(said, upstream)
        if call.traced:
            opened.reasons = reasons_of(said)
        if upstream == call.dialect:
            opened.body = rename_answer(data, said, call.name)
        else:
            from steelyard.gateway.dialects import translate_response  # noqa: PLC0415 - see calls.py

            translated = translate_response(said, upstream, call.dialect, model=call.name, request=call.body)
            opened.body = orjson.dumps(translated)

    async def _begin_stream(self, call: Call, opened: Opened, upstream: str) -> None:
        """Reads until the first token, or until the end of a stream that has none."""
        answer = opened.answer
        kind = next((value for name, value in answer.headers if name == b"content-type"), b"")
        if not kind.lower().startswith(b"text/event-stream"):
            raise BadUpstreamAnswer("the upstream answered without a stream, though it was asked for one")
        stream: Stream
        if upstream == call.dialect:
            stream = Passing(upstream, call.name, hide_usage=call.hides_usage)
        else:
            stream = Translating(upstream, call.dialect, call.name, call.body, include_usage=call.include_usage)
        events, parts = Events(self._most), list[bytes]()
        # The first token has its time, whatever else is said before it.
        patience = opened.target.patience.first_byte
        answer.expect(patience, min(self._now() + patience, call.deadline))
        finished = False
        while not (stream.started or finished):
            data = await answer.read()
            if not data:
                _at_end(events)
                parts.append(stream.end())
                finished = True
                break
            if opened.inflate is not None:
                data = opened.inflate.feed(data)
            if whole := events.push(data):
                parts.append(stream.feed(whole))
                if stream.failure is not None:
                    raise stream.failure
                if stream.ended:
                    answer.drain()
                    finished = True
        opened.body = b"".join(parts)
        opened.stream, opened.events, opened.finished = stream, events, finished
        opened.first_token = self._now()

    async def _refused(self, call: Call, candidate: Candidate | None, target: Target, answer: Answer) -> AttemptFailed:
        """The upstream has answered with another status than success."""
        status = answer.status
        body = b""
        try:
            answer.expect(min(target.patience.between_chunks, 10.0), min(self._now() + 10.0, call.deadline))
            body = await answer.body(_ERROR_BYTES)
            if inflate := inflate_of(answer.headers, _ERROR_BYTES):
                body = inflate.feed(body)
        except UpstreamFailed:
            body = b""  # its status says enough
        upstream = call.dialect if candidate is None else call.upstream_dialect(candidate)
        failed = _of_status(status, read_error(upstream, status, body), target)
        failed.headers = self._lists.to_client(answer.headers)
        failed.retry_after = retry_after(answer.headers)
        failed.body, failed.dialect = body, upstream
        return failed


_ANSWERS = frozenset({"choices", "data", "content", "output"})
"""What answers have, one of these each; an error has none of them."""


def _at_end(events: Events) -> None:
    """Raises BadUpstreamAnswer if the upstream has ended in the middle of an event."""
    if events.rest.strip():
        raise BadUpstreamAnswer("the stream ended in the middle of an event")


def _failed(error: Exception, target: Target) -> AttemptFailed:
    """What any of these failures means for the attempt."""
    if isinstance(error, AttemptFailed):
        return error
    if isinstance(error, UpstreamFailed):
        sentence = f"{target.provider}: {SENTENCES[error.reason]}"
        if error.detail:
            sentence += f" ({error.detail})"
        told = (UpstreamTimeout if error.reason == "timeout" else UpstreamFailure)(sentence, reason=error.reason)
        sent = error.reason not in {"connect", "dns", "tls", "refused"}
        blames = error.reason != "cancelled"
        return AttemptFailed(told, told.status, _OUTCOMES[error.reason], sent=sent, blames=blames)
    if isinstance(error, UpstreamStreamError):
        return _of_status(error.upstream_status, error.message, target)
    assert isinstance(error, BadUpstreamAnswer)  # noqa: S101 - there are no others
    return AttemptFailed(error, error.status, "bad_answer")


def _of_status(status: int, message: str, target: Target) -> AttemptFailed:
    """What a status of an upstream means for the attempt, and for the client."""
    outcome = "rate_limited" if status == 429 else "error_5xx" if status >= 500 else "error_4xx"
    shown = 502 if status in _OURS or not 400 <= status < 600 else status
    error = UpstreamFailure(f"{target.provider} answered {status}: {message}", upstream_status=status)
    final = status not in _AGAIN and status not in _OURS and (400 <= status < 500 or status == _CANNOT)
    blames = status >= 500 and status != _CANNOT
    return AttemptFailed(error, shown, outcome, final, blames=blames, upstream_status=status)


def retry_after(headers: list[Header]) -> float | None:
    """The seconds after which an upstream wants to be asked again, if it says so."""
    found = dict(headers)
    milliseconds = found.get(b"retry-after-ms", b"")
    if milliseconds.replace(b".", b"", 1).isdigit():
        return float(milliseconds) / 1000
    text = found.get(b"retry-after", b"").decode("latin-1").strip()
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time(), 0.0) if text else None
    except (ValueError, OverflowError):
        return None


def reasons_of(said: dict[str, Any]) -> list[str]:
    """Why a whole answer ended, in the upstream's words."""
    choices = said.get("choices")
    given = [one.get("finish_reason") for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    return [str(reason) for reason in (*given, said.get("stop_reason")) if reason]


def usage_of(said: dict[str, Any], dialect: str) -> Usage | None:
    """The tokens that a whole answer tells of."""
    if dialect == "anthropic.messages":
        return messages_usage(said.get("usage"))
    return responses_usage(said.get("usage")) if dialect == "openai.responses" else chat_usage(said.get("usage"))
