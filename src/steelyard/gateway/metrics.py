"""What the gateway counts, as Prometheus reads it. The labels are bounded, whatever names callers and records bring.

Counted in plain lists and dictionaries, because only the event loop counts: a request must not pay for locks.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from steelyard.gateway.meter import Usage

OTHER = "other"
"""The label of what came after all labels were given away."""
OUTCOMES = frozenset(
    {
        *("ok", "error_4xx", "error_5xx", "rate_limited", "timeout", "connect"),
        *("cut", "cancelled", "bad_answer", "refused"),
    }
)
"""How an attempt can end."""

Watched = Literal[
    "in_flight",
    "queued",
    "breaker_state",
    "upstream_connections",
    "cache_hits",
    "cache_misses",
    "cache_bytes",
    "ledger_backlog",
    "ledger_dropped",
    "telemetry_dropped",
]
Reading = Callable[[], float | Mapping[str, float]]
"""What a watched number is now; for `breaker_state`, of each provider."""

# The bounds that the conventions of OpenTelemetry recommend for the times of generative models, and a few below them:
# a gateway's own share is small.
_SECONDS = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 300)
_BOUNDS = (*map(str, map(float, _SECONDS)), "+Inf")
_DIRECTIONS = ("input", "output", "cached_input", "cache_write", "reasoning")
_DIALECTS = 32
"""How many dialects are told apart; there are far fewer."""

_WATCHED: Mapping[Watched, tuple[str, str]] = {
    "in_flight": ("gauge", "Requests that are being answered."),
    "queued": ("gauge", "Requests that wait for a provider's turn."),
    "breaker_state": ("gauge", "Whether a provider is left alone: 0 no, 1 it is tried, 2 yes."),
    "upstream_connections": ("gauge", "Connections that are open to upstreams, idle ones too."),
    "cache_hits": ("counter", "Requests that were answered out of the cache."),
    "cache_misses": ("counter", "Requests that the cache was asked for in vain."),
    "cache_bytes": ("gauge", "The size of the answers that are kept."),
    "ledger_backlog": ("gauge", "Usage records that are not written yet."),
    "ledger_dropped": ("counter", "Usage records that were lost, because they could not be written in time."),
    "telemetry_dropped": ("counter", "Spans that were lost, because the receiver of traces was slow or away."),
}


class _Times:
    """A histogram: how many times fell under each bound, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds

    def write(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        reached, buckets = 0, []
        for bound, count in zip(_BOUNDS, self.counts, strict=True):
            reached += count
            buckets.append((bound, reached))
        if reached:
            family.add_metric(labels, buckets, self.total)


@dataclass(slots=True)
class _Model:
    """What was asked of one model by one workspace."""

    answered: dict[tuple[str, int], int] = field(default_factory=dict)
    seconds: _Times = field(default_factory=_Times)
    first_token: _Times = field(default_factory=_Times)
    tokens: list[int] = field(default_factory=lambda: [0] * len(_DIRECTIONS))


@dataclass(slots=True)
class _Provider:
    """What was tried with one provider."""

    outcomes: dict[str, int] = field(default_factory=dict)
    seconds: _Times = field(default_factory=_Times)


class _Labels:
    """Gives each name its own label, until there are `most`; then all new ones share one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name


class GatewayMetrics(Collector):
    """The counts of the gateway. It is registered where all metrics are (`api.metrics.Metrics.register`)."""

    def __init__(self, max_label_values: int = 1000) -> None:
        self._most = max_label_values
        # Two maps of each: what callers name, with no more than a few entries beyond the labels, and the labels.
        self._models: dict[tuple[str, str], _Model] = {}
        self._labelled: dict[tuple[str, str], _Model] = {}
        self._workspace_labels, self._model_labels = _Labels(max_label_values), _Labels(max_label_values)
        self._providers: dict[str, _Provider] = {}
        self._provider_labels = _Labels(max_label_values)
        self._dialect_labels = _Labels(_DIALECTS)
        self._watched: dict[Watched, Reading] = {}

    def request(
        self,
        workspace: str,
        model: str,
        dialect: str,
        status: int,
        seconds: float,
        first_token: float | None,
        usage: Usage | None,
    ) -> None:
        """Counts a request that has ended, after `seconds`; its first token came after `first_token` seconds.

        `model` is the name of what was found; of names that are nothing, callers can bring any number: say "none".
        """
        counts = self._models.get((workspace, model)) or self._model(workspace, model)
        answered, key = counts.answered, (dialect, status)
        if key in answered:
            answered[key] += 1
        else:
            self._first(answered, dialect, status)
        counts.seconds.add(seconds)
        if first_token is not None:
            counts.first_token.add(first_token)
        if usage is not None:
            tokens = counts.tokens
            tokens[0] += usage.input or 0
            tokens[1] += usage.output or 0
            if usage.cached_input or usage.cache_write or usage.reasoning:
                tokens[2] += usage.cached_input
                tokens[3] += usage.cache_write
                tokens[4] += usage.reasoning

    def attempt(self, provider: str, outcome: str, seconds: float) -> None:
        """Counts an attempt with a provider that ended with one of OUTCOMES, after `seconds`."""
        counts = self._providers.get(provider)
        if counts is None:
            label = self._provider_labels.of(provider)
            counts = self._providers[label] = self._providers.get(label) or _Provider()
        outcome = outcome if outcome in OUTCOMES else OTHER
        counts.outcomes[outcome] = counts.outcomes.get(outcome, 0) + 1
        counts.seconds.add(seconds)

    def watch(self, name: Watched, reading: Reading) -> None:
        """Shows what `reading` answers, whenever the metrics are read."""
        self._watched[name] = reading

    def collect(self) -> Iterator[Metric]:
        """The counts as the library writes them."""
        yield from self._requests()
        yield from self._attempts()
        for name, (type_, text) in _WATCHED.items():
            if name in self._watched:
                yield self._reading(name, type_, text, self._watched[name]())

    def describe(self) -> Iterator[Metric]:
        """Nothing: the names are known to be ours, and a registry need not collect to learn them."""
        yield from ()

    def _model(self, workspace: str, model: str) -> _Model:
        labels = (self._workspace_labels.of(workspace), self._model_labels.of(model))
        counts = self._labelled.get(labels)
        if counts is None:
            # Workspaces times models could be a million: pairs are bounded too.
            if len(self._labelled) >= 2 * self._most:
                labels = (OTHER, OTHER)
            counts = self._labelled[labels] = self._labelled.get(labels) or _Model()
        if len(self._models) < 4 * self._most:
            self._models[workspace, model] = counts
        return counts

    def _first(self, answered: dict[tuple[str, int], int], dialect: str, status: int) -> None:
        key = (self._dialect_labels.of(dialect), status if 100 <= status < 600 else 0)
        answered[key] = answered.get(key, 0) + 1

    def _requests(self) -> Iterator[Metric]:
        names = ("workspace", "model")
        answered = CounterMetricFamily(
            "steelyard_gateway_requests", "Requests for inference.", labels=(*names, "dialect", "status")
        )
        seconds = HistogramMetricFamily("steelyard_gateway_request_seconds", "Time to the end.", labels=names)
        first = HistogramMetricFamily("steelyard_gateway_first_token_seconds", "Time to the first token.", labels=names)
        tokens = CounterMetricFamily("steelyard_gateway_tokens", "Tokens used.", labels=(*names, "direction"))
        for labels, counts in self._labelled.items():
            for (dialect, status), number in counts.answered.items():
                answered.add_metric((*labels, dialect, str(status)), number)
            counts.seconds.write(seconds, labels)
            counts.first_token.write(first, labels)
            for direction, number in zip(_DIRECTIONS, counts.tokens, strict=True):
                if number:
                    tokens.add_metric((*labels, direction), number)
        yield from (answered, seconds, first, tokens)

    def _attempts(self) -> Iterator[Metric]:
        tried = CounterMetricFamily(
            "steelyard_gateway_attempts", "Attempts with providers.", labels=("provider", "outcome")
        )
        seconds = HistogramMetricFamily("steelyard_gateway_attempt_seconds", "Time of attempts.", labels=("provider",))
        for provider, counts in self._providers.items():
            for outcome, number in counts.outcomes.items():
                tried.add_metric((provider, outcome), number)
            counts.seconds.write(seconds, (provider,))
        yield from (tried, seconds)

    def _reading(self, name: str, type_: str, text: str, value: float | Mapping[str, float]) -> Metric:
        family = CounterMetricFamily if type_ == "counter" else GaugeMetricFamily
        if not isinstance(value, Mapping):
            return family(f"steelyard_gateway_{name}", text, value=value)
        worst: dict[str, float] = {}
        for provider, number in value.items():
            label = self._provider_labels.of(provider)
            worst[label] = max(number, worst.get(label, number))
        metric = family(f"steelyard_gateway_{name}", text, labels=("provider",))
        for provider, number in worst.items():
            metric.add_metric((provider,), number)
        return metric
