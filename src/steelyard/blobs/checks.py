"""What every kind of blob store says of bytes that are missing, damaged, or not what was staged."""

from steelyard.blobs.protocol import Staged
from steelyard.errors import CorruptBytes, DigestMismatch, NotFound


def missing(digest: str) -> NotFound:
    """The error for a blob that is not here."""
    return NotFound(f"There are no bytes with the digest {digest}")


def damaged(digest: str, how: str) -> CorruptBytes:
    """The error for a blob that is not what it was when it was put."""
    return CorruptBytes(f"The bytes kept for {digest} are damaged: {how}; run `steelyard fsck`")


def discarded(staged: Staged) -> NotFound:
    """The error for a staging file that is gone."""
    return NotFound(f"The upload of {staged.digest} was discarded before it was kept; send it again")


def check_staged(staged: Staged) -> None:
    """Raises `NotFound` if the staging file is gone, `DigestMismatch` if it is no longer what was hashed; blocking."""
    try:
        size = staged.path.stat().st_size
    except FileNotFoundError:
        raise discarded(staged) from None
    if size != staged.size:
        raise DigestMismatch(f"The upload of {staged.digest} changed after it was finished; send it again")
