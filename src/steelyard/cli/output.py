"""What a command prints: JSON for programs, tables for people, notes on stderr.

rich is imported where a table is drawn, and nowhere before.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from steelyard.cli.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

# Wide enough that nothing is ever cut where no terminal gives a width.
_PIPE_WIDTH = 100_000
_CHANGE_LENGTH = 60
_NEVER_CUT = frozenset({"name", "workspace", "setting"})
# A terminal obeys these even inside a JSON string.
_HIDDEN = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
# These move with every write, and say nothing about what changed.
_MOVING = frozenset({"updated_at", "updated_by", "revision"})


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result goes, in the form that the caller asked for."""

    json: bool
    quiet: bool

    def note(self, text: str) -> None:
        """A line for the person at the terminal, on stderr, unless `--quiet`."""
        if not self.quiet:
            typer.echo(printable(text), err=True)

    def line(self, text: str, colour: str | None = None) -> None:
        """A line of the result that only a person needs; in a colour where it goes to a terminal that wants any."""
        if not self.quiet and not self.json:
            wanted = False if os.environ.get("NO_COLOR") else None
            typer.echo(typer.style(printable(text), fg=colour) if colour else printable(text), color=wanted)

    def value(self, value: Any) -> None:
        """Any value as JSON, over several lines."""
        typer.echo(_json(value, indent=2))

    def json_line(self, value: Any) -> None:
        """Any value as JSON on one line, for results that have no end."""
        typer.echo(_json(value, indent=None))

    def records(self, records: Sequence[Mapping[str, Any]], columns: Sequence[str], *, key: str = "name") -> None:
        """A list: an array, a table, or with `--quiet` the `key` of each (or what the first column has) on a line."""
        if self.json:
            self.value(records)
        elif self.quiet:
            for record in records:
                typer.echo(printable(str(record.get(key, record.get(columns[0], "")))))
        elif records:
            _table(columns, ([_cell(column, record.get(column)) for column in columns] for record in records))

    def record(self, record: Mapping[str, Any], extra: Mapping[str, str | None]) -> None:
        """One record: an object, or its fields in two columns, those without a value left out."""
        if self.json:
            self.value(record)
        elif not self.quiet:
            rows = [*record.items(), *extra.items()]
            _pairs([(key, _block(value)) for key, value in rows if value not in (None, "", [], {})])

    def changes(self, title: str, done: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Which fields a write changed, from what to what."""
        keys = [key for key in {**before, **after} if key not in _MOVING]
        changed = [key for key in keys if before.get(key) != after.get(key)]
        # What is never shown can have changed too: then the revision says so.
        moved = changed or before.get("revision") != after.get("revision")
        self.line(f"{title} {done}" if moved else f"{title}: nothing changed")
        for key in changed:
            self.line(f"  {key}: {_short(before.get(key))} -> {_short(after.get(key))}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table of texts."""
        _table(columns, rows)


def progress(quiet: bool, done_word: str = "read") -> Callable[[int, int | None], None]:
    """A function that shows how far a long list is, on stderr, when a person looks at it; 0 takes it away again."""
    wanted = not quiet and sys.stderr.isatty()
    shown = False

    def show(done: int, total: int | None) -> None:
        nonlocal shown
        if wanted and (done or shown):
            shown = True
            of = f" of {total:,}" if total else ""
            # Carriage return and "erase the line": each takes the place of the one before.
            sys.stderr.write(f"\r\x1b[K{done:,}{of} {done_word}" if done else "\r\x1b[K")
            sys.stderr.flush()

    return show


def _console() -> "Console":
    from rich.console import Console  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        width=None if terminal else _PIPE_WIDTH,
        # Text is shown as it is: a description with [brackets] is not markup.
        markup=False,
        highlight=False,
        emoji=False,
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    cells = [list(row) for row in rows]
    used = [index for index in range(len(columns)) if not sys.stdout.isatty() or any(row[index] for row in cells)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for index in used:
        # A name is what the next command needs: it keeps its width, and the other columns wrap.
        whole = max(len(row[index]) for row in cells) if columns[index] in _NEVER_CUT else None
        table.add_column(columns[index].replace("_", " ").upper(), no_wrap=whole is not None, min_width=whole)
    for row in cells:
        table.add_row(*(Text(row[index], overflow="fold") for index in used))
    _print(table)


def _pairs(rows: Sequence[tuple[str, str]]) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(Text(printable(key)), Text(value))
    _print(table)


def _print(table: Any) -> None:
    console = _console()
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        # The padding of the last column is of no use in a file.
        typer.echo(line.rstrip())


def _json(value: Any, *, indent: int | None) -> str:
    ascii_only = "utf" not in (getattr(sys.stdout, "encoding", "") or "").lower()
    return json.dumps(value, indent=indent, ensure_ascii=ascii_only).translate(_HIDDEN)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return printable(", ".join(item if isinstance(item, str) else json.dumps(item) for item in value))
    if isinstance(value, str):
        return printable(value[:19].replace("T", " ") if column.rsplit("_", maxsplit=1)[-1] == "at" else value)
    return printable(json.dumps(value, ensure_ascii=False))


def _block(value: Any) -> str:
    """A value over as many lines as it needs."""
    if isinstance(value, str):
        return "\n".join(printable(line) for line in value.splitlines())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, indent=2, ensure_ascii=False).translate(_HIDDEN)


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False).translate(_HIDDEN)
    return text if len(text) <= _CHANGE_LENGTH else text[: _CHANGE_LENGTH - 1] + "…"
