"""Traces: spans by the conventions, in the client's trace, decoded by a receiver of OTLP; and nothing where none are
wanted.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from steelyard.errors import StartupError
from steelyard.gateway.meter import Usage
from steelyard.gateway.telemetry import NoTelemetry, RequestSpan, Telemetry, open_telemetry
from tests.gateway.collectors import Collector, attributes, collecting

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01".encode()
ADDRESS = "https://llm.example.com/v1"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def telemetry_to(collector: Collector, **options: Any) -> Telemetry:
    chosen = {"headers": None, "sample_ratio": 1.0, "service_name": "steelyard", **options}
    return open_telemetry(collector.url, **chosen)


def started(telemetry: Telemetry, traceparent: bytes | None = None, **options: Any) -> RequestSpan:
    chosen = {"operation": "chat", "model": "team/m", "dialect": "openai.chat", "stream": False, **options}
    return telemetry.start("req_1", traceparent, **chosen)


def header(headers: tuple[tuple[bytes, bytes], ...], name: bytes = b"traceparent") -> str:
    return dict(headers)[name].decode()


async def test_a_request_and_its_attempts_are_spans_by_the_conventions(collector: Collector) -> None:
    telemetry = telemetry_to(collector, headers="authorization=Bearer t0k3n, x-team=search", service_name="gate")
    span = started(telemetry, stream=True)
    first = span.attempt("team/vllm", "http://10.0.0.7:8000/v1")
    first.end("error_5xx", 503)
    second = span.attempt("team/claude", ADDRESS, "anthropic.messages")
    second.end("ok", 200)
    span.end(200, Usage(100, 20, 40, 5, 7), ("stop",), None, "team/m", 0.25)
    await telemetry.close()
    request, one, two = collector.wait(3)
    assert (request.name, request.kind, request.parent_span_id) == ("chat team/m", Span.SPAN_KIND_SERVER, b"")
    assert attributes(request) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "team/m",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "team/m",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_write.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 7,
        "http.response.status_code": 200,
        "steelyard.request_id": "req_1",
        "steelyard.dialect": "openai.chat",
    }
    assert request.status.code == Status.STATUS_CODE_UNSET
    for attempt in (one, two):
        assert (attempt.kind, attempt.parent_span_id) == (Span.SPAN_KIND_CLIENT, request.span_id)
        assert attempt.trace_id == request.trace_id
        assert request.start_time_unix_nano <= attempt.start_time_unix_nano
        assert attempt.end_time_unix_nano <= request.end_time_unix_nano
    assert attributes(one) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "team/m",
        "server.address": "10.0.0.7",
        "server.port": 8000,
        "http.response.status_code": 503,
        "error.type": "503",
        "steelyard.provider": "team/vllm",
        "steelyard.outcome": "error_5xx",
    }
    assert one.status.code == Status.STATUS_CODE_ERROR
    told = attributes(two)
    assert (told["gen_ai.provider.name"], told["server.port"], told["http.request.resend_count"]) == (
        "anthropic",
        443,
        1,
    )
    assert two.status.code == Status.STATUS_CODE_UNSET
    assert collector.resource["service.name"] == "gate"
    assert collector.paths == ["/v1/traces"]
    assert (collector.headers[0]["authorization"], collector.headers[0]["x-team"]) == ("Bearer t0k3n", "search")


async def test_a_clients_trace_goes_on_to_the_upstream(collector: Collector) -> None:
    telemetry = telemetry_to(collector)
    span = started(telemetry, TRACEPARENT, tracestate=b"vendor=1,other=2")
    attempt = span.attempt("team/vllm", ADDRESS)
    sent = header(attempt.headers)
    assert header(attempt.headers, b"tracestate") == "vendor=1,other=2"
    attempt.end("ok", 200)
    span.end(200)
    await telemetry.close()
    request, tried = collector.wait(2)
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert sent == f"00-{TRACE}-{tried.span_id.hex()}-01"
    assert header(span.headers) == f"00-{TRACE}-{request.span_id.hex()}-01"


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        b"",
        b"garbage",
        b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        b"\xff\xfe",
        b"00-" + b"4" * 100_000,
    ],
)
async def test_a_traceparent_that_is_none_begins_a_new_trace(collector: Collector, traceparent: bytes | None) -> None:
    telemetry = telemetry_to(collector)
    span = started(telemetry, traceparent, tracestate=b"vendor=1")
    span.end(200)
    await telemetry.close()
    [request] = collector.wait(1)
    assert request.trace_id.hex() != TRACE
    assert request.parent_span_id == b""
    assert header(span.headers) == f"00-{request.trace_id.hex()}-{request.span_id.hex()}-01"


async def test_the_client_decides_whether_its_trace_is_sampled_else_the_ratio(collector: Collector) -> None:
    telemetry = telemetry_to(collector, sample_ratio=0.0)
    unsampled = [started(telemetry), started(telemetry, TRACEPARENT[:-2] + b"00")]
    sampled = started(telemetry, TRACEPARENT)
    for span in (*unsampled, sampled):
        attempt = span.attempt("team/vllm", ADDRESS)
        assert header(attempt.headers).endswith("-01" if span is sampled else "-00")
        attempt.end("timeout")
        span.end(504, None, (), "timeout")
    assert header(unsampled[1].headers).startswith(f"00-{TRACE}-"), "it is passed on even so"
    await telemetry.close()
    assert {span.trace_id.hex() for span in collector.wait(2)} == {TRACE}
    assert len(collector.spans) == 2


@pytest.mark.parametrize(
    ("status", "error_type", "told", "code"),
    [
        (200, None, None, Status.STATUS_CODE_UNSET),
        (429, "rate_limited", "rate_limited", Status.STATUS_CODE_UNSET),
        (499, "cancelled", "cancelled", Status.STATUS_CODE_UNSET),
        (502, "upstream_failed", "upstream_failed", Status.STATUS_CODE_ERROR),
        (500, None, "500", Status.STATUS_CODE_ERROR),
    ],
)
async def test_what_went_wrong_is_told(
    collector: Collector, status: int, error_type: str | None, told: str | None, code: int
) -> None:
    telemetry = telemetry_to(collector)
    started(telemetry).end(status, None, (), error_type)
    await telemetry.close()
    [request] = collector.wait(1)
    assert attributes(request).get("error.type") == told
    assert request.status.code == code


@pytest.mark.parametrize(
    ("outcome", "status", "told", "code"),
    [
        ("rate_limited", 429, "429", Status.STATUS_CODE_ERROR),
        ("connect", None, "connect", Status.STATUS_CODE_ERROR),
        ("bad_answer", 200, "bad_answer", Status.STATUS_CODE_ERROR),
        ("cancelled", None, "cancelled", Status.STATUS_CODE_UNSET),
    ],
)
async def test_what_went_wrong_with_an_attempt_is_told(
    collector: Collector, outcome: str, status: int | None, told: str, code: int
) -> None:
    telemetry = telemetry_to(collector)
    span = started(telemetry)
    span.attempt("team/vllm", ADDRESS).end(outcome, status)
    span.end(502)
    await telemetry.close()
    attempt = collector.wait(2)[1]
    assert (attributes(attempt)["error.type"], attempt.status.code) == (told, code)


async def test_a_receiver_that_is_away_costs_spans_and_no_time(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = open_telemetry("http://127.0.0.1:9", "a=s3cret", sample_ratio=1.0, service_name="s")
    begun = time.perf_counter()
    for _ in range(20_000):
        started(telemetry).end(200)
    assert time.perf_counter() - begun < 20
    begun = time.perf_counter()
    await telemetry.close()
    assert time.perf_counter() - begun < 8
    assert telemetry.dropped > 5000
    assert "s3cret" not in caplog.text


async def test_a_receiver_that_refuses_costs_spans(collector: Collector) -> None:
    collector.answer = lambda: 400
    telemetry = telemetry_to(collector)
    started(telemetry).end(200)
    await telemetry.close()
    assert telemetry.dropped == 1


@pytest.mark.parametrize("path", ["", "/", "/v1/traces"])
async def test_an_endpoint_is_a_base_or_the_whole_url(collector: Collector, path: str) -> None:
    telemetry = open_telemetry(collector.url + path, None, sample_ratio=1.0, service_name="s")
    started(telemetry).end(200)
    await telemetry.close()
    assert collector.paths == ["/v1/traces"]


async def test_the_variables_of_opentelemetry_say_the_rest(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20env")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=other")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    telemetry = telemetry_to(collector)
    started(telemetry).end(200)
    await telemetry.close()
    collector.wait(1)
    assert collector.headers[0]["authorization"] == "Bearer env"
    assert collector.headers[0]["content-encoding"] == "gzip"
    assert collector.resource["deployment.environment.name"] == "test"
    assert collector.resource["service.name"] == "steelyard"


async def test_off_is_one_object_that_does_nothing() -> None:
    telemetry = open_telemetry(None, None, sample_ratio=1.0, service_name="s")
    assert isinstance(telemetry, NoTelemetry)
    span = started(telemetry, TRACEPARENT)
    assert span is started(telemetry) is NoTelemetry.off
    attempt: object = span.attempt("p", ADDRESS, "openai.chat")
    assert attempt is span
    assert span.headers == ()
    span.end(200, Usage(), ("stop",), None, "m", 0.1)
    span.attempt("p", ADDRESS).end("ok", 200)
    await telemetry.close()
    assert telemetry.dropped == 0


def test_a_server_without_traces_imports_nothing_for_them() -> None:
    # FastAPI imports the interface of OpenTelemetry, which does nothing by itself.
    code = "import sys, steelyard.app; print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'google'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    gone = ("opentelemetry.sdk", "opentelemetry.exporter", "steelyard.gateway.tracing")
    for name in [name for name in sys.modules if name.startswith(gone)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(StartupError, match=r"steelyard\[otel\]"):
        open_telemetry("http://127.0.0.1:4318", None, sample_ratio=1.0, service_name="s")


def calls(telemetry: Telemetry, rounds: int = 3000) -> float:
    """Seconds of CPU for a request with one attempt, in this thread."""
    began = time.thread_time()
    for _ in range(rounds):
        span = started(telemetry, TRACEPARENT)
        attempt = span.attempt("team/vllm", ADDRESS)
        _ = attempt.headers
        attempt.end("ok", 200)
        span.end(200, Usage(100, 20), ("stop",), None, "team/m", 0.1)
    return (time.thread_time() - began) / rounds


def test_off_costs_next_to_nothing() -> None:
    assert calls(NoTelemetry()) < 20e-6


async def test_on_costs_less_than_a_request(collector: Collector) -> None:
    telemetry = telemetry_to(collector)
    assert calls(telemetry) < 1e-3
    await telemetry.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
