"""The matrix of permissions: each operation of the server, and who may do it where. `matrix.md` is made of it:

    python -m tests.access.table

A person reads that file when it changes; `test_matrix.py` holds the server to it, request by request.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from steelyard.records.permissions import OPERATIONS, PLATFORM_ROLES, ROLES, Rule, allowed_by_scopes

FILE = Path(__file__).with_name("matrix.md")
EVERYWHERE, OWN, NOBODY = "all", "own", "-"

_ABOUT = """\
# Who may do what

Made by `python -m tests.access.table` from `src/steelyard/records/permissions.py`; `test_matrix.py` sends the request
of each cell to a real server. `all`: in the caller's own workspace and in others. `own`: in the workspace in which they
have the role, and refused (401, 403, or as if there were nothing) in every other. `-`: refused in both.

`nobody` sends no credentials; `no role` is known, and has no role anywhere. The roles are given in one workspace, but
for WorkspaceCreator and PlatformAdmin, which are for the whole server. The last three are keys of a PlatformAdmin: with
the scope `platform:read`, with the scope `inference:*`, and bounded to one workspace.

Where it is asked: `workspace`, the one in the path; `workspace-name`, that workspace itself; `named`, the one that the
body or the record names; `anywhere`, in any, and the answer holds what may be seen; `everywhere`, for the whole server.

Where this differs from NeMo Platform's map, and why:

- `delete_file`: there filesets.delete, here filesets.update. To remove a file is to change a fileset, as to put one is.
- `list_prompts`: there models.prompts.read, here models.prompts.list, as the lists of all other kinds have it.
- `list_served_models`, `get_served_model` and those of a workspace: there the scope inference:read, here
  inference:write. A permission has one scope, and whoever lists what can be asked wants to ask it.
- `get_provider_readiness`: there the scope inference:read, here models:read, which is that of reading providers.
- Role bindings: there for services only; here an Admin gives roles in their workspace, and a PlatformAdmin all.
- `metrics`: there open, here for a PlatformAdmin: its labels name workspaces, models and providers.

"""


class Column(NamedTuple):
    """Somebody who asks: the role that they have, or the scopes or the bound of a PlatformAdmin's key."""

    title: str
    role: str | None = None
    scopes: tuple[str, ...] = ()
    bounded: bool = False
    known: bool = True


COLUMNS = (
    Column("nobody", known=False),
    Column("no role"),
    *(Column(role, role) for role in ROLES),
    Column("key: read", "PlatformAdmin", ("platform:read",)),
    Column("key: inference", "PlatformAdmin", ("inference:*",)),
    Column("key: bounded", "PlatformAdmin", bounded=True),
)


def cell(rule: Rule, column: Column) -> str:
    """Who may do what the rule is about."""
    if rule.where == "open":
        return EVERYWHERE
    if not column.known:
        return NOBODY
    if not rule.permission:
        return EVERYWHERE
    role = column.role
    if role is None or rule.permission not in ROLES[role] or not allowed_by_scopes(rule.permission, column.scopes):
        return NOBODY
    whole = role in PLATFORM_ROLES and not column.bounded
    if rule.where == "everywhere":
        return EVERYWHERE if whole else NOBODY
    return EVERYWHERE if whole or rule.where == "anywhere" else OWN


def rows() -> Iterator[list[str]]:
    """The rows of the table, by operation."""
    for operation, rule in sorted(OPERATIONS.items()):
        yield [operation, rule.permission or "", rule.where, *(cell(rule, column) for column in COLUMNS)]


def write() -> str:
    """The file."""
    head = ["operation", "permission", "asked", *(column.title for column in COLUMNS)]
    lines = [head, ["---"] * len(head), *rows()]
    return _ABOUT + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read() -> dict[str, dict[str, str]]:
    """The cells of the file, by operation and column."""
    lines = [line.strip("|\n ").split("|") for line in FILE.read_text().splitlines() if line.startswith("| ")]
    start = next(index for index, line in enumerate(lines) if line[1].strip() == "permission")
    titles = [title.strip() for title in lines[start]]
    return {line[0].strip(): dict(zip(titles, map(str.strip, line), strict=True)) for line in lines[start + 2 :]}


if __name__ == "__main__":
    FILE.write_text(write())
    sys.stdout.write(f"{FILE}\n")
