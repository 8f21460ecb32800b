"""Bytes that are no longer what their digest says: they are marked when that is found, and never handed out again."""

from steelyard.actions.context import Context
from steelyard.errors import CorruptBytes
from steelyard.records.filesets import FileEntry
from steelyard.store.protocol import WriteTransaction


def check_sound(file: FileEntry) -> None:
    """Raises CorruptBytes for a file whose bytes were found to be damaged or gone."""
    if file.state == "corrupt":
        raise damaged(file)


def damaged(file: FileEntry) -> CorruptBytes:
    """The error for a file whose bytes cannot be handed out."""
    return CorruptBytes(f"the bytes of {file.path!r} are damaged on the server; upload the file again")


async def mark_corrupt(context: Context, digest: str) -> None:
    """Notes that bytes are damaged or gone, until they are sent again."""

    async def mark(tx: WriteTransaction) -> None:
        await tx.set_blob_state(digest, "corrupt")

    await context.store.write(mark)


async def mark_sound(context: Context, digest: str) -> None:
    """Notes that bytes are what their digest says."""

    async def mark(tx: WriteTransaction) -> None:
        await tx.set_blob_state(digest, "live")

    await context.store.write(mark)
