"""Prometheus metrics, in a registry of the application's own."""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from steelyard import __version__

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class _Requests(Collector):
    """Requests by method, route template and status, and how long they took.

    Counted in plain dictionaries, because only the event loop counts: the library's counters take locks.
    """

    def __init__(self) -> None:
        self.answered: dict[tuple[str, str, int], int] = {}
        self.seconds: dict[tuple[str, str], tuple[list[int], list[float]]] = {}

    def collect(self) -> Iterator[Metric]:
        """The counts as the library writes them."""
        answered = CounterMetricFamily("steelyard_requests", "Requests answered.", labels=("method", "route", "status"))
        for (method, route, status), number in self.answered.items():
            answered.add_metric((method, route, str(status)), number)
        yield answered
        seconds = HistogramMetricFamily("steelyard_request_seconds", "Time to answer.", labels=("method", "route"))
        bounds = [*map(str, map(float, _SECONDS)), "+Inf"]
        for labels, (counts, total) in self.seconds.items():
            sums = [sum(counts[: index + 1]) for index in range(len(counts))]
            seconds.add_metric(labels, list(zip(bounds, sums, strict=True)), total[0])
        yield seconds


class Metrics:
    """What the server counts; the labels are bounded, whatever is asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        info = Gauge("steelyard_info", "The version that runs.", ("version",), registry=self._registry)
        info.labels(__version__).set(1)
        self._requests = _Requests()
        self._registry.register(self._requests)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request."""
        method = method if method in _METHODS else "other"
        answered, key = self._requests.answered, (method, route, status)
        answered[key] = answered.get(key, 0) + 1
        found = self._requests.seconds.get(key[:2])
        if found is None:
            found = self._requests.seconds[key[:2]] = ([0] * (len(_SECONDS) + 1), [0.0])
        found[0][bisect_left(_SECONDS, seconds)] += 1
        found[1][0] += seconds

    def register(self, collector: Collector) -> None:
        """Shows what another part of the server counts, too."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
