"""Values that options take as JSON: the text itself, `@file`, or `-` for the standard input."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

from steelyard.cli.errors import UsageError

_START = re.compile(r"\S")


class Reader:
    """Reads the JSON of one command's options; the standard input can be read by one of them only."""

    def __init__(self) -> None:
        self._stdin_taken_by: str | None = None

    def json(self, option: str, text: str) -> Any:
        """The value of an option. Raises `UsageError`, which never repeats the text: it may be secret."""
        if text == "-":
            text = self._stdin(option)
        elif text.startswith("@"):
            text = self._file(option, text[1:])
        return _parse(option, text)

    def object(self, option: str, path: str) -> dict[str, Any]:
        """The JSON object in a file, or on the standard input for `-`. Raises `UsageError`."""
        value = _parse(option, self.text(option, path))
        if not isinstance(value, dict):
            raise UsageError(f"{option}: a JSON object is needed, with the fields of the record")
        return value

    def text(self, option: str, path: str) -> str:
        """What a file holds, or the standard input for `-`. Raises `UsageError`."""
        return self._stdin(option) if path == "-" else self._file(option, path)

    def secret(self, option: str, path: str) -> str:
        """A secret: what a file holds, or the standard input for `-`, without the newline that ends it. Without a path
        it is asked for, and not shown. Raises `UsageError`, which never repeats it.
        """
        if not path and is_person():
            text = str(typer.prompt("Value", hide_input=True, confirmation_prompt=True, err=True))
        else:
            text = self.text(option, path or "-").removesuffix("\n").removesuffix("\r")
        if not text:
            raise UsageError(f"{option}: the value is empty")
        return text

    def _stdin(self, option: str) -> str:
        if self._stdin_taken_by:
            raise UsageError(f"{option} and {self._stdin_taken_by} cannot both read the standard input")
        self._stdin_taken_by = option
        try:
            return sys.stdin.read()
        except UnicodeDecodeError:
            raise UsageError(f"{option}: the standard input is not UTF-8 text") from None

    def _file(self, option: str, path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"{option}: {path} is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{option}: cannot read {path}: {reason}") from None


def is_person() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def json_values(text: str, what: str) -> Iterator[tuple[int, Any]]:
    """The JSON values that stand one after the other in `text`, each with the number of its first line. Raises
    `UsageError`, which calls the text `what`.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
    position, line = 0, 1
    while start := _START.search(text, position):
        line += text.count("\n", position, start.start())
        with _told_as(what):
            value, end = decoder.raw_decode(text, start.start())
        yield line, value
        line += text.count("\n", start.start(), end)
        position = end


def _parse(option: str, text: str) -> Any:
    with _told_as(option, "; give JSON text, @file, or - for the standard input"):
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


@contextmanager
def _told_as(what: str, hint: str = "") -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as error:
        raise UsageError(f"{what} is not JSON: {error.msg} (line {error.lineno}, column {error.colno}){hint}") from None
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from None
    except RecursionError:
        raise UsageError(f"{what}: nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # The server refuses a key that stands twice; decoding would hide it from the server.
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
