"""The background task that asks each provider which models it serves, and keeps what the records say of it true.

Each provider is asked again and again: after an interval while it answers, after growing pauses while it does not; at
once when its record or its key has changed. The gateway's own requests tell of its health too (`noted`), so that a
provider which fails them is asked soon, and one that answers them is READY without being asked.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import random
from typing import NamedTuple

from steelyard.actions import discovered
from steelyard.actions.asking import Asked, ask
from steelyard.actions.context import Context
from steelyard.actions.discovered import ASKED_BY, GONE, READY, Outcome, all_rows
from steelyard.actions.records import missing
from steelyard.actions.secrets import secret_reader
from steelyard.errors import SteelyardError
from steelyard.outbound.transport import Transport
from steelyard.records.discovery import pause
from steelyard.records.kinds import Row
from steelyard.records.names import Reference
from steelyard.records.providers import MODEL_PROVIDER
from steelyard.records.secrets import SECRET
from steelyard.store.protocol import ReadTransaction
from steelyard.store.queries import EVERY, Key

_log = logging.getLogger("steelyard.discovery")

_WATCHED = frozenset({MODEL_PROVIDER.name, SECRET.name, EVERY, "workspace"})
_GATHER_SECONDS = 0.02
_PAUSE_SECONDS = 5.0
# After a request has failed: soon, but not for each of them.
_SOON_SECONDS = 1.0
_AGAIN_SECONDS = 5.0
_LONGEST_SLEEP = 3600.0


class DiscoveryRules(NamedTuple):
    """How providers are asked; times in seconds. `error_after` is how long one fails before it is in ERROR; `by_hand`
    is how long a question may take that somebody waits for, looking up the host's name and all pages included.
    """

    interval: float = 60.0
    error_after: float = 30.0
    timeout: float = 30.0
    by_hand: float = 8.0
    concurrency: int = 8


@dataclass(slots=True)
class _Known:
    """A provider that is asked: when next, and how it has fared."""

    row: Row
    asked_by: Sequence[object]
    due: float
    """By the clock of the event loop."""
    asked_at: float = float("-inf")
    failures: int = 0
    failing_since: float | None = None
    task: "asyncio.Task[None] | None" = None
    answers: bool = False
    """Whether it has answered a request since it was asked last."""
    revived: bool = False
    """Whether it is to be marked as READY, because it has answered a request."""


class Discovery:
    """Asks the providers. `draw` gives numbers from 0 to 1."""

    def __init__(
        self, context: Context, transport: Transport, rules: DiscoveryRules, draw: Callable[[], float] = random
    ) -> None:
        self._context = context
        self._transport = transport
        self._rules = rules
        self._draw = draw
        self._secret = secret_reader(context.store, context.vault)
        self._known: dict[str, _Known] = {}
        self._places = asyncio.Semaphore(rules.concurrency)
        self._woken = asyncio.Event()
        self._changed: set[Reference] = set()
        self._all_changed = True
        self._orphans = True

    async def run(self) -> None:
        """Asks until it is cancelled."""
        self._context.store.watch(self._heard)
        try:
            while True:
                self._woken.clear()
                try:
                    seconds = await self._look()
                except Exception:  # noqa: BLE001 - the outermost layer of this task: nobody else would begin it again
                    _log.exception("the providers could not be looked through")
                    self._all_changed, seconds = True, _PAUSE_SECONDS
                await self._sleep(seconds)
                await asyncio.sleep(_GATHER_SECONDS)
        finally:
            tasks = [one.task for one in self._known.values() if one.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._transport.close()

    def noted(self, provider: str, ok: bool) -> None:
        """Hears how a request to `provider` (`workspace/name`) has gone. It costs nearly nothing."""
        known = self._known.get(provider)
        if known is None:
            return
        if ok:
            known.answers = True
            if known.revived or known.row.fields["status"] == READY:
                return
            known.revived = True
        else:
            now = asyncio.get_running_loop().time()
            if known.failures or known.due <= now + _SOON_SECONDS or now < known.asked_at + _AGAIN_SECONDS:
                return
            known.due = now + _SOON_SECONDS
        self._woken.set()

    async def refresh(self, workspace: str, name: str) -> None:
        """Asks a provider now, also one that is never asked otherwise; its record says then what came of it.

        Raises NotFound.
        """
        home = Reference(workspace, name)
        row = await self._context.store.read(lambda tx: _find(tx, home))
        if row is None:
            raise missing(MODEL_PROVIDER, workspace, name)
        # Somebody waits: not also for others that do not answer, which may hold all places for long.
        asked = await self._ask_within(row, self._rules.by_hand)
        # Whoever asks wants to know: a failure is not waited out.
        await discovered.settle(self._context, row, Outcome(asked.listed, asked.failure, in_error=True))
        known = self._known.get(str(home))
        if known is not None and known.row.id == row.id:
            self._fared(known, asked)

    async def _ask_within(self, row: Row, seconds: float) -> Asked:
        try:
            async with asyncio.timeout(seconds):
                return await ask(self._transport, self._secret, row, self._rules.timeout)
        except TimeoutError:
            return Asked(failure=f"It cannot be asked for its models: no answer within {seconds:g} seconds")

    def _heard(self, keys: Sequence[Key]) -> None:
        """A commit has changed these records."""
        for key in keys:
            if key.kind not in _WATCHED:
                continue
            if key.kind == MODEL_PROVIDER.name:
                self._changed.add(Reference(key.workspace, key.name))
            else:
                self._all_changed = True
            self._woken.set()

    async def _sleep(self, seconds: float) -> None:
        # Not `wait_for`: in Python 3.11 it loses a cancellation that comes as the event does.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _look(self) -> float:
        """Starts what is due, and answers after how many seconds there is more, if nothing happens."""
        await self._read_changes()
        if self._orphans:
            self._orphans = False
            await discovered.remove_orphans(self._context)
        now = asyncio.get_running_loop().time()
        following = now + _LONGEST_SLEEP
        for known in self._known.values():
            if known.task is not None:
                continue
            if known.due <= now or known.revived:
                self._start(known)
            else:
                following = min(following, known.due)
        return following - now

    async def _read_changes(self) -> None:
        whole, changed = self._all_changed, frozenset(self._changed)
        self._all_changed = False
        self._changed.clear()
        if whole:
            found = await self._context.store.scan(_all)
            for name in self._known.keys() - {str(one) for one, _, _ in found}:
                self._forget(name)
        elif changed:
            found = await self._context.store.scan(lambda tx: _these(tx, changed))
        else:
            return
        for reference, row, asked_by in found:
            self._take_up(str(reference), row, asked_by)

    def _take_up(self, name: str, row: Row | None, asked_by: Sequence[object]) -> None:
        """Notes how a provider is now."""
        known = self._known.get(name)
        if row is None or not row.fields["discover"] or row.fields["status"] in GONE:
            self._forget(name)
            return
        if known is not None and known.row.id == row.id and known.asked_by == asked_by:
            # Somebody else may have said what it serves.
            self._orphans = self._orphans or known.row.fields["served_models"] != row.fields["served_models"]
            known.row = row
            return
        self._forget(name)
        self._known[name] = _Known(row, asked_by, asyncio.get_running_loop().time())

    def _forget(self, name: str) -> None:
        self._orphans = True
        known = self._known.pop(name, None)
        if known is not None and known.task is not None:
            known.task.cancel()

    def _start(self, known: _Known) -> None:
        known.task = asyncio.create_task(self._ask(known))
        known.task.add_done_callback(lambda task: self._ended(known, task))

    def _ended(self, known: _Known, task: "asyncio.Task[None]") -> None:
        known.task = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            if isinstance(error, SteelyardError):
                _log.warning("what a provider serves could not be stored: %s", error.message)
            else:
                _log.error("a provider could not be asked by a fault of the server", exc_info=error)
            known.due = asyncio.get_running_loop().time() + _PAUSE_SECONDS
        self._woken.set()

    async def _ask(self, known: _Known) -> None:
        if known.revived:
            known.revived = False
            await discovered.revive(self._context, known.row)
            return
        async with self._places:
            known.asked_at = asyncio.get_running_loop().time()
            asked = await ask(self._transport, self._secret, known.row, self._rules.timeout)
        self._fared(known, asked)
        since = known.failing_since
        lasts = since is not None and known.asked_at >= since + self._rules.error_after
        await discovered.settle(self._context, known.row, Outcome(asked.listed, asked.failure, in_error=lasts))

    def _fared(self, known: _Known, asked: Asked) -> None:
        """Notes how a provider has answered, and when it is asked again."""
        now = asyncio.get_running_loop().time()
        answers, known.answers = known.answers, False
        if asked.failure is None:
            known.failures, known.failing_since = 0, None
        else:
            known.failures += 1
            known.failing_since = None if answers else known.failing_since or now
        known.due = now + pause(known.failures, self._rules.interval, self._draw())
        if known.failing_since is not None and now < (lasting := known.failing_since + self._rules.error_after):
            known.due = min(known.due, lasting)


async def _find(tx: ReadTransaction, reference: Reference) -> Row | None:
    return await tx.find(MODEL_PROVIDER.name, reference.workspace, reference.name)


_Found = tuple[Reference, Row | None, Sequence[object]]


async def _all(tx: ReadTransaction) -> list[_Found]:
    rows = await all_rows(tx, MODEL_PROVIDER)
    return [(Reference(row.workspace, row.name), row, await _asked_by(tx, row)) for row in rows]


async def _these(tx: ReadTransaction, names: Iterable[Reference]) -> list[_Found]:
    found: list[_Found] = []
    for name in names:
        row = await _find(tx, name)
        found.append((name, row, () if row is None else await _asked_by(tx, row)))
    return found


async def _asked_by(tx: ReadTransaction, row: Row) -> Sequence[object]:
    """What decides how a provider is asked, its key included."""
    secret = None
    if named := row.fields["api_key_secret_name"]:
        secret = await tx.find(SECRET.name, row.workspace, named)
    return (*(row.fields[field] for field in ASKED_BY), secret.etag if secret else None)
