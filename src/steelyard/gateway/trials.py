"""Tries until a request is answered: the providers of the model that was chosen, then the models to fall back to.

Only what has reached no client is tried again, and only as often as the model's record, and the budget of retries,
allow.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from math import ceil
from random import random

from steelyard.errors import InvalidInput, NoProvider, NotServed, Overloaded, SteelyardError
from steelyard.gateway.attempts import AttemptFailed, Attempts, Opened
from steelyard.gateway.calls import Call
from steelyard.gateway.table import Candidate, Target

_BACKOFF, _BACKOFF_MOST = 0.1, 2.0
"""In seconds: the wait before the same target is asked again, doubled each time, and its bound."""


class Trials:
    """Goes from target to target."""

    def __init__(self, attempts: Attempts, retry_after: float) -> None:
        """`retry_after` is how many seconds a request waits, at most, for a target that is to be left alone."""
        self._attempts = attempts
        self._patience = retry_after
        self._now = asyncio.get_running_loop().time

    def open(self, call: Call, candidate: Candidate) -> Awaitable[Opened]:
        """An attempt with one model that has worked.

        Raises AttemptFailed, or NotServed, NoProvider, Overloaded, SecretMissing where there was none to make.
        """
        if not candidate.targets:
            raise NotServed(f"the model {candidate.model!r} is not served by any provider, and has no endpoint")
        candidate.budget.asked()
        targets = candidate.order()
        if candidate.hedge_seconds is not None and len(targets) > 1:
            return self._hedged(call, candidate, targets)
        return self._in_turn(call, candidate, targets)

    async def _in_turn(self, call: Call, candidate: Candidate, targets: Sequence[Target]) -> Opened:
        tried: list[Target] = []
        last: AttemptFailed | Overloaded | None = None
        left = candidate.retries
        while True:
            target = await self._next(call, targets, tried, last)
            try:
                return await self._attempts.attempt(call, candidate, target)
            except Overloaded as busy:
                last = last or busy
                if target in tried:
                    raise last from None  # whoever else could be asked has been
                tried.append(target)
            except AttemptFailed as failed:
                last = failed
                tried.append(target)
                if failed.final or left == 0 or self._now() >= call.deadline:
                    raise
                if failed.sent and not candidate.budget.take():
                    raise
                left -= 1

    async def _next(
        self, call: Call, targets: Sequence[Target], tried: Sequence[Target], last: AttemptFailed | Overloaded | None
    ) -> Target:
        """The target to ask now, after a wait if it has to be. Raises what there is to say if there is none."""
        if last is None and len(targets) == 1 and targets[0].fault is None and targets[0].place.at_ease:
            return targets[0]
        able = [target for target in targets if target.fault is None]
        if not able:
            fault = targets[0].fault
            assert fault is not None  # noqa: S101 - of each that is not able
            raise fault
        now = self._now()
        until = min(now + self._patience, call.deadline)
        while True:
            fresh = [target for target in able if target not in tried and not target.place.wait_for(now)]
            if fresh:
                return next((target for target in fresh if not target.place.full), fresh[0])
            # All have been tried, or are left alone: the one that can be asked first.
            again = [target for target in able if target not in tried] if last is None else able
            if isinstance(last, Overloaded) or not again:
                raise last or NoProvider("nobody who serves the model can be asked now; try again")
            target = min(again, key=lambda one: one.place.wait_for(now))
            held = target.place.wait_for(now)
            if now + held > until:
                raise last or _left_alone(target, held)
            backoff = min(_BACKOFF * 2 ** tried.count(target), _BACKOFF_MOST) * random() if last else 0.0  # noqa: S311
            await asyncio.sleep(max(held, backoff))
            now = self._now()
            # Of those who have waited for it together one tries it out, and the others wait for what comes of it.
            if not target.place.wait_for(now):
                return target

    async def _hedged(self, call: Call, candidate: Candidate, targets: list[Target]) -> Opened:
        """Asks a second target too where the first takes its time; the first that works is taken, the other dropped."""
        seconds = candidate.hedge_seconds
        first = asyncio.create_task(self._in_turn(call, candidate, targets))
        running = {first}
        try:
            done, _ = await asyncio.wait(running, timeout=seconds)
            if not done and candidate.budget.take():
                running.add(asyncio.create_task(self._in_turn(call, candidate, [*targets[1:], targets[0]])))
            failure: SteelyardError | AttemptFailed | None = None
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                opened = [task for task in done if task.exception() is None]
                if opened:
                    for late in opened[1:]:
                        self._attempts.closed(late.result(), "cancelled")
                    return opened[0].result()
                for task in done:
                    error = task.exception()
                    if not isinstance(error, SteelyardError | AttemptFailed):
                        raise error or RuntimeError("a task without a result")
                    if not moves_on(error):
                        raise error  # the other one would hear the same
                    failure = failure or error
            raise failure or NoProvider("nobody who serves the model can be asked now; try again")
        finally:
            for task in running:
                task.cancel()
            for outcome in await asyncio.gather(*running, return_exceptions=True):
                if isinstance(outcome, Opened):
                    self._attempts.closed(outcome, "cancelled")


def _left_alone(target: Target, seconds: float) -> NoProvider:
    return NoProvider(
        f"{target.provider} is left alone for {seconds:.0f} s, for it has failed lately or has asked for it; "
        "nobody else serves the model",
        headers={"Retry-After": str(ceil(seconds))},
    )


def moves_on(failure: Exception) -> bool:
    """Whether another model may be tried after a failure: not where the request itself is at fault."""
    if isinstance(failure, InvalidInput):
        return False
    return not (isinstance(failure, AttemptFailed) and failure.final)
