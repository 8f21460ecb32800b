"""Connections to upstreams: kept, shared out and ended; on real sockets."""

import asyncio
import time

import pytest

from steelyard.gateway.connection import Answer
from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.pool import Pool, PoolRules
from steelyard.outbound.policy import Target
from tests.gateway.peers import GET, PATIENCE, Peers, on_each_loop, peers, pooled, turn


async def _ask(pool: Pool, target: Target, seconds: float = PATIENCE, *, fresh: bool = False) -> Answer:
    """Sends a request, and waits for the head of its answer."""
    answer = await pool.send(target, GET, b"", seconds, fresh=fresh)
    await answer.head(PATIENCE)
    return answer


async def _served(pool: Pool, found: Peers, number: int = 1) -> Answer:
    """A request that the peer of that number answers."""
    asking = asyncio.create_task(_ask(pool, found.target()))
    await (await found.peer(number)).answer()
    return await asking


async def _refused(pool: Pool, target: Target, seconds: float = PATIENCE) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as failed:
        await _ask(pool, target, seconds)
    assert pool.open_connections == 0
    return failed.value


# Connections that are kept.


@on_each_loop
async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with peers() as found, pooled() as pool:
        for _ in range(5):
            await _served(pool, found)
        assert (len(found.came), pool.open_connections) == (1, 1)


@on_each_loop
async def test_requests_at_once_have_one_each_and_the_last_used_is_taken_first() -> None:
    async with peers() as found, pooled() as pool:
        first = await pool.send(found.target(), GET, b"", PATIENCE)
        second = await pool.send(found.target(), GET, b"", PATIENCE)
        await (await found.peer(1)).answer()
        await first.head(PATIENCE)
        await (await found.peer(2)).answer()
        await second.head(PATIENCE)
        await _served(pool, found, 2)
        assert (len(found.came), pool.open_connections) == (2, 2)


@on_each_loop
async def test_hosts_ports_and_schemes_share_nothing() -> None:
    async with peers() as one, peers() as other, pooled() as pool:
        await _served(pool, one)
        await _served(pool, other)
        assert (len(one.came), len(other.came), pool.open_connections) == (1, 1, 2)


@on_each_loop
async def test_a_connection_that_the_upstream_ends_is_not_used_again() -> None:
    async with peers() as found, pooled() as pool:
        await _served(pool, found)
        found.came[0].end()
        await asyncio.sleep(0.02)
        assert pool.open_connections == 0
        answer = await _served(pool, found, 2)
        assert not answer.reused


@on_each_loop
async def test_a_connection_that_ends_as_it_is_used_says_so() -> None:
    """The request was not looked at: who asks may ask again, for a connection of its own."""
    async with peers() as found, pooled() as pool:
        await _served(pool, found)
        stale = await pool.send(found.target(), GET, b"", PATIENCE)
        found.came[0].end()
        with pytest.raises(UpstreamFailed) as failed:
            await stale.head(PATIENCE)
        assert (failed.value.reason, stale.reused) == ("disconnect", True)
        asking = asyncio.create_task(_ask(pool, found.target(), fresh=True))
        await (await found.peer(2)).answer()
        assert not (await asking).reused


@on_each_loop
async def test_a_fresh_connection_is_one_though_others_are_free() -> None:
    async with peers() as found, pooled() as pool:
        await _served(pool, found)
        asking = asyncio.create_task(_ask(pool, found.target(), fresh=True))
        await (await found.peer(2)).answer()
        assert not (await asking).reused
        assert pool.open_connections == 2


@on_each_loop
async def test_a_fresh_connection_takes_the_place_of_an_unused_one_where_there_may_be_no_more() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=1)) as pool:
        await _served(pool, found)
        begun = time.monotonic()
        asking = asyncio.create_task(_ask(pool, found.target(), fresh=True))
        await (await found.peer(2)).answer()
        assert not (await asking).reused
        assert time.monotonic() - begun < 2
        assert pool.open_connections == 1
        assert await found.came[0].ended()


@on_each_loop
async def test_unused_connections_are_ended_in_time_and_used_ones_are_not() -> None:
    async with peers() as found, pooled(PoolRules(idle_seconds=0.2)) as pool:
        await _served(pool, found)
        busy = await pool.send(found.target(), GET, b"", PATIENCE)
        asking = asyncio.create_task(_ask(pool, found.target()))
        await (await found.peer(2)).answer()
        await asking
        assert pool.open_connections == 2
        await asyncio.sleep(0.5)
        assert pool.open_connections == 1
        assert await found.came[1].ended()
        await found.came[0].answer()
        assert await busy.head(PATIENCE) == 200
        await asyncio.sleep(0.5)
        assert pool.open_connections == 0


@on_each_loop
async def test_a_connection_that_is_used_now_and_then_is_kept() -> None:
    async with peers() as found, pooled(PoolRules(idle_seconds=0.3)) as pool:
        for _ in range(6):
            await _served(pool, found)
            await asyncio.sleep(0.1)
        assert len(found.came) == 1


