"""The tables of the registry benchmark."""

from collections.abc import Callable

from bench.footprint import Footprint
from bench.plan import Cell, Side
from bench.required import MB, MIB
from bench.results import Results, rate_of, spread
from bench.tables import Table, number, ratio
from bench.wrk import Sample

_TITLES = {
    "get": "GET one model",
    "patch": "PATCH, spread over all models",
    "hot": "PATCH, all clients on one model",
    "create": "create",
    "list": "list of 100",
    "like": "list, name contains",
    "type": "list, by finetuning_type",
    "base": "list, by base_model",
    "text": "list, text filter",
}
_LIMITS = {"get": Side.ASGI, "patch": Side.SQLITE}


def speed(results: Results) -> Table:
    """Every cell: ours, the peer's, and the limit's."""
    heading = ["operation", "models", "clients", "Steelyard/s", "p50", "p99"]
    rows = [[*heading, "peer/s", "peer p50", "peer failed", "to the peer", "limit/s", "to the limit"]]
    for cell in results.cells():
        limit = _LIMITS.get(cell.operation)
        rows.append(
            [
                _TITLES[cell.operation],
                f"{cell.size:,}",
                str(cell.clients),
                *_side(results, cell, Side.OURS),
                _median(results, cell, Side.OURS, lambda sample: sample.p99_ms),
                *_side(results, cell, Side.PEER),
                _percent(results, cell, Side.PEER),
                ratio(results.rate_ratio(cell, Side.PEER), 1, "x"),
                _median(results, cell, limit, lambda sample: sample.rate) if limit else "",
                ratio(results.rate_ratio(cell, limit), 100, " %") if limit else "",
            ]
        )
    return rows


def _side(results: Results, cell: Cell, side: Side) -> list[str]:
    rate = _median(results, cell, side, rate_of(side))
    p50 = _median(results, cell, side, lambda sample: sample.p50_ms)
    # without one answer in its time there is no latency to tell
    return [rate, "" if p50 == "0" else p50]


def _median(results: Results, cell: Cell, side: Side, metric: Callable[[Sample], float]) -> str:
    found = results.figure(cell, side, metric)
    return number(found.median) if found else ""


def _percent(results: Results, cell: Cell, side: Side) -> str:
    found = results.figure(cell, side, lambda sample: sample.failure_share)
    return f"{found.median * 100:.0f} %" if found else ""


def footprint(ours: Footprint, peer: Footprint) -> Table:
    """What ours and the peer cost before they do anything."""

    def row(title: str, value: Callable[[Footprint], float | None], unit: str) -> list[str]:
        return [title, *(_plain(value(found), unit) for found in (ours, peer))]

    def start(found: Footprint) -> float | None:
        middle = spread(found.starts)
        return middle.median if middle else None

    return [
        ["", Side.OURS.value, Side.PEER.value],
        row("cold start to ready, median", start, "s"),
        row("idle memory, RSS", lambda found: found.rss and found.rss / MIB, "MiB"),
        row("idle memory, PSS", lambda found: found.pss and found.pss / MIB, "MiB"),
        row("installed", lambda found: found.installed and found.installed / MB, "MB"),
        row("packages installed", lambda found: found.packages, ""),
        row("direct dependencies", lambda found: found.direct, ""),
    ]


def _plain(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".strip()
