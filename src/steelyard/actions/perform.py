"""Performs prepared writes: for good, for show, or once for a key that a caller may send again."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from steelyard.actions import inspections
from steelyard.actions.context import Context
from steelyard.actions.preview import Preview, preview
from steelyard.actions.writes import Write, Written
from steelyard.errors import InvalidParameters
from steelyard.store.protocol import WriteTransaction
from steelyard.store.queries import KeptAnswer

T = TypeVar("T")

ANSWER_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class OnceKey:
    """An `Idempotency-Key`: within `scope` (caller, method, path), for what is `asked` (a digest)."""

    scope: str
    key: str
    asked: str

    @classmethod
    def of(cls, scope: str, key: str, *parts: bytes) -> "OnceKey":
        """The key of a request that consists of `parts`."""
        digest = hashlib.sha256()
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return cls(scope, key, digest.hexdigest())


async def perform(context: Context, write: Write) -> Written:
    """Performs a write; what it raises, it raises."""
    return await inspections.write(context, write.run, heavy=write.heavy)


async def perform_for_show(context: Context, write: Write) -> tuple[Written, Preview]:
    """What the write would do. Raises what the write raises."""

    async def run(tx: WriteTransaction) -> tuple[Written, Preview]:
        written = await write.run(tx)
        return written, await preview(tx, written, context)

    return await run_for_show(context, run, heavy=write.heavy)


async def run_for_show(context: Context, run: Callable[[WriteTransaction], Awaitable[T]], *, heavy: bool = True) -> T:
    """What `run` would do: all of it happens, is looked at, and is taken back."""
    return await inspections.write(context, run, heavy=heavy, dry_run=True)


async def run_once(
    context: Context, run: Callable[[WriteTransaction], Awaitable[KeptAnswer]], key: OnceKey, *, heavy: bool
) -> tuple[KeptAnswer, bool]:
    """Does `run` unless it has been done for that key; the answer is kept with it, in one transaction.

    Answers the (first) answer, and whether it is a repetition. A run that fails keeps no answer: it has done nothing,
    and may be tried again. Raises InvalidParameters if the key came with something else before.
    """

    async def action(tx: WriteTransaction) -> tuple[KeptAnswer, bool]:
        found = await tx.find_answer(key.scope, key.key, context.ago(ANSWER_SECONDS))
        if found is not None:
            if found.asked != key.asked:
                message = "this key came with another request before; send a new key for a new request"
                raise InvalidParameters.of(("header", "Idempotency-Key"), "idempotency_key_reused", message)
            return found, True
        kept = (await run(tx))._replace(asked=key.asked)
        await tx.keep_answer(key.scope, key.key, context.now(), kept)
        return kept, False

    return await inspections.write(context, action, heavy=heavy)
