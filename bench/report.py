"""The report of one run of the registry benchmark, for a terminal and for docs/benchmarks.md."""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from bench.footprint import Footprint
from bench.plan import Cell, Side
from bench.required import MB, MIB, Figure
from bench.results import Results, rate_of, spread
from bench.tables import Table, aligned, bullets, folded, json_block, markdown, number, ratio, required
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


@dataclass
class Report:
    """Everything that one run found out."""

    results: Results
    ours: Footprint
    peer: Footprint
    required: list[Figure]
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For a terminal."""
        parts = [f"{title}\n\n{aligned(table)}" for title, table in self._tables()]
        return "\n\n".join([*parts, bullets(self._notes())]) + "\n"

    def markdown(self) -> str:
        """For a page, with every sample as JSON at its end."""
        parts = [f"## {title}\n\n{markdown(table)}" for title, table in self._tables()]
        raw = {"samples": self.results.raw(), "steelyard": asdict(self.ours), "peer": asdict(self.peer)}
        parts.append("## How it was run\n\n" + bullets(self._notes()))
        parts.append(folded(json_block(raw)))
        return "\n\n".join(parts) + "\n"

    def _tables(self) -> list[tuple[str, Table]]:
        tables = [
            ("Speed", _speed(self.results)),
            ("Footprint", _footprint(self.ours, self.peer)),
            ("Required figures", required(self.required)),
        ]
        # --only leaves some of them without a figure
        return [(title, table) for title, table in tables if any(any(row[1:]) for row in table[1:])]

    def _notes(self) -> list[str]:
        versions = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools"))
        return [
            f"{os.cpu_count()} cores; Python {platform.python_version()}; {versions}.",
            "Every server on one core, wrk on another; one server awake at a time; all in one run.",
            "Speeds: median over the rounds; p50 and p99 in milliseconds. "
            "Ratios: median of the ratios per round (least..greatest).",
            "The peer is measured for longer, and with the requests under way at the end counted in part.",
            *self.notes,
        ]


def _speed(results: Results) -> Table:
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


def _footprint(ours: Footprint, peer: Footprint) -> Table:
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
