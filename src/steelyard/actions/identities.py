"""Who is calling: finds it out from what a request brings, by what the store says now.

A change of a key or of a role is in force for the request that follows the answer to it.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from steelyard.actions.context import Context
from steelyard.auth.directory import Directory, Identity
from steelyard.auth.keys import KEY_BEGINS
from steelyard.errors import Unauthorized
from steelyard.records.access import Principal
from steelyard.store.protocol import EVERY, Key, ReadTransaction, WriteTransaction

KEY, BINDING = "api-key", "role-binding"
_TOUCH_SECONDS = 60.0


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
        self._used: dict[str, str] = {}
        context.store.watch(self._heard)

    def known(self, credential: str, address: str | None) -> Identity | None:
        """Who sends a key that has been here before, if nothing has changed since; None: `identify` has to look."""
        if self._all or self._changed or self._bindings or not credential.startswith(KEY_BEGINS):
            return None
        now = self._context.now()
        identity = self._directory.known(credential, address, now)
        if identity is not None and identity.key_id is not None:
            self._used[identity.key_id] = now
        return identity

    async def identify(self, credential: str, address: str | None) -> Identity:
        """Who sends that credential: a key, or a token. Raises Unauthorized."""
        if self._all or self._changed or self._bindings:
            await self._read()
        if credential.startswith(KEY_BEGINS):
            now = self._context.now()
            identity = self._directory.by_key(credential, address, now)
            if identity.key_id is not None:
                self._used[identity.key_id] = now
            return identity
        if self._tokens is None:
            raise Unauthorized("this server takes API keys only (they begin with sy_); it has no identity provider")
        principal = await self._tokens.verify(credential)
        if self._all or self._changed or self._bindings:
            await self._read()
        return Identity(principal, self._directory.access(principal))

    async def directory(self) -> Directory:
        """The directory as it is now."""
        if self._all or self._changed or self._bindings:
            await self._read()
        return self._directory

    async def note_use(self) -> None:
        """Writes down, from time to time, when keys were used last. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(_TOUCH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Writes it down now."""
        used, self._used = self._used, {}
        if not used:
            return

        async def action(tx: WriteTransaction) -> None:
            for id, at in used.items():
                await tx.touch_key(id, at)

        await self._context.store.write(action)

    def _heard(self, keys: Sequence[Key]) -> None:
        for key in keys:
            if key.kind == KEY:
                self._changed.add(key.name)
            elif key.kind in {BINDING, EVERY, "workspace"}:
                self._bindings = True

    async def _read(self) -> None:
        # What is heard meanwhile is read the next time.
        every, changed, bindings = self._all, self._changed, self._bindings
        self._all, self._changed, self._bindings = False, set(), False

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
            raise
