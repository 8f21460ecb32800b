"""Traces of the requests for inference, where somebody asked for them; else nothing, at no cost.

The gateway calls `Telemetry.start` for each request, and `attempt` on what that answers for each upstream it tries.
Off, both answer one shared object that does nothing. On, `tracing.py` makes spans of OpenTelemetry of them.
"""

from collections.abc import Sequence
from typing import Protocol

from steelyard.errors import StartupError
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

    def attempt(self, provider: str, address: str, dialect: str | None = None) -> AttemptSpan:
        """A try with `provider` (`workspace/name`) at the URL `address` begins; host and port of it are told.

        `dialect` is that in which it is asked, if not the client's.
        """

    def end(
        self,
        status: int,
        usage: Usage | None = None,
        finish_reasons: Sequence[str] = (),
        error_type: str | None = None,
        response_model: str | None = None,
        first_token: float | None = None,
    ) -> None:
        """The request has been answered with `status`, or broken off (499); its first token came after `first_token`
        seconds.
        """


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

    @property
    def dropped(self) -> int:
        """How many spans were lost, at least."""

    async def close(self) -> None:
        """Sends what has not been sent yet, for a few seconds at most."""


class _NoSpan:
    """A request and an attempt of which nothing is noted."""

    __slots__ = ()
    headers: TraceHeaders = ()

    def attempt(self, *_: object, **__: object) -> "_NoSpan":
        return self

    def end(self, *_: object, **__: object) -> None:
        pass


class NoTelemetry:
    """Notes nothing."""

    __slots__ = ()
    off: RequestSpan = _NoSpan()
    """The span of every request."""
    dropped = 0

    def start(self, *_: object, **__: object) -> RequestSpan:
        """The one span that does nothing."""
        return NoTelemetry.off

    async def close(self) -> None:
        """There is nothing to send."""


def open_telemetry(endpoint: str | None, headers: str | None, *, sample_ratio: float, service_name: str) -> Telemetry:
    """Traces that go to `endpoint`, with `headers` written as `name=value, name=value`; none without an endpoint.

    Raises StartupError where what is needed for traces is not installed.
    """
    if endpoint is None:
        return NoTelemetry()
    try:
        from steelyard.gateway.tracing import Tracing  # noqa: PLC0415 - it imports OpenTelemetry, which few need
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise StartupError(
            "telemetry.otlp_endpoint needs more than is installed: pip install 'steelyard[otel]'"
        ) from None
    pairs = (item.partition("=") for item in (headers or "").split(",") if item.strip())
    named = {name.strip(): value.strip() for name, _, value in pairs}
    return Tracing(endpoint, named, sample_ratio=sample_ratio, service_name=service_name)
