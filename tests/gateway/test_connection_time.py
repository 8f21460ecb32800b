"""How long an exchange with an upstream may take, and readers of it that are slow, or leave."""

import asyncio
import gc
import time
import weakref

import pytest

from steelyard.gateway.connection import Answer
from steelyard.gateway.failures import UpstreamFailed
from tests.gateway.peers import OK, PATIENCE, asked, on_each_loop, turn

BODY = "Grüße aus 世界".encode()
LENGTH = OK + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


async def _all(answer: Answer) -> bytes:
    await answer.head(PATIENCE)
    return await answer.body(1 << 20)


async def _broken_off(answer: Answer) -> str:
    """Why reading fails, with the times that were set before."""
    with pytest.raises(UpstreamFailed) as failed:
        await answer.read()
    return failed.value.reason


# Time.


@on_each_loop
async def test_a_head_must_come_in_time_however_it_drips() -> None:
    async with asked() as (answer, peer, pool):

        async def drip() -> None:
            for byte in OK * 100:
                peer.say(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        begun = time.monotonic()
        with pytest.raises(UpstreamFailed) as failed:
            await answer.head(0.15)
        assert failed.value.reason == "timeout"
        assert 0.1 < time.monotonic() - begun < 1
        assert pool.open_connections == 0
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


@on_each_loop
async def test_silence_has_a_bound_and_a_stream_that_is_not_silent_has_none() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"transfer-encoding: chunked\r\n\r\n")
        await answer.head(PATIENCE)
        answer.expect(0.15)
        for _ in range(5):
            await asyncio.sleep(0.06)
            peer.say(b"1\r\na\r\n")
            assert await answer.read() == b"a"
        begun = time.monotonic()
        assert await _broken_off(answer) == "timeout"
        assert 0.1 < time.monotonic() - begun < 1
        assert await peer.ended()


@on_each_loop
async def test_a_shorter_time_takes_the_place_of_a_longer_one() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"content-length: 5\r\n\r\n")
        await answer.head(PATIENCE)
        answer.expect(0.1)
        begun = time.monotonic()
        assert await _broken_off(answer) == "timeout"
        assert time.monotonic() - begun < 1


@on_each_loop
async def test_an_end_in_all_holds_though_something_always_comes() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"transfer-encoding: chunked\r\n\r\n")
        await answer.head(PATIENCE)
        answer.expect(5.0, asyncio.get_running_loop().time() + 0.2)
        begun = time.monotonic()
        with pytest.raises(UpstreamFailed) as failed:
            while True:
                peer.say(b"1\r\na\r\n")
                await answer.read()
                await asyncio.sleep(0.02)
        assert failed.value.reason == "timeout"
        assert 0.1 < time.monotonic() - begun < 1


@on_each_loop
async def test_a_whole_answer_has_no_timer_that_keeps_it() -> None:
    """Thousands of answers a second must not be kept for minutes each by what was expected of them."""
    async with asked() as (answer, peer, _):
        peer.say(LENGTH)
        await answer.head(PATIENCE)
        await asyncio.sleep(0.02)
        answer.expect(3600.0)
        await answer.body(1 << 20)
        witness = _Witness()
        gone = weakref.ref(witness)
        answer.headers.append(witness)  # type: ignore[arg-type]
        del answer, witness
    gc.collect()
    assert gone() is None


class _Witness:
    pass


# Readers that are slow, or leave.


@on_each_loop
async def test_a_slow_reader_holds_the_upstream_back_and_is_no_silence() -> None:
    async with asked() as (answer, peer, pool):
        total, sent = 32 << 20, 0
        peer.say(OK + b"content-length: %d\r\n\r\n" % total)
        await answer.head(PATIENCE)
        answer.expect(0.4)

        async def send() -> None:
            nonlocal sent
            while sent < total:
                peer.say(b"a" * 65536)
                sent += 65536
                await peer.writer.drain()

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.9)
        assert sent < total, "what nobody reads is not taken"
        assert answer.failure is None, "the reader is slow, not the upstream"
        read = 0
        while data := await answer.read():
            assert len(data) < 1 << 20
            read += len(data)
        await sending
        assert (read, answer.done, pool.open_connections) == (total, True, 1)


@on_each_loop
async def test_after_a_slow_reader_the_upstream_has_all_of_its_time() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"content-length: 700000\r\n\r\n" + b"a" * 300_000)
        await answer.head(PATIENCE)
        answer.expect(0.3)
        await asyncio.sleep(0.25)
        while answer._size:
            await answer.read()
            await turn()
        await asyncio.sleep(0.2)
        peer.say(b"a" * 400_000)
        assert len(await answer.body(1 << 20)) > 0
        assert answer.done


@on_each_loop
async def test_the_time_in_all_is_over_for_a_slow_reader_too() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"content-length: 10000000\r\n\r\n" + b"a" * 900_000)
        await answer.head(PATIENCE)
        answer.expect(0.1, asyncio.get_running_loop().time() + 0.3)
        await asyncio.sleep(0.15)
        assert answer.failure is None
        await asyncio.sleep(0.4)
        assert answer.failure == "timeout"


@on_each_loop
async def test_who_leaves_ends_the_upstreams_work_at_once() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(OK + b"content-length: 100\r\n\r\nbegin")
        await answer.head(PATIENCE)
        answer.abort()
        assert await peer.ended()
        assert pool.open_connections == 0
        answer.abort()
        assert answer.failure == "cancelled"


@on_each_loop
async def test_to_leave_a_whole_answer_leaves_its_connection() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(LENGTH)
        await answer.head(PATIENCE)
        await asyncio.sleep(0.02)
        answer.abort()
        assert pool.open_connections == 1


@on_each_loop
async def test_a_rest_that_nobody_reads_and_that_ends_soon_leaves_the_connection() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        await answer.head(PATIENCE)
        answer.drain()
        answer.abort()
        peer.say(b"1\r\nb\r\n0\r\n\r\n")
        await asyncio.sleep(0.02)
        assert (answer.done, pool.open_connections) == (True, 1)


@on_each_loop
async def test_a_rest_that_does_not_end_ends_the_connection() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(OK + b"transfer-encoding: chunked\r\n\r\n")
        await answer.head(PATIENCE)
        answer.drain(0.1)
        begun = time.monotonic()
        while pool.open_connections:
            peer.say(b"1\r\nb\r\n")  # what still comes gives it no more time
            await asyncio.sleep(0.01)
        assert 0.05 < time.monotonic() - begun < 1
        assert answer._size == 0


@on_each_loop
async def test_an_upstream_that_is_held_back_is_let_go_on_when_the_rest_is_of_no_interest() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(OK + b"content-length: 2000000\r\n\r\n" + b"a" * 2_000_000)
        await answer.head(PATIENCE)
        await asyncio.sleep(0.05)
        assert not answer.done
        answer.drain()
        await asyncio.sleep(0.1)
        assert (answer.done, pool.open_connections) == (True, 1)


@on_each_loop
async def test_who_is_cancelled_while_it_waits_can_be_told_nothing_more() -> None:
    async with asked() as (answer, peer, _):
        waiting = asyncio.create_task(answer.head(PATIENCE))
        await turn()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        peer.say(LENGTH)
        await asyncio.sleep(0.02)
        assert await _all(answer) == BODY, "the answer is there, for whoever asks again"
