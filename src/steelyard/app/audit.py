"""Checks an audit without a server: that of a data folder, or one that was exported."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from steelyard.errors import StartupError
from steelyard.records.audit import Chain, StoredEntry, read_entry
from steelyard.store.audit_reader import read_audit


def check_folder(folder: Path, noted: str | None) -> dict[str, Any]:
    """Whether the audit in a data folder is whole. Raises StartupError."""
    return _checked(read_audit(folder / "steelyard.db"), noted)


def check_file(file: Path, noted: str | None) -> dict[str, Any]:
    """Whether an exported audit is whole. Raises StartupError for a file that is none."""
    try:
        with file.open("rb") as lines:
            return _checked(_entries(lines), noted)
    except OSError as error:
        raise StartupError(f"{file} cannot be read: {error.strerror}") from None


def _entries(lines: Iterator[bytes]) -> Iterator[StoredEntry]:
    for number, line in enumerate(lines, 1):
        try:
            yield read_entry(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise StartupError(f"line {number} is no entry of an audit") from None


def _checked(entries: Iterator[StoredEntry], noted: str | None) -> dict[str, Any]:
    chain = Chain(noted)
    for stored in entries:
        if not chain.add(stored):
            break
    return chain.document()
