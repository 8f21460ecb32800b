"""Digests as names of files, and the hashes of a file that lies still."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from steelyard.blobs.protocol import GIT_OID_LIMIT, PIECE

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHARD = re.compile(r"[0-9a-f]{2}")


def is_digest(text: str) -> bool:
    """Whether this is a sha256 as 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def is_shard(text: str) -> bool:
    """Whether this is the name of a folder of blobs: the first two digits of their digests."""
    return _SHARD.fullmatch(text) is not None


def relative_path(digest: str) -> str:
    """Where a blob lies below its root: `ab/cdef…`.

    Raises `ValueError` for what is no digest, so that no name that a caller made up becomes a path.
    """
    if not is_digest(digest):
        raise ValueError("a digest is 64 lower-case hexadecimal digits")
    return f"{digest[:2]}/{digest[2:]}"


def pieces_now(descriptor: int, size: int) -> Iterator[bytes]:
    """The first `size` bytes of an open file in pieces of 1 MiB, blocking; fewer if the file is shorter."""
    at = 0
    while at < size and (piece := os.pread(descriptor, min(PIECE, size - at), at)):
        at += len(piece)
        yield piece


def git_oid(path: Path, size: int) -> str | None:
    """The object id that git gives to a file with this content; None for files over `GIT_OID_LIMIT`.

    That is the sha1 of `blob <size>\\0` and the content (the book Pro Git, chapter 10.2). It names, and protects
    nothing.
    """
    if size > GIT_OID_LIMIT:
        return None
    hashed = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        for piece in pieces_now(descriptor, size):
            hashed.update(piece)
    finally:
        os.close(descriptor)
    return hashed.hexdigest()
