"""Sends a part of a file from the disk to a client without taking it into memory: sendfile(2), beside a transport.

It is the extension "zero copy send" of ASGI (asgi.readthedocs.io/en/latest/extensions.html): where the scope has
it, a body may be sent as `{"type": ZERO_COPY, "file": descriptor, "offset": …, "count": …, "more_body": True}`.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

ZERO_COPY = "http.response.zerocopysend"

_AT_ONCE = 1 << 20
_NOT_CACHED = getattr(os, "RWF_NOWAIT", None)


class FileEnds(Exception):
    """A file that is shorter than what was to be sent of it: the connection must end, for its answer is not whole."""


async def send_file_part(cycle: RequestResponseCycle, descriptor: int, offset: int, count: int) -> None:
    """Sends a part of a file as the body of the answer that has begun; a client who is gone gets nothing, as with other
    bodies. Raises FileEnds.
    """
    cycle.expected_content_length -= count
    if cycle.scope["method"] == "HEAD" or not count:
        return
    await _sent(cycle)
    if cycle.disconnected or cycle.transport.is_closing():
        return
    # A descriptor of our own: the transport may close its own at any time, and its number then be another's.
    connection = cycle.transport.get_extra_info("socket").dup()
    try:
        await _send(connection, descriptor, offset, count, lambda: cycle.disconnected)
    except ConnectionError:
        cycle.transport.abort()
    finally:
        connection.close()


async def _sent(cycle: RequestResponseCycle) -> None:
    """Returns when the transport holds nothing back any more, or the client is gone."""
    transport = cycle.transport
    transport.set_write_buffer_limits(high=0)
    try:
        while transport.get_write_buffer_size() and not (cycle.disconnected or transport.is_closing()):
            await (cycle.flow.drain() if cycle.flow.write_paused else asyncio.sleep(0))
    finally:
        transport.set_write_buffer_limits()


async def _send(
    connection: socket.socket, descriptor: int, offset: int, count: int, is_gone: Callable[[], bool]
) -> None:
    """Sends `count` bytes from `offset`, as fast as the client takes them. Raises FileEnds, ConnectionError."""
    loop = asyncio.get_running_loop()
    end = offset + count
    while offset < end:
        if is_gone():
            raise ConnectionResetError("the client is gone")
        length = min(_AT_ONCE, end - offset)
        try:
            if _in_memory(descriptor, offset + length - 1):
                sent = os.sendfile(connection.fileno(), descriptor, offset, length)
            else:
                sent = await _send_from_disk(loop, connection.fileno(), descriptor, offset, length)
        except BlockingIOError:
            await _writable(loop, connection)
            continue
        if not sent:
            raise FileEnds(f"the file ends at byte {offset}, and has no byte {end - 1}")
        offset += sent
        # Others have their turn, also where a client takes everything at once.
        await (_writable(loop, connection) if sent < length else asyncio.sleep(0))


async def _send_from_disk(loop: asyncio.AbstractEventLoop, *arguments: Any) -> int:
    """sendfile(2) in a thread, which waits for the disk, and never for the client: the socket does not block."""
    work = loop.run_in_executor(None, os.sendfile, *arguments)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        # The descriptors are closed when this is left, so the thread must be done with them.
        await asyncio.wait([work])
        raise


def _in_memory(descriptor: int, offset: int) -> bool:
    """Whether a byte of a file can be had without waiting for the disk; no where the system cannot tell."""
    if _NOT_CACHED is None:
        return False
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, _NOT_CACHED) > 0
    except OSError:
        return False


async def _writable(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    """Returns when the client can take more, or is gone."""
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(connection.fileno(), wake)
    try:
        await ready
    finally:
        loop.remove_writer(connection.fileno())
