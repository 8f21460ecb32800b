"""Writes down who was refused what, in the audit: gathered for a moment, and bounded, for anybody can be refused."""

import asyncio
import re

from steelyard.actions.context import Context
from steelyard.auth.directory import Identity
from steelyard.records.audit import Entry
from steelyard.store.protocol import WriteTransaction

_GATHER_SECONDS = 0.25
_WORKSPACE = re.compile(r"/workspaces/([a-z0-9-]{1,63})(?=[/:]|$)")
_MOST = 1000
"""How many refusals of one moment are told one by one; of further ones, only how many they were."""


class Refusals:
    """Gathers refusals."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._entries: list[Entry] = []
        self._more = 0
        self._task: asyncio.Task[None] | None = None

    def add(
        self, identity: Identity | None, address: str | None, request_id: str, method: str, path: str, status: int
    ) -> None:
        """Somebody was refused. Neither a query nor a header is written down: there may be secrets in them."""
        if len(self._entries) >= _MOST:
            self._more += 1
            return
        principal = identity.principal if identity else None
        self._entries.append(
            Entry(
                self._context.now(),
                "refused",
                f"{method} {path[:500]}",
                principal.subject if principal else None,
                identity.key_id if identity else None,
                principal.issuer if principal else None,
                address,
                request_id,
                workspace=found[1] if (found := _WORKSPACE.search(path)) else None,
                detail=str(status),
            )
        )
        if self._task is None:
            self._task = asyncio.create_task(self._soon())

    async def flush(self) -> None:
        """Writes down what has been gathered."""
        entries, more = self._entries, self._more
        self._entries, self._more = [], 0
        if more:
            entries.append(Entry(self._context.now(), "refused", "…", detail=f"and {more} more in the same moment"))
        if not entries:
            return

        async def action(tx: WriteTransaction) -> None:
            for entry in entries:
                await tx.put_audit(entry)

        await self._context.store.write(action)

    async def _soon(self) -> None:
        await asyncio.sleep(_GATHER_SECONDS)
        self._task = None
        await self.flush()
