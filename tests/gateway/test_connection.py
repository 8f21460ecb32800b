"""One exchange with an upstream, byte by byte, over a real connection."""

import asyncio
import gc
import time
import weakref

import pytest

from steelyard.gateway.connection import Answer
from steelyard.gateway.failures import UpstreamFailed
from tests.gateway.peers import EMPTY, GET, OK, PATIENCE, asked, on_each_loop, peers, pooled, turn

BODY = "Grüße aus 世界".encode()
LENGTH = OK + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (len(BODY), BODY) + b"0\r\n\r\n"


async def _all(answer: Answer) -> bytes:
    await answer.head(PATIENCE)
    return await answer.body(1 << 20)


async def _failure(answer: Answer) -> str:
    """Why the answer breaks off, after what has come of it."""
    with pytest.raises(UpstreamFailed) as failed:
        await answer.head(PATIENCE)
        while await answer.read():
            pass
    return failed.value.reason


async def _broken_off(answer: Answer) -> str:
    """Why reading fails, with the times that were set before."""
    with pytest.raises(UpstreamFailed) as failed:
        await answer.read()
    return failed.value.reason


# How answers are framed.


@on_each_loop
async def test_an_answer_of_a_told_length() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(LENGTH)
        assert await answer.head(PATIENCE) == 200
        assert answer.headers == [(b"content-length", b"%d" % len(BODY))]
        assert await answer.body(1 << 20) == BODY
        assert (answer.done, answer.keep_alive, pool.open_connections) == (True, True, 1)


@on_each_loop
async def test_the_cuts_between_packets_do_not_matter() -> None:
    for wire in (LENGTH, CHUNKED):
        async with asked() as (answer, peer, _):
            reading = asyncio.create_task(_all(answer))
            for place in range(len(wire)):
                peer.say(wire[place : place + 1])
                await asyncio.sleep(0.0005)
            assert await reading == BODY


@on_each_loop
async def test_what_comes_is_read_when_it_comes() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"transfer-encoding: chunked\r\n\r\n")
        await answer.head(PATIENCE)
        for word in (b"a", b"bc", b"def"):
            peer.say(b"%x\r\n%b\r\n" % (len(word), word))
            assert await answer.read() == word
        peer.say(b"0\r\n\r\n")
        assert await answer.read() == b""
        assert await answer.read() == b"", "an end stays an end"


@on_each_loop
async def test_what_has_come_in_several_parts_is_read_as_one() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n")
        await answer.head(PATIENCE)
        await asyncio.sleep(0.05)
        assert await answer.read() == b"abc"


@on_each_loop
async def test_an_answer_whose_length_nobody_told_ends_with_the_connection() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(OK + b"\r\n" + BODY)
        peer.end()
        assert await _all(answer) == BODY
        assert answer.done
        await turn()
        assert pool.open_connections == 0


@on_each_loop
async def test_an_empty_answer_is_whole_with_its_head() -> None:
    for status in (b"204 No Content", b"304 Not Modified", b"200 OK\r\ncontent-length: 0"):
        async with asked() as (answer, peer, pool):
            peer.say(b"HTTP/1.1 " + status + b"\r\n\r\n")
            assert await _all(answer) == b""
            assert (answer.done, pool.open_connections) == (True, 1)


@on_each_loop
async def test_answers_that_only_announce_another_are_passed_over() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-length: 7\r\n\r\n")
        await asyncio.sleep(0.02)
        peer.say(LENGTH)
        assert await answer.head(PATIENCE) == 200
        assert [name for name, _ in answer.headers] == [b"content-length"]
        assert await answer.body(1 << 20) == BODY
        assert pool.open_connections == 1


@on_each_loop
async def test_an_announced_answer_that_ends_with_the_connection_is_told_from_a_cut() -> None:
    """`content-length` of an announcement says nothing about the answer."""
    async with asked() as (answer, peer, _):
        peer.say(b"HTTP/1.1 103 Early Hints\r\ncontent-length: 7\r\n\r\n" + OK + b"\r\n" + BODY)
        peer.end()
        assert await _all(answer) == BODY


@on_each_loop
async def test_trailers_are_nobodys_business() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-later: 1\r\n\r\n")
        assert await _all(answer) == b"a"
        assert [name for name, _ in answer.headers] == [b"transfer-encoding"]


# What is no whole answer.


@on_each_loop
async def test_a_cut_is_known_wherever_it_is() -> None:
    for wire in (LENGTH, CHUNKED):
        for place in (1, 10, len(OK) + 3, len(wire) - len(BODY), len(wire) - 1):
            async with asked() as (answer, peer, pool):
                peer.say(wire[:place])
                peer.end()
                assert await _failure(answer) == "cut", place
                await turn()
                assert pool.open_connections == 0


@on_each_loop
async def test_no_answer_at_all_is_told_from_a_cut() -> None:
    async with asked() as (answer, peer, _):
        peer.end()
        assert await _failure(answer) == "disconnect"
        assert not answer.begun


