"""The tables of one run, as text for a terminal and as Markdown for docs/benchmarks.md.

A table here is a list of rows of text, the first of them the heading.
"""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from bench.footprint import Footprint
from bench.plan import Cell, Side
from bench.required import MB, MIB, Figure
from bench.results import Results, Spread, rate_of, spread
from bench.wrk import Sample

Table = list[list[str]]

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
        parts = [f"{title}\n\n{_aligned(table)}" for title, table in self._tables()]
        return "\n\n".join([*parts, "\n".join(f"- {note}" for note in self._notes())]) + "\n"

    def markdown(self) -> str:
        """For a page, with every sample as JSON at its end."""
        parts = [f"## {title}\n\n{_markdown(table)}" for title, table in self._tables()]
        raw = {"samples": self.results.raw(), "steelyard": asdict(self.ours), "peer": asdict(self.peer)}
        parts.append("## How it was run\n\n" + "\n".join(f"- {note}" for note in self._notes()))
        parts.append(
            "<details><summary>Every sample (JSON)</summary>\n\n"
            f"```json\n{json.dumps(raw, separators=(',', ':'))}\n```\n\n</details>"
        )
        return "\n\n".join(parts) + "\n"

    def _tables(self) -> list[tuple[str, Table]]:
        tables = [
            ("Speed", _speed(self.results)),
            ("Footprint", _footprint(self.ours, self.peer)),
            ("Required figures", _required(self.required)),
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
                _ratio(results.rate_ratio(cell, Side.PEER), 1, "x"),
                _median(results, cell, limit, lambda sample: sample.rate) if limit else "",
                _ratio(results.rate_ratio(cell, limit), 100, " %") if limit else "",
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


def _ratio(found: Spread | None, times: float, unit: str) -> str:
    if found is None:
        return ""
    middle = f"{number(found.median * times)}{unit}"
    if found.low == found.high:
        return middle
    return f"{middle} ({number(found.low * times)}..{number(found.high * times)})"


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


def _required(figures: list[Figure]) -> Table:
    rows = [["figure", "required", "measured", "verdict"]]
    for figure in figures:
        unit = f" {figure.unit}" if figure.unit else ""
        bound = f"{'at least' if figure.at_least else 'at most'} {number(figure.bound)}{unit}"
        verdict = {True: "pass", False: "FAIL", None: "not measured"}[figure.passed]
        rows.append([figure.title, bound, _ratio(figure.value, 1, unit) or "", verdict])
    return rows


def number(value: float) -> str:
    """A number with about three digits, and none of them lost before the point."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def _plain(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".strip()


def _aligned(table: Table) -> str:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _markdown(table: Table) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in table]
    lines.insert(1, "|" + " --- |" * len(table[0]))
    return "\n".join(lines)
