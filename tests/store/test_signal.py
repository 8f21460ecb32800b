"""The bell that rings after each commit."""

import asyncio

import pytest

from steelyard.store.signal import Signal


async def test_who_listens_first_misses_nothing() -> None:
    signal = Signal()
    bell = signal.listen()
    signal.ring()
    await asyncio.wait_for(bell.wait(60), 1)


async def test_waiting_ends_after_a_while() -> None:
    await asyncio.wait_for(Signal().wait(0.01), 1)


async def test_a_task_that_is_cancelled_as_the_bell_rings_ends() -> None:
    signal = Signal()
    task = asyncio.create_task(signal.wait(60))
    for _ in range(3):  # so that it really waits
        await asyncio.sleep(0)
    signal.ring()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
