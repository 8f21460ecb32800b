"""What the server does by itself: what is deleted for longer than its retention time is purged; old answers go, old
usage, and bytes that nothing names.
"""

import asyncio
import logging

from steelyard.actions.context import Caller, Context
from steelyard.actions.files.sweep import sweep_files
from steelyard.actions.following import catch_up
from steelyard.actions.history import purge_deleted
from steelyard.actions.perform import ANSWER_SECONDS
from steelyard.actions.usage import forget_usage
from steelyard.errors import SteelyardError
from steelyard.store.protocol import WriteTransaction

_log = logging.getLogger("steelyard.maintenance")

ROUND_SECONDS = 600.0
_PURGED_AT_ONCE = 500
_CALLER = Caller(name="steelyard", reason="the retention time is over")
_READER = Caller(name="steelyard", reason="the files have changed")


async def maintain(context: Context, retention_seconds: float, keep_usage_seconds: float) -> None:
    """Tidies up again and again, until it is cancelled. A round that fails is told and tried again."""
    while True:
        try:
            await tidy(context, retention_seconds)
            await forget_usage(context, keep_usage_seconds)
            await sweep_files(context)
            await catch_up(context, _READER)
        except SteelyardError as error:
            _log.warning("tidying up failed: %s", error.message)
        await asyncio.sleep(ROUND_SECONDS)


async def tidy(context: Context, retention_seconds: float) -> int:
    """Purges what is deleted for longer than `retention_seconds`, and answers how many records that were."""
    purged = 0

    async def purge(tx: WriteTransaction) -> int:
        rows = await tx.deleted_before(context.ago(retention_seconds), _PURGED_AT_ONCE)
        await purge_deleted(tx, context, _CALLER, rows)
        return len(rows)

    async def forget(tx: WriteTransaction) -> None:
        await tx.forget_answers(context.ago(ANSWER_SECONDS))
        if purged:
            await tx.sweep_contents()

    while found := await context.store.write(purge, heavy=True):
        purged += found
    await context.store.write(forget, heavy=True)
    return purged
