"""Asks servers for files: each hop checked, credentials only for whom they are, broken transfers taken up again."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

from steelyard.errors import OutboundFailed
from steelyard.outbound.transport import OutboundAnswer, OutboundRequest, Timeouts, Transport
from steelyard.sources.rules import SourceRules, check_hop

T = TypeVar("T")

_MOST_HOPS = 8
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_PASSING_REASONS = frozenset({"timeout", "dns", "connect", "disconnect", "protocol", "short", "busy"})
_MOST_BREAKS = 100
_MOST_SKIPPED = 64 << 20
_MOST_ANSWER = 32 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_PRIVATE = frozenset({"authorization", "cookie", "x-amz-security-token"})


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask for; headers that hold credentials go to the host of `url` alone."""

    url: str
    headers: Sequence[tuple[str, str]] = ()


class Got:
    """An answer, and the headers of all answers that led to it, names in lower case, its own last."""

    def __init__(self, answer: OutboundAnswer, hops: Sequence[Mapping[str, str]]) -> None:
        self.answer = answer
        self.hops = hops

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.answer.status

    def header(self, name: str) -> str | None:
        """A header of the last answer."""
        return self.hops[-1].get(name)


Check = Callable[[Got], None]
"""Raises OutboundFailed if an answer is of another content than the one that was pinned."""


def changed(what: str = "the file") -> OutboundFailed:
    """The error of a content that is no longer what it was when the fileset was made."""
    return OutboundFailed(f"{what} has changed at its source since it was pinned; sync with repin", reason="changed")


class Fetcher:
    """Requests to sources, over a transport that keeps to the outbound policy."""

    def __init__(self, transport: Transport, rules: SourceRules) -> None:
        self._transport = transport
        self.rules = rules
        self._timeouts = Timeouts(rules.connect_seconds, rules.silence_seconds, None)

    @asynccontextmanager
    async def opened(self, ask: Ask) -> AsyncIterator[Got]:
        """The answer to a GET, redirects followed. Raises OutboundRefused, OutboundFailed."""
        url, headers = ask.url, [("accept-encoding", "identity"), *ask.headers]
        hops: list[Mapping[str, str]] = []
        async with AsyncExitStack() as stack:
            for _ in range(_MOST_HOPS):
                check_hop(self.rules, url)
                request = OutboundRequest("GET", url, headers, b"", self._timeouts)
                answer = await stack.enter_async_context(self._transport.open(request))
                hops.append(dict(answer.headers))
                location = hops[-1].get("location")
                if answer.status not in _REDIRECTS or not location:
                    yield Got(answer, hops)
                    return
                await stack.aclose()
                following = _joined(url, location)
                if _scheme(url) == "https" and _scheme(following) != "https":
                    raise OutboundFailed("the source leaves TLS in a redirect", reason="redirect")
                if _origin(following) != _origin(url):
                    headers = [(name, value) for name, value in headers if name.lower() not in _PRIVATE]
                url = following
            raise OutboundFailed("the source redirects in circles", reason="redirect")

    async def document(self, ask: Ask) -> tuple[Got, bytes]:
        """A whole answer of at most 32 MiB, whatever its status; what passes is tried again."""

        async def once() -> tuple[Got, bytes]:
            async with self.opened(ask) as got:
                if got.status in _PASSING:
                    raise _refused(got)
                parts, size = [], 0
                async for part in got.answer.chunks():
                    parts.append(part)
                    size += len(part)
                    if size > _MOST_ANSWER:
                        raise OutboundFailed("the source's answer is too long to be read", reason="long")
                return got, b"".join(parts)

        return await self._patiently(once)

    async def head(self, ask: Ask) -> Got:
        """The beginning of an answer, whatever its status; what passes is tried again."""

        async def once() -> Got:
            async with self.opened(ask) as got:
                if got.status in _PASSING:
                    raise _refused(got)
                return got

        return await self._patiently(once)

    async def json(self, ask: Ask) -> tuple[Got, Any]:
        """A whole answer as JSON; None unless its status is 200."""
        got, body = await self.document(ask)
        if got.status != 200:
            return got, None
        try:
            return got, json.loads(body)
        except (ValueError, RecursionError):
            raise OutboundFailed("the source's answer is not JSON", reason="protocol") from None

    async def range(
        self, ask: Callable[[], Awaitable[Ask]], size: int, offset: int, length: int, check: Check
    ) -> bytes:
        """Exactly `length` bytes from `offset` of a file of `size` bytes."""

        async def once() -> bytes:
            asked = await ask()
            async with self.opened(_with_range(asked, offset, offset + length)) as got:
                _check_file(got, check)
                skip = offset - _start(got, offset, size)
                if skip > _MOST_SKIPPED:
                    raise OutboundFailed("the source does not answer ranges", reason="protocol")
                held, seen = bytearray(), 0
                async for part in got.answer.chunks():
                    held += part[max(0, skip - seen) :]
                    seen += len(part)
                    if len(held) >= length:
                        return bytes(held[:length])
            raise OutboundFailed("the source sent less than it was asked for", reason="short")

        return await self._patiently(once)

    async def stream(self, ask: Callable[[], Awaitable[Ask]], size: int, check: Check) -> AsyncIterator[bytes]:
        """All `size` bytes of a file, in pieces; a transfer that breaks goes on where it was."""
        done, failures, breaks = 0, 0, 0
        while True:
            before = done
            try:
                async with aclosing(self._rest(await ask(), done, size, check)) as parts:
                    async for part in parts:
                        done += len(part)
                        yield part
            except OutboundFailed as failed:
                breaks += 1
                failures = 1 if done > before else failures + 1
                if not _passes(failed) or failures >= self.rules.attempts or breaks > _MOST_BREAKS:
                    raise
                await self._pause(failures)
            else:
                return

    async def _rest(self, ask: Ask, done: int, size: int, check: Check) -> AsyncGenerator[bytes, None]:
        """What follows the first `done` bytes of a file, in one transfer."""
        async with self.opened(_with_range(ask, done, None) if done else ask) as got:
            _check_file(got, check)
            skip = done - _start(got, done, size)
            async for part in got.answer.chunks():
                rest = part[skip:] if skip else part
                skip = max(0, skip - len(part))
                done += len(rest)
                if done > size:
                    raise OutboundFailed("the source sends more than it said", reason="long")
                if rest:
                    yield rest
        if done < size:
            raise OutboundFailed("the source sent less than it said", reason="short")

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await once()
            except OutboundFailed as failed:
                failures += 1
                if not _passes(failed) or failures >= self.rules.attempts:
                    raise
                await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        await asyncio.sleep(min(self.rules.pause * 2 ** (failures - 1), 30.0))


