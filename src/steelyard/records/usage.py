"""What is written down of each request for inference, and what has been spent."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

GROUPS = ("workspace", "model", "provider", "key", "route", "day", "hour", "status")
"""What usage can be summed by. Days and hours are those of UTC."""

_START = datetime(1970, 1, 1, tzinfo=UTC)


class UsageRow(NamedTuple):
    """One request for inference, when it has ended.

    `at` is the time of its end, as records write times. `model` is the one that served it, `route` what was asked for
    (a virtual model, an alias, a model), `provider` who answered: each as `workspace/name`. `input` counts all tokens
    of the prompt; `cached_input` and `cache_write` are parts of it, and `reasoning` is one of `output`; None where
    nobody said. `cost` is None where there is no price. `attempts` counts the requests that went out for it; `cache` is
    "hit" where the answer was here already. `error` is the code of the error that it ended with.
    """

    at: str
    request_id: str
    workspace: str
    model: str
    route: str
    provider: str | None
    dialect: str
    upstream_dialect: str | None
    stream: bool
    status: int
    error: str | None
    input: int | None
    output: int | None
    cached_input: int
    cache_write: int
    reasoning: int
    cost: float | None
    currency: str
    latency_ms: float
    first_token_ms: float | None
    attempts: int
    cache: str | None
    key: str | None
    caller: str | None


class Spent(NamedTuple):
    """What one key has spent on one model: on the present day, in the present month (both of UTC), and in all."""

    workspace: str
    model: str
    key: str | None
    currency: str
    day: float
    month: float
    total: float


class UsageQuery(NamedTuple):
    """Which usage is asked for: that of one workspace (None: of all) that fits all that is not None. `workspaces`
    leaves out that of all others.

    Times are as records write them; `since` is in, `until` is out. `status` is the lowest and the highest one.
    """

    workspace: str | None = None
    since: str | None = None
    until: str | None = None
    model: str | None = None
    provider: str | None = None
    key: str | None = None
    route: str | None = None
    request_id: str | None = None
    status: tuple[int, int] | None = None
    workspaces: tuple[str, ...] | None = None


class Place(NamedTuple):
    """Where a row stands among all: its time in microseconds since 1970, and its number among those of that moment."""

    at: int
    seq: int


class UsageSum(NamedTuple):
    """The sums of a group, whose values are in the order that was asked for. Times are in milliseconds."""

    group: tuple[str | int | None, ...]
    requests: int
    errors: int
    cache_hits: int
    input: int
    output: int
    cached_input: int
    cache_write: int
    reasoning: int
    latency_mean: float
    latency_p50: float
    latency_p95: float
    first_token_mean: float | None
    cost: dict[str, float]


def microseconds(at: str) -> int:
    """A time as records write it, in microseconds since 1970."""
    return (datetime.fromisoformat(at) - _START) // timedelta(microseconds=1)


def usage_document(row: UsageRow) -> dict[str, Any]:
    """A row as it is answered."""
    document = row._asdict()
    document["cost"] = _money(row.cost)
    return document


def sum_document(groups: tuple[str, ...], found: UsageSum) -> dict[str, Any]:
    """The sums of a group as they are answered."""
    return {
        **dict(zip(groups, found.group, strict=True)),
        "requests": found.requests,
        "errors": found.errors,
        "cache_hits": found.cache_hits,
        "input": found.input,
        "output": found.output,
        "cached_input": found.cached_input,
        "cache_write": found.cache_write,
        "reasoning": found.reasoning,
        "cost": {currency: _money(cost) for currency, cost in found.cost.items()},
        "latency_ms": {
            "mean": round(found.latency_mean, 3),
            "p50": round(found.latency_p50, 3),
            "p95": round(found.latency_p95, 3),
        },
        "first_token_ms": None if found.first_token_mean is None else {"mean": round(found.first_token_mean, 3)},
    }


def _money(cost: float | None) -> float | None:
    # Sums of binary fractions have tails that nobody has spent.
    return None if cost is None else round(cost, 9)
