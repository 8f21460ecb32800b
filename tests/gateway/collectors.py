"""A receiver of traces: it speaks OTLP over HTTP, and decodes what it gets by the protocol's own definitions."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What has arrived: spans, their resource, and the headers of the requests."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answer: Callable[[], int] = lambda: 200
        self.url = ""

    def wait(self, number: int, seconds: float = 10) -> list[Span]:
        """The spans, once there are so many, in the order in which they began."""
        until = time.monotonic() + seconds
        while len(self.spans) < number and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.spans) >= number, f"{len(self.spans)} of {number} spans arrived"
        return sorted(self.spans, key=lambda span: span.start_time_unix_nano)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resource = {one.key: plain(one.value) for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)


def attributes(span: Span) -> dict[str, Any]:
    """The attributes of a span as Python's values."""
    return {one.key: plain(one.value) for one in span.attributes}


def plain(value: AnyValue) -> Any:
    """A value of the protocol as one of Python's."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None


@contextmanager
def collecting() -> Iterator[Collector]:
    """A receiver that runs for the length of a `with`."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.paths.append(self.path)
            status = collector.answer()
            if status == 200:
                collector.take(body)
            said = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
