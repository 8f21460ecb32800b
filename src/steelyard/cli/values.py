"""Values that options take as JSON: the text itself, `@file`, or `-` for the standard input."""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from steelyard.cli.errors import UsageError


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
        text = self._stdin(option) if path == "-" else self._file(option, path)
        value = _parse(option, text)
        if not isinstance(value, dict):
            raise UsageError(f"{option}: a JSON object is needed, with the fields of the record")
        return value

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


def _parse(option: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{option} is not JSON: {error.msg} (line {error.lineno}, column {error.colno}); "
            "give JSON text, @file, or - for the standard input"
        ) from None
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    except RecursionError:
        raise UsageError(f"{option}: nested too deeply") from None


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
