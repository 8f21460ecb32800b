"""Reads the audit in a database without a server, also while one has it open: nothing is changed, nothing is made."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from steelyard.errors import StartupError
from steelyard.records.audit import Entry, StoredEntry
from steelyard.store.statements import load_statements


def read_audit(database: Path) -> Iterator[StoredEntry]:
    """All entries, in their order. Raises StartupError for a file that cannot be read, or holds no audit."""
    statements = load_statements()
    try:
        connection = sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)
        try:
            for found in connection.execute(statements["whole_audit"].sql):
                yield StoredEntry(found[0], Entry(*found[1:-1]), found[-1])
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StartupError(f"{database} holds no audit that can be read: {error}") from None
