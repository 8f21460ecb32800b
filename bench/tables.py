"""Tables, as text for a terminal and as Markdown for docs/benchmarks.md, and what stands below them there.

A table here is a list of rows of text, the first of them the heading.
"""

import json

from bench.required import Figure
from bench.results import Spread

Table = list[list[str]]


def aligned(table: Table) -> str:
    """For a terminal."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def markdown(table: Table) -> str:
    """For a page."""
    lines = ["| " + " | ".join(row) + " |" for row in table]
    lines.insert(1, "|" + " --- |" * len(table[0]))
    return "\n".join(lines)


def bullets(notes: list[str]) -> str:
    """A list, for a terminal and a page alike."""
    return "\n".join(f"- {note}" for note in notes)


def json_block(raw: object, *, ensure_ascii: bool = True) -> str:
    """Every sample, for a page."""
    return f"```json\n{json.dumps(raw, separators=(',', ':'), ensure_ascii=ensure_ascii)}\n```"


def folded(block: str) -> str:
    """A block of samples that is seen when it is asked for."""
    return f"<details><summary>Every sample (JSON)</summary>\n\n{block}\n\n</details>"


def required(figures: list[Figure]) -> Table:
    """The required figures, and whether each was reached."""
    rows = [["figure", "required", "measured", "verdict"]]
    for figure in figures:
        unit = f" {figure.unit}" if figure.unit else ""
        bound = f"{'at least' if figure.at_least else 'at most'} {number(figure.bound)}{unit}"
        verdict = {True: "pass", False: "FAIL", None: "not measured"}[figure.passed]
        rows.append([figure.title, bound, ratio(figure.value, 1, unit), verdict])
    return rows


def ratio(found: Spread | None, times: float, unit: str) -> str:
    """The median with the least and the greatest, where they differ; nothing when it was not measured."""
    if found is None:
        return ""
    middle = f"{number(found.median * times)}{unit}"
    if found.low == found.high:
        return middle
    return f"{middle} ({number(found.low * times)}..{number(found.high * times)})"


def number(value: float) -> str:
    """A number with about three digits, and none of them lost before the point."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"
