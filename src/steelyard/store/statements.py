"""The named statements and the numbered migrations of `sql/`."""

import re
from importlib.resources import files
from typing import NamedTuple

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


_PLACE = re.compile(r"\?(\d+)")


class Statement(NamedTuple):
    """A statement with `?` for each value; `order` says which of the values stands where, None: as they come.

    In the files a value that stands in several places is numbered (`?1`). Python's `sqlite3` takes numbered places for
    named ones, and from 3.14 on no sequence of values for them: here they are plain.
    """

    sql: str
    order: tuple[int, ...] | None = None

    @classmethod
    def of(cls, text: str) -> "Statement":
        """The statement of a text, whose places are all numbered, or none."""
        places = tuple(int(number) - 1 for number in _PLACE.findall(text))
        if places and len(places) != text.count("?"):
            raise ValueError(f"some places of a statement are numbered, and some are not: {text}")
        return cls(_PLACE.sub("?", text), places or None)


def load_statements() -> dict[str, Statement]:
    """The statements by name, without comments: those of every file that is no migration."""
    found: dict[str, Statement] = {}
    for file in (files(__package__) / "sql").iterdir():
        if not _MIGRATION.fullmatch(file.name):
            parts = _NAME.split(file.read_text())
            pairs = zip(parts[1::2], parts[2::2], strict=True)
            found |= {name: Statement.of(re.sub(r"--.*", "", body).strip().rstrip(";")) for name, body in pairs}
    return found


def load_migrations() -> list[tuple[int, str]]:
    """Number and text of each migration, in order."""
    found = []
    for file in (files(__package__) / "sql").iterdir():
        match = _MIGRATION.fullmatch(file.name)
        if match:
            found.append((int(match[1]), file.read_text()))
    return sorted(found)
