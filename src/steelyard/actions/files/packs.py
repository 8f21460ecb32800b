"""Packs: runs of chunks that a caller has sent, from which files are put together afterwards (uploads by Xet).

The chunks of a pack are kept, one behind the other, as a blob of the workspace that sent them; where each of them ends
is remembered for a day, beside the answers to requests that may be sent again. No other workspace can use the pack.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import orjson

from steelyard.actions.context import Context
from steelyard.actions.files.bytes import missing_bytes, receive
from steelyard.actions.perform import ANSWER_SECONDS
from steelyard.errors import InvalidInput, MissingBytes
from steelyard.records.blobs import Blob
from steelyard.store.protocol import ReadTransaction, WriteTransaction
from steelyard.store.queries import KeptAnswer


class Pack(NamedTuple):
    """Chunks by where each of them ends, in bytes, in the blob `digest`."""

    digest: str
    ends: list[int]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where the chunks from `first` up to `last` start and end. Raises InvalidInput if there are no such chunks."""
        if not 0 <= first < last <= len(self.ends):
            message = f"the pack has {len(self.ends)} chunks, not those from {first} up to {last}"
            raise InvalidInput.of(("body",), "pack", message)
        return (self.ends[first - 1] if first else 0), self.ends[last - 1]


class Run(NamedTuple):
    """A part of a file: the chunks of a pack from `first` up to `last`, `size` bytes."""

    pack: str
    first: int
    last: int
    size: int


async def find_pack(context: Context, workspace: str, name: str) -> Pack | None:
    """The pack of that name, if the workspace has sent it in the last day and its bytes are here."""

    async def action(tx: ReadTransaction) -> KeptAnswer | None:
        return await tx.find_answer(_scope(workspace), name, context.ago(ANSWER_SECONDS))

    kept = await context.store.read(action)
    if kept is None:
        return None
    pack = Pack(*orjson.loads(kept.body))
    return None if await missing_bytes(context, workspace, [pack.digest]) else pack


async def keep_pack(context: Context, workspace: str, name: str, chunks: AsyncIterator[bytes]) -> Pack:
    """Keeps chunks as the pack of that name. Raises what `receive` and `chunks` raise."""
    ends: list[int] = []

    async def counted() -> AsyncIterator[bytes]:
        async for chunk in chunks:
            ends.append((ends[-1] if ends else 0) + len(chunk))
            yield chunk

    blob = await receive(context, workspace, counted())
    pack = Pack(blob.digest, ends)

    async def action(tx: WriteTransaction) -> None:
        kept = KeptAnswer(name, 200, [], orjson.dumps([pack.digest, pack.ends]).decode())
        await tx.keep_answer(_scope(workspace), name, context.now(), kept)

    await context.store.write(action)
    return pack


async def put_together(context: Context, workspace: str, digest: str, runs: Sequence[Run]) -> Blob | None:
    """Makes the bytes of the sha256 `digest` of `runs`; None if the workspace has them already.

    Raises MissingBytes for a pack that is not here, InvalidInput for chunks that are not in it, DigestMismatch.
    """
    if not await missing_bytes(context, workspace, [digest]):
        return None
    packs: dict[str, Pack] = {}
    spans: list[tuple[str, int, int]] = []
    for run in runs:
        pack = packs.get(run.pack) or await find_pack(context, workspace, run.pack)
        if pack is None:
            raise MissingBytes(f"the pack {run.pack} is not here, or no longer; send it, and then what is made of it")
        packs[run.pack] = pack
        start, stop = pack.span(run.first, run.last)
        if stop - start != run.size:
            message = f"the chunks are {stop - start} bytes, not {run.size}"
            raise InvalidInput.of(("body",), "pack", message)
        spans.append((pack.digest, start, stop))

    async def pieces() -> AsyncIterator[bytes]:
        for source, start, stop in spans:
            async for piece in context.blobs.read(source, start, stop):
                yield piece

    length = sum(run.size for run in runs)
    return await receive(context, workspace, pieces(), length=length, expected=digest)


def _scope(workspace: str) -> str:
    return f"pack {workspace}"
