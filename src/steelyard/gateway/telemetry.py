"""Traces of the requests for inference, where somebody asked for them; else nothing, at no cost.

The gateway calls `Telemetry.start` for each request, and `attempt` on what that answers for each upstream that it tries.
Off, both answer one shared object that does nothing. On, `tracing.py` makes spans of OpenTelemetry of them.
"""

from collections.abc import Sequence
from typing import Protocol

from steelyard.gateway.meter import Usage

TraceHeaders = tuple[tuple[bytes, bytes], ...]
"""What tells an upstream which trace it is a part of: `traceparent`, and `tracestate` if the client sent one."""


class AttemptSpan(Protocol):
    """One try with one upstream."""

    @property
    def headers(self) -> TraceHeaders:
        """What to send to this upstream instead of the client's own; empty where the client's go on as they are."""

    def end(self, outcome: str, status: int | None = None) -> None:
        """The try has ended with one of `metrics.OUTCOMES`, and the upstream's HTTP status if there was one."""


class RequestSpan(Protocol):
    """One request of a client."""

    @property
    def headers(self) -> TraceHeaders:
        """As those of an attempt, for a request to an upstream that is no attempt."""

    def attempt(self, provider: str, address: str) -> AttemptSpan:
        """A try with `provider` (`workspace/name`) at the URL `address` begins; host and port of it are told."""

    def end(
        self,
        status: int,
        usage: Usage | None = None,
        finish_reasons: Sequence[str] = (),
        error_type: str | None = None,
        response_model: str | None = None,
    ) -> None:
        """The request has been answered with `status`, or broken off (499)."""


class Telemetry(Protocol):
    """Where traces go."""

    def start(
        self,
        request_id: str,
        traceparent: bytes | None,
        operation: str,
        model: str,
        dialect: str,
        stream: bool,
        tracestate: bytes | None = None,
    ) -> RequestSpan:
        """A request begins. `operation` is one of "chat", "text_completion" and "embeddings"."""

    async def close(self) -> None:
        """Sends what has not been sent yet, for a few seconds at most."""


class _NoSpan:
    """A request and an attempt of which nothing is noted."""

    __slots__ = ()
    headers: TraceHeaders = ()

    def attempt(self, provider: str, address: str) -> "_NoSpan":
        return self

    def end(self, *_: object, **__: object) -> None:
        pass


class NoTelemetry:
    """Notes nothing."""

    __slots__ = ()
    off: RequestSpan = _NoSpan()
    """The span of every request."""

    def start(self, *_: object, **__: object) -> RequestSpan:
        """The one span that does nothing."""
        return NoTelemetry.off

    async def close(self) -> None:
        """There is nothing to send."""