@on_each_loop
async def test_a_reset_is_a_cut_though_the_length_was_not_told() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"\r\n" + BODY)
        await answer.head(PATIENCE)
        assert await answer.read() == BODY
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER, 0 s: the end is a reset
        peer.reset()
        assert await _failure(answer) == "cut"


@on_each_loop
async def test_what_came_before_a_cut_can_be_read() -> None:
    async with asked() as (answer, peer, _):
        peer.say(OK + b"content-length: 100\r\n\r\nbegin")
        peer.end()
        await asyncio.sleep(0.02)
        await answer.head(PATIENCE)
        assert await answer.read() == b"begin"
        assert await _failure(answer) == "cut"


@on_each_loop
async def test_what_is_not_http_is_refused() -> None:
    for wire in (
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        OK + b"content-length: x\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        OK + b"bad header\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
    ):
        async with asked() as (answer, peer, pool):
            peer.say(wire)
            assert await _failure(answer) == "protocol", wire
            assert await peer.ended()
            assert pool.open_connections == 0


@on_each_loop
async def test_a_head_that_does_not_end_is_refused() -> None:
    async with asked() as (answer, peer, _):
        failing = asyncio.create_task(_failure(answer))
        peer.say(OK)
        while not failing.done():
            peer.say(b"x-more: and more\r\n" * 100)
            await asyncio.sleep(0.001)
        assert await failing == "protocol"
        assert answer.head_bytes < 400_000


@on_each_loop
async def test_a_body_of_more_than_may_be_is_refused_and_its_connection_ended() -> None:
    async with asked() as (answer, peer, pool):
        peer.say(OK + b"content-length: 1000\r\n\r\n" + b"a" * 101)
        await answer.head(PATIENCE)
        with pytest.raises(UpstreamFailed) as failed:
            await answer.body(100)
        assert failed.value.reason == "too_large"
        assert await peer.ended()
        assert pool.open_connections == 0


# One answer to one question.


@on_each_loop
async def test_a_connection_is_used_again() -> None:
    async with peers() as found, pooled() as pool:
        for number in range(3):
            answer = await pool.send(found.target(), GET, b"", PATIENCE)
            assert answer.reused == (number > 0)
            peer = await found.peer()
            await peer.answer(LENGTH if number % 2 else CHUNKED)
            assert await _all(answer) == BODY
        assert (len(found.came), pool.open_connections) == (1, 1)


@on_each_loop
async def test_a_connection_that_is_to_end_is_not_used_again() -> None:
    for wire in (
        OK + b"connection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    ):
        async with peers() as found, pooled() as pool:
            answer = await pool.send(found.target(), GET, b"", PATIENCE)
            await (await found.peer()).answer(wire)
            assert await _all(answer) == b""
            assert pool.open_connections == 0
            assert await found.came[0].ended()


@on_each_loop
async def test_a_second_answer_never_becomes_that_to_the_next_question() -> None:
    evil = OK + b"content-length: 4\r\n\r\nevil"
    for together in (True, False):
        async with peers() as found, pooled() as pool:
            answer = await pool.send(found.target(), GET, b"", PATIENCE)
            peer = await found.peer()
            await peer.answer(LENGTH + (evil if together else b""))
            assert await _all(answer) == BODY
            if not together:
                peer.say(evil)
                await asyncio.sleep(0.02)
            assert pool.open_connections == 0
            answer = await pool.send(found.target(), GET, b"", PATIENCE)
            await (await found.peer(2)).answer(LENGTH)
            assert await _all(answer) == BODY


@on_each_loop
async def test_what_comes_behind_a_whole_answer_does_not_harm_it_and_ends_the_connection() -> None:
    for rest in (b"garbage", b"\x00\x01", b"HTTP/1.1 2"):
        async with asked() as (answer, peer, pool):
            peer.say(LENGTH + rest)
            assert await _all(answer) == BODY
            await asyncio.sleep(0.02)
            assert await peer.ended()
            assert pool.open_connections == 0


@on_each_loop
async def test_a_large_request_arrives_as_it_is() -> None:
    async with peers() as found, pooled() as pool:
        body = bytes(range(256)) * 8192
        answer = await pool.send(found.target(), b"POST / HTTP/1.1\r\n\r\n", body, PATIENCE)
        peer = await found.peer()
        await peer.request()
        assert await peer.reader.readexactly(len(body)) == body
        peer.say(EMPTY)
        assert await _all(answer) == b""


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


@on_each_loop
async def test_to_send_over_a_connection_that_has_ended_is_no_wait() -> None:
    """It may have been handed to who asks right before it ended."""
    async with asked() as (answer, peer, pool):
        peer.say(LENGTH)
        assert await _all(answer) == BODY
        connection = answer._connection
        connection.close()
        await turn()
        begun = time.monotonic()
        for body in (b"", b"a" * 100_000):
            late = connection.send(GET, body)
            assert await _failure(late) == "disconnect"
            assert late.reused
        assert time.monotonic() - begun < 1
        assert pool.open_connections == 0