async def all_of(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all of them, at once; the first error ends the others. Raises what they raise."""
    tasks = [asyncio.create_task(one) for one in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def bearer(token: str | None) -> list[tuple[str, str]]:
    """The header that shows a token, if there is one. Raises OutboundFailed for one that no header can hold."""
    if token is None:
        return []
    if not token.isascii() or not token.isprintable():
        raise OutboundFailed("the secret is not a token: it has characters that no header can hold", reason="secret")
    return [("authorization", f"Bearer {token}")]


def strong_etag(got: Got) -> str | None:
    """The entity tag of an answer, None for a weak one or none."""
    tag = got.header("etag")
    return tag if tag and tag.startswith('"') and len(tag) < 256 else None


def file_size(got: Got) -> int | None:
    """How long the whole file is, from the answer to a request for its first byte."""
    # An empty file has no first byte: it is answered with 416, and the same header.
    ranged = got.status in {206, 416}
    text = got.header("content-range" if ranged else "content-length") or ""
    number = text.rpartition("/")[2] if ranged else text
    return int(number) if number.isdigit() and len(number) < 19 else None


def _with_range(ask: Ask, start: int, stop: int | None) -> Ask:
    last = "" if stop is None else str(stop - 1)
    return Ask(ask.url, [*ask.headers, ("range", f"bytes={start}-{last}")])


def _check_file(got: Got, check: Check) -> None:
    if got.status not in {200, 206}:
        raise _refused(got)
    if (got.header("content-encoding") or "identity") != "identity":
        raise OutboundFailed("the source sends the file in an encoding that was not asked for", reason="protocol")
    check(got)


def _refused(got: Got) -> OutboundFailed:
    status = got.status
    if status in {401, 403}:
        return OutboundFailed(f"the source refuses the credentials ({status})", reason="status", upstream_status=status)
    if status in {404, 410}:
        return OutboundFailed(
            f"the file is no longer at its source ({status})", reason="status", upstream_status=status
        )
    if status == 412:
        return changed()
    reason = "busy" if status in _PASSING else "status"
    return OutboundFailed(f"the source answers {status}", reason=reason, upstream_status=status)


def _start(got: Got, asked: int, size: int) -> int:
    """The offset of the first byte of the answer: what was asked for, or 0 if the range was not heeded."""
    if got.status == 200:
        length = got.header("content-length")
        if length is not None and length != str(size):
            raise changed()
        return 0
    match = _CONTENT_RANGE.fullmatch(got.header("content-range") or "")
    if match is None or int(match[1]) != asked:
        raise OutboundFailed("the source answers another range than it was asked for", reason="range")
    if match[3] not in {"*", str(size)}:
        raise changed()
    return asked


def _passes(failed: OutboundFailed) -> bool:
    return failed.details.get("reason") in _PASSING_REASONS


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        _unreadable()


def _scheme(url: str) -> str:
    return urlsplit(url).scheme.lower()


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme.lower())
        return parts.scheme.lower(), (parts.hostname or "").lower(), port
    except ValueError:
        _unreadable()


def _unreadable() -> NoReturn:
    raise OutboundFailed("the source redirects to something that is no address", reason="redirect") from None
