"""Who is calling: finds it out from what a request brings, by what the store says now.

A change of a key or of a role is in force for the request that follows the answer to it.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from time import monotonic
from typing import Protocol

from steelyard.actions.context import Context
from steelyard.auth.directory import Directory, Identity
from steelyard.auth.keys import KEY_BEGINS
from steelyard.errors import SteelyardError, Unauthorized
from steelyard.records.access import Principal
from steelyard.store.protocol import ReadTransaction, WriteTransaction
from steelyard.store.queries import EVERY, Key

KEY, BINDING = "api-key", "role-binding"
_TOUCH_SECONDS = 60.0
_FEW = 100
"""How many keys may be written at once beside other writes."""


class Tokens(Protocol):
    """Verifies tokens of others: of an identity provider, of a workload."""

    async def verify(self, token: str) -> Principal:
        """Whose token it is. Raises Unauthorized."""


class Identities:
    """Identifies callers. `open` it first."""

    def __init__(self, context: Context, tokens: Tokens | None) -> None:
        self._context = context
        self._tokens = tokens
        self._directory = Directory()
        self._all = True
        self._changed: set[str] = set()
        self._bindings = True
        self._fresh = False
        self._used: dict[str, float] = {}
        context.store.watch(self._heard)

    def known(self, credential: bytes, address: str | None) -> Identity | None:
        """Who sends a key that has been here before, if nothing has changed since; None: `identify` has to look."""
        if not self._fresh:
            return None
        identity = self._directory.known(credential, address, self._context.now)
        if identity is not None:
            self._used[identity.key_id or ""] = monotonic()
        return identity

    async def identify(self, credential: str, address: str | None) -> Identity:
        """Who sends that credential: a key, or a token. Raises Unauthorized."""
        if not self._fresh:
            await self._read()
        if credential.startswith(KEY_BEGINS):
            identity = self._directory.by_key(credential, address, self._context.now())
            self._used[identity.key_id or ""] = monotonic()
            return identity
        if self._tokens is None:
            raise Unauthorized("this server takes API keys only (they begin with sy_); it has no identity provider")
        principal = await self._tokens.verify(credential)
        if not self._fresh:
            await self._read()
        return Identity(principal, self._directory.access(principal))

    async def directory(self) -> Directory:
        """The directory as it is now."""
        if not self._fresh:
            await self._read()
        return self._directory

    async def note_use(self) -> None:
        """Writes down, from time to time, when keys were used last. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(_TOUCH_SECONDS)
            with contextlib.suppress(SteelyardError):  # a disk that is full now may not be so the next time
                await self.flush()

    async def flush(self) -> None:
        """Writes it down now."""
        used, self._used = self._used, {}
        if not used:
            return
        now = monotonic()

        async def action(tx: WriteTransaction) -> None:
            for id, at in used.items():
                await tx.touch_key(id, self._context.ago(now - at))

        await self._context.store.write(action, heavy=len(used) > _FEW)

    def _heard(self, keys: Sequence[Key]) -> None:
        for key in keys:
            if key.kind == KEY:
                self._changed.add(key.name)
                self._fresh = False
            elif key.kind in {BINDING, EVERY, "workspace"}:
                self._bindings = True
                self._fresh = False

    async def _read(self) -> None:
        # What is heard meanwhile is read the next time.
        every, changed, bindings = self._all, self._changed, self._bindings
        self._all, self._changed, self._bindings = False, set(), False
        self._fresh = True

        async def action(tx: ReadTransaction) -> None:
            if every:
                self._directory.put_keys(await tx.keys())
            else:
                found = [await tx.key(id) for id in changed]
                self._directory.put_keys([key for key in found if key is not None])
            if every or bindings:
                self._directory.put_bindings(await tx.bindings())

        try:
            await self._context.store.read(action)
        except BaseException:  # what could not be read is read by the next one: nobody is let in by what was so before
            self._all, self._bindings = self._all or every, self._bindings or bindings
            self._changed |= changed
            self._fresh = False
            raise
