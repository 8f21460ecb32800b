"""What is seen of a real server's gateway from outside: metrics, traces, the access log, recordings, request ids."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.collectors import Collector, attributes, collecting
from tests.gateway.gates import CHAT, MESSAGES, TEXT, Gate, gate
from tests.gateway.upstreams import Upstream, upstream

CANARY = "sk-canary-a1B2c3D4e5F6g7H8"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
def observed(data_dir: Path, collector: Collector) -> Iterator[Gate]:
    options = [f"telemetry.otlp_endpoint={collector.url}", "telemetry.otlp_headers=authorization=Bearer t0k3n"]
    with gate(data_dir, *(word for option in (*options, "log.access=true") for word in ("--set", option))) as running:
        yield running


def lines(gate: Gate, event: str, number: int = 1) -> list[dict[str, Any]]:
    """The lines of the log about an event, once there are so many."""
    until, found = time.monotonic() + 10, list[dict[str, Any]]()
    while len(found) < number and time.monotonic() < until:
        time.sleep(0.05)
        read = [json.loads(line) for line in gate.server.log.splitlines() if line.startswith("{")]
        found = [line for line in read if line["event"] == event]
    assert len(found) >= number, gate.server.log
    return found


def metrics(gate: Gate) -> dict[str, float]:
    text = gate.http.get("/metrics").text
    pairs = (line.rpartition(" ") for line in text.splitlines() if line.startswith("steelyard_gateway_"))
    return {name: float(number) for name, _, number in pairs}


def test_a_request_is_counted_traced_and_named_all_the_way(
    observed: Gate, engine: Upstream, collector: Collector
) -> None:
    model = observed.model(engine)
    headers = {"x-request-id": "call-7", "traceparent": TRACEPARENT, "tracestate": "vendor=1"}
    body = {"model": model, "messages": [{"role": "user", "content": CANARY}]}
    answer = observed.http.post(CHAT, json=body, headers=headers)
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "call-7")
    assert answer.headers["x-trace-id"] == TRACE

    [seen] = engine.wait_for(1)
    assert seen.header("x-request-id") == "call-7"
    request, attempt = collector.wait(2)
    assert seen.header("traceparent") == f"00-{TRACE}-{attempt.span_id.hex()}-01"
    assert seen.header("tracestate") == "vendor=1"
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    told = attributes(request)
    assert (told["steelyard.request_id"], told["http.response.status_code"]) == ("call-7", 200)
    assert told["gen_ai.usage.output_tokens"] > 0
    assert list(told["gen_ai.response.finish_reasons"]) == ["stop"]
    assert attributes(attempt)["server.address"] == "127.0.0.1"
    assert attributes(attempt)["steelyard.provider"] == f"{model}-0"
    assert CANARY not in str([*map(attributes, collector.spans)])
    assert collector.headers[0]["authorization"] == "Bearer t0k3n"

    counted = metrics(observed)
    labels = f'{{dialect="openai.chat",model="{model}",status="200",workspace="default"}}'
    assert counted[f"steelyard_gateway_requests_total{labels}"] == 1
    assert counted["steelyard_gateway_in_flight"] == 0
    assert any(name.startswith("steelyard_gateway_attempts_total") for name in counted)
    assert counted["steelyard_gateway_telemetry_dropped_total"] == 0

    [line] = [line for line in lines(observed, "request") if line["path"] == CHAT]
    assert (line["status"], line["request_id"]) == (200, "call-7")
    assert CANARY not in observed.server.log
    assert "t0k3n" not in observed.server.log


def test_a_failure_is_seen_in_all_of_them(observed: Gate, engine: Upstream, collector: Collector) -> None:
    model = observed.model(engine)
    engine.refuse()
    answer = observed.ask(model, MESSAGES)
    assert answer.status_code >= 500
    request, attempt = collector.wait(2)
    assert attributes(request)["error.type"]
    assert attributes(attempt)["error.type"] == "connect"
    counted = metrics(observed)
    assert any("attempts_total" in name and 'outcome="connect"' in name for name in counted)
    assert any("requests_total" in name and f'status="{answer.status_code}"' in name for name in counted)


def test_nothing_is_recorded_until_a_workspace_says_so(observed: Gate, engine: Upstream) -> None:
    model = observed.model(engine)
    secret: dict[str, Any] = {"messages": [{"role": "user", "content": f"my key is {CANARY}, mail ada@example.org"}]}
    assert observed.ask(model, **secret).status_code == 200
    lines(observed, "request")
    assert not [line for line in observed.server.log.splitlines() if '"inference"' in line]

    recording = {"recording": {"enabled": True}}
    changed = observed.http.patch("/apis/entities/v2/workspaces/default", json=recording)
    assert changed.status_code == 200, changed.text
    assert observed.ask(model, **secret).status_code == 200
    [whole] = lines(observed, "inference")
    assert whole["request"]["messages"][0]["content"] == "my key is [key], mail [email]"
    assert whole["answer"]["choices"][0]["message"]["content"] == TEXT
    assert (whole["workspace"], whole["model"]) == ("default", model)

    assert observed.stream(model, **secret).text == TEXT
    streamed = lines(observed, "inference", 2)[1]
    assert streamed["answer"]["choices.0.delta.content"] == TEXT
    assert "cut" not in streamed
    assert CANARY not in observed.server.log
    assert "ada@example.org" not in observed.server.log

    off = {"recording": {"enabled": False}}
    assert observed.http.patch("/apis/entities/v2/workspaces/default", json=off).status_code == 200
    assert observed.ask(model, **secret).status_code == 200
    time.sleep(0.3)
    assert len(lines(observed, "inference")) == 2


def test_a_long_recording_is_made_beside_other_requests(observed: Gate, engine: Upstream) -> None:
    model = observed.model(engine)
    recording = {"recording": {"enabled": True, "max_bytes": 2000}}
    assert observed.http.patch("/apis/entities/v2/workspaces/default", json=recording).status_code == 200
    text = f"words and {CANARY} and ada@example.org " * 3000
    assert observed.ask(model, messages=[{"role": "user", "content": text}]).status_code == 200
    [line] = lines(observed, "inference")
    assert "request" in line["cut"]
    assert len(json.dumps(line)) < 6000
    assert observed.server.stop() == 0
    assert "a1B2" not in observed.server.log


def test_a_server_that_stops_sends_its_last_spans_first(observed: Gate, engine: Upstream, collector: Collector) -> None:
    model = observed.model(engine)
    for _ in range(20):
        assert observed.ask(model).status_code == 200
    assert observed.server.stop() == 0
    assert len(collector.spans) == 40
