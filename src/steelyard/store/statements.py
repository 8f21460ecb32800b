"""The named statements and the numbered migrations of `sql/`."""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


def load_statements() -> dict[str, str]:
    """The statements by name, without comments: those of every file that is no migration."""
    found: dict[str, str] = {}
    for file in (files(__package__) / "sql").iterdir():
        if not _MIGRATION.fullmatch(file.name):
            parts = _NAME.split(file.read_text())
            pairs = zip(parts[1::2], parts[2::2], strict=True)
            found |= {name: re.sub(r"--.*", "", body).strip().rstrip(";") for name, body in pairs}
    return found


def load_migrations() -> list[tuple[int, str]]:
    """Number and text of each migration, in order."""
    found = []
    for file in (files(__package__) / "sql").iterdir():
        match = _MIGRATION.fullmatch(file.name)
        if match:
            found.append((int(match[1]), file.read_text()))
    return sorted(found)
