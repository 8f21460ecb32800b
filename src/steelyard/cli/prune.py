"""Which records `apply --prune` takes away: those that it brought itself, and that no manifest has any more.

What apply writes bears its mark as the reason in the record's history. A record without the mark was made by somebody
else, and stays.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from steelyard.cli.client import Client
from steelyard.cli.errors import UsageError
from steelyard.cli.kinds import KINDS, ORDER

_PAGE_SIZE = 1000
_MANAGER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def mark(manager: str | None) -> str:
    """How the reason of everything begins that is applied in the name of `manager`. Raises `UsageError`."""
    if manager is None:
        return "steelyard apply"
    if not _MANAGER.fullmatch(manager):
        raise UsageError("--manager takes letters, digits, '.', '_', '-' and '/'")
    return f"steelyard apply ({manager})"


@dataclass(frozen=True, slots=True)
class Prune:
    """Looks for what is to go: it bears this `mark`."""

    mark: str

    def found(self, client: Client, workspace: str, kept: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Kind and name of what goes, of the kinds of `kept` and not among `kept`; what names others comes first."""
        kinds = {kind for kind, _ in kept}
        for kind in reversed(ORDER):
            if kind not in kinds:
                continue
            path = KINDS[kind].collection(workspace)
            names = [
                str(record.get("name"))
                for page in client.pages(path, {"page_size": _PAGE_SIZE}, sort=None, first=None)
                for record in page.records
            ]
            # The youngest first: a model that was made from another was made after it.
            for name in reversed(names):
                if (kind, name) not in kept and self._brought(client, workspace, kind, name):
                    yield kind, name

    def _brought(self, client: Client, workspace: str, kind: str, name: str) -> bool:
        path, _ = KINDS[kind].item(workspace, name)
        pages = client.pages(f"{path}/revisions", {"page_size": _PAGE_SIZE}, sort=None, first=None)
        reasons = (str(revision.get("reason") or "") for page in pages for revision in page.records)
        return any(reason == self.mark or reason.startswith(f"{self.mark}: ") for reason in reasons)
