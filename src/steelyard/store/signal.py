"""A bell that rings for everyone who listens: after each commit, for the followers of the feed."""

import asyncio
import contextlib


class Bell:
    """The next ringing, as somebody listens for it who began to before they looked."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wakes who waits for it, now or later."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Returns when it has rung, or after so many seconds."""
        # Not `wait_for`: in Python 3.11 it loses a cancellation that comes as the bell rings.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


class Signal:
    """Wakes all that listen, each time it is rung. Used from one event loop.

    Listen first, then look, then wait: what happens between looking and waiting is not missed.
    """

    def __init__(self) -> None:
        self._next = Bell()

    def listen(self) -> Bell:
        """The bell of the next ringing."""
        return self._next

    def ring(self) -> None:
        """Wakes everyone who listens."""
        rung, self._next = self._next, Bell()
        rung.ring()

    async def wait(self, seconds: float) -> None:
        """Returns at the next ringing, or after so many seconds."""
        await self._next.wait(seconds)
