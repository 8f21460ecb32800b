"""Spans of OpenTelemetry for requests and attempts, by its conventions for generative models, sent by OTLP over HTTP.

Imported only where traces are wanted: it needs the extra `steelyard[otel]`. The names of attributes are those of
https://github.com/open-telemetry/semantic-conventions-genai, and of the general conventions for HTTP and errors. No
content is ever among them.
"""

import asyncio
import contextlib
import threading
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from steelyard import __version__
from steelyard.gateway.meter import Usage
from steelyard.gateway.telemetry import TraceHeaders

_QUEUE, _BATCH = 8192, 512
_EVERY_MILLISECONDS = 2000
_CLOSE_SECONDS = 5.0
_KEPT_ADDRESSES = 1024
_PATH = "/v1/traces"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_Attributes = dict[str, str | bool | int | float | Sequence[str]]


class Tracing:
    """Makes spans and sends them; see `telemetry.Telemetry`."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str] | None, *, sample_ratio: float, service_name: str
    ) -> None:
        exporter = OTLPSpanExporter(
            endpoint=endpoint if endpoint.endswith(_PATH) else endpoint.rstrip("/") + _PATH,
            # None leaves it to OTEL_EXPORTER_OTLP_HEADERS.
            headers=dict(headers) if headers else None,
        )
        self._counted = _Counted(exporter)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=Resource.create({"service.name": service_name, "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._counted,
                max_queue_size=_QUEUE,
                max_export_batch_size=_BATCH,
                schedule_delay_millis=_EVERY_MILLISECONDS,
            )
        )
        self._tracer = self._provider.get_tracer("steelyard", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._addresses: dict[str, _Attributes] = {}

    def start(
        self,
        request_id: str,
        traceparent: bytes | None,
        operation: str,
        model: str,
        dialect: str,
        stream: bool,
        tracestate: bytes | None = None,
    ) -> "_Request":
        """A request begins, as a part of the client's trace if `traceparent` is valid (W3C Trace Context)."""
        context = Context()
        if traceparent is not None:
            carrier = {"traceparent": traceparent.decode("latin-1")}
            if tracestate is not None:
                carrier["tracestate"] = tracestate.decode("latin-1")
            context = self._propagator.extract(carrier, context)
        attributes: _Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _flavour(dialect),
            "gen_ai.request.model": model,
            "steelyard.request_id": request_id,
            "steelyard.dialect": dialect,
        }
        if stream:
            attributes["gen_ai.request.stream"] = True
        name = f"{operation} {model}"
        span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes)
        if span.is_recording():
            self._counted.begun += 1
        return _Request(self, self._tracer, span, name, attributes)

    @property
    def dropped(self) -> int:
        """How many spans were lost, at least."""
        return self._counted.dropped

    async def close(self) -> None:
        """Sends what has not been sent yet, for a few seconds at most."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # A thread that nobody waits for at the end: a receiver that does not answer must not hold up a stop.
        threading.Thread(target=shut_down, daemon=True, name="steelyard-traces").start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _CLOSE_SECONDS)

    def address(self, url: str) -> _Attributes:
        """Host and port of a URL, as attributes."""
        found = self._addresses.get(url)
        if found is None:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
            found = {"server.address": parts.hostname or "", "server.port": port}
            if len(self._addresses) < _KEPT_ADDRESSES:
                self._addresses[url] = found
        return found

    def began(self, span: Span) -> None:
        """Counts a span that will be sent."""
        if span.is_recording():
            self._counted.begun += 1


class _Request:
    """The span of a request."""

    __slots__ = ("_attempts", "_attributes", "_name", "_span", "_tracer", "_tracing")

    def __init__(self, tracing: Tracing, tracer: Tracer, span: Span, name: str, attributes: _Attributes) -> None:
        self._tracing = tracing
        self._tracer = tracer
        self._span = span
        self._name = name
        self._attributes = attributes
        self._attempts = 0

    @property
    def headers(self) -> TraceHeaders:
        """What makes an upstream's spans children of this one."""
        return _headers(self._span)

    def attempt(self, provider: str, address: str, dialect: str | None = None) -> "_Attempt":
        """A try with one upstream begins."""
        attributes: _Attributes = {
            "gen_ai.operation.name": self._attributes["gen_ai.operation.name"],
            "gen_ai.provider.name": _flavour(dialect) if dialect else self._attributes["gen_ai.provider.name"],
            "gen_ai.request.model": self._attributes["gen_ai.request.model"],
            "steelyard.provider": provider,
            **self._tracing.address(address),
        }
        if self._attempts:
            attributes["http.request.resend_count"] = self._attempts
        self._attempts += 1
        context = set_span_in_context(self._span, Context())
        span = self._tracer.start_span(self._name, context, SpanKind.CLIENT, attributes)
        self._tracing.began(span)
        return _Attempt(span)

    def end(
        self,
        status: int,
        usage: Usage | None = None,
        finish_reasons: Sequence[str] = (),
        error_type: str | None = None,
        response_model: str | None = None,
        first_token: float | None = None,
    ) -> None:
        """The request has been answered, or broken off."""
        span = self._span
        if not span.is_recording():
            return
        attributes: _Attributes = {"http.response.status_code": status}
        if usage is not None:
            attributes |= _used(usage)
        if finish_reasons:
            attributes["gen_ai.response.finish_reasons"] = list(finish_reasons)
        if response_model:
            attributes["gen_ai.response.model"] = response_model
        if first_token is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = first_token
        if error_type or status >= 500:
            attributes["error.type"] = error_type or str(status)
        if status >= 500:
            # A server's span is not an error where the client was wrong, or went away.
            span.set_status(StatusCode.ERROR)
        span.set_attributes(attributes)
        span.end()


class _Attempt:
    """The span of a try with one upstream."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def headers(self) -> TraceHeaders:
        """What makes the upstream's spans children of this one."""
        return _headers(self._span)

    def end(self, outcome: str, status: int | None = None) -> None:
        """The try has ended."""
        span = self._span
        if not span.is_recording():
            return
        attributes: _Attributes = {"steelyard.outcome": outcome}
        if status is not None:
            attributes["http.response.status_code"] = status
        if outcome != "ok":
            failed = status is not None and status >= 400
            attributes["error.type"] = str(status) if failed else outcome
            if outcome != "cancelled":
                span.set_status(StatusCode.ERROR)
        span.set_attributes(attributes)
        span.end()


class _Counted(SpanExporter):
    """An exporter that knows how many spans it was given, and how many did not arrive."""

    def __init__(self, inner: SpanExporter) -> None:
        self.begun = 0
        self._inner = inner
        self._given = self._failed = 0

    @property
    def dropped(self) -> int:
        """Those that did not arrive, and those that cannot be waiting any more."""
        return self._failed + max(0, self.begun - self._given - _QUEUE)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends spans; called in the processor's thread."""
        self._given += len(spans)
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Ends the connection."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        return self._inner.force_flush(timeout_millis)


def _flavour(dialect: str) -> str:
    """Whose conventions the requests and answers follow: `gen_ai.provider.name`."""
    return "anthropic" if dialect.startswith("anthropic") else "openai"


def _used(usage: Usage) -> _Attributes:
    found = {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_input or None,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write or None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
    }
    return {name: number for name, number in found.items() if number is not None}


def _headers(span: Span) -> TraceHeaders:
    context = span.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
    headers: TraceHeaders = ((b"traceparent", parent.encode("ascii")),)
    if context.trace_state:
        headers = (*headers, (b"tracestate", context.trace_state.to_header().encode("latin-1")))
    return headers