@on_each_loop
async def test_to_close_the_pool_ends_all_used_or_not() -> None:
    async with peers() as found, pooled() as pool:
        await _served(pool, found)
        answer = await pool.send(found.target(), GET, b"", PATIENCE)
        fresh = asyncio.create_task(_ask(pool, found.target()))
        await (await found.peer(2)).request()
        await found.came[0].request()
        pool.close()
        for asking in (answer.head(PATIENCE), fresh):
            with pytest.raises(UpstreamFailed):
                await asking
        assert await found.came[0].ended()
        assert await found.came[1].ended()


# No more than there may be.


@on_each_loop
async def test_who_finds_all_connections_taken_gets_the_first_that_is_free() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=2)) as pool:
        tasks = [asyncio.create_task(_ask(pool, found.target())) for _ in range(5)]
        one, two = await found.peer(1), await found.peer(2)
        for turns in range(5):
            await (one, two)[turns % 2].answer()
            await tasks[turns]
        assert (len(found.came), pool.open_connections) == (2, 2)


@on_each_loop
async def test_who_waits_opens_one_where_another_has_ended() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=1)) as pool:
        first = asyncio.create_task(_ask(pool, found.target()))
        second = asyncio.create_task(_ask(pool, found.target()))
        peer = await found.peer(1)
        await peer.request()
        peer.end()
        with pytest.raises(UpstreamFailed):
            await first
        await (await found.peer(2)).answer()
        assert (await second).status == 200
        assert pool.open_connections == 1


@on_each_loop
async def test_who_waits_too_long_is_told_so_and_takes_nothing_with_it() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=1)) as pool:
        busy = await pool.send(found.target(), GET, b"", PATIENCE)
        with pytest.raises(UpstreamFailed) as failed:
            await _ask(pool, found.target(), 0.1)
        assert failed.value.reason == "timeout"
        await (await found.peer()).answer()
        await busy.head(PATIENCE)
        await _served(pool, found)
        assert (len(found.came), pool.open_connections) == (1, 1)


@on_each_loop
async def test_who_leaves_while_it_waits_takes_nothing_with_it() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=1)) as pool:
        busy = await pool.send(found.target(), GET, b"", PATIENCE)
        waiting = [asyncio.create_task(_ask(pool, found.target())) for _ in range(2)]
        await turn()
        waiting[0].cancel()
        await (await found.peer()).answer()
        await busy.head(PATIENCE)
        await found.came[0].answer()
        assert (await waiting[1]).status == 200
        await asyncio.gather(waiting[0], return_exceptions=True)
        assert (len(found.came), pool.open_connections) == (1, 1)


@on_each_loop
async def test_a_connection_that_is_given_to_who_has_just_left_is_given_on() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=1)) as pool:
        busy = await pool.send(found.target(), GET, b"", PATIENCE)
        waiting = [asyncio.create_task(_ask(pool, found.target())) for _ in range(2)]
        peer = await found.peer()
        await peer.request()
        # In the very turn in which the connection is handed to the first that waits, that one leaves.
        busy.done = True
        busy._finish()
        busy._connection.ended(reusable=True)
        waiting[0].cancel()
        await peer.answer()
        assert (await waiting[1]).status == 200
        await asyncio.gather(waiting[0], return_exceptions=True)
        assert pool.open_connections == 1


@on_each_loop
async def test_a_connection_that_is_given_as_the_time_is_over_is_not_lost() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=1)) as pool:
        busy = await pool.send(found.target(), GET, b"", PATIENCE)
        peer = await found.peer()
        await peer.request()
        waiting = asyncio.create_task(_ask(pool, found.target(), 0.1))
        await turn()

        def free() -> None:
            busy.done = True
            busy._finish()
            busy._connection.ended(reusable=True)

        asyncio.get_running_loop().call_later(0.05, free)
        time.sleep(0.15)  # noqa: ASYNC251 - both are due when the loop looks again
        serving = asyncio.create_task(peer.answer())
        outcome = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(outcome[0], Answer | UpstreamFailed)
        if isinstance(outcome[0], UpstreamFailed):  # the loop has looked at the timers in another order
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await asyncio.wait_for(_served(pool, found), 2)
        assert pool.open_connections == 1


@on_each_loop
async def test_a_connection_that_ends_after_it_was_given_is_as_one_that_ends_as_it_is_used() -> None:
    async with peers() as found, pooled(PoolRules(max_connections=1)) as pool:
        busy = await pool.send(found.target(), GET, b"", PATIENCE)
        peer = await found.peer()
        await peer.request()
        waiting = asyncio.create_task(pool.send(found.target(), GET, b"", PATIENCE))
        await turn()
        connection = busy._connection
        busy.done = True
        busy._finish()
        connection.ended(reusable=True)
        connection.close()
        answer = await waiting
        begun = time.monotonic()
        with pytest.raises(UpstreamFailed) as failed:
            await answer.head(PATIENCE)
        assert (failed.value.reason, answer.reused) == ("disconnect", True)
        assert time.monotonic() - begun < 1
        assert pool.open_connections == 0


@on_each_loop
async def test_connections_that_fail_to_open_take_nobodys_place() -> None:
    async with pooled(PoolRules(max_connections=1)) as pool:
        async with peers() as found:
            target = found.target()
        for _ in range(3):
            assert (await _refused(pool, target)).reason == "connect"
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(_refused_whenever(pool, target))
        assert pool.open_connections == 0


async def _refused_whenever(pool: Pool, target: Target) -> None:
    with pytest.raises(UpstreamFailed):
        await _ask(pool, target)
