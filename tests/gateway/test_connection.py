"""One exchange with an upstream, byte by byte, over a real connection."""

import asyncio
import time

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
