"""The few things that must be done right on a local disk: durability, and a disk that is full."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from steelyard.errors import StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT}


def storage_full() -> StorageFull:
    """The error for a disk or a quota without room."""
    return StorageFull("The disk of the server is full, so the bytes were not kept; make room on it, then go on")


@contextlib.contextmanager
def full_disk_named() -> Iterator[None]:
    """Raises `StorageFull` in place of the system's error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise storage_full() from error
        raise


def write_all(descriptor: int, data: bytes | memoryview, at: int) -> Iterator[memoryview]:
    """Write at an offset, and yield each part as it is written: a full disk may take only the first of it."""
    left = memoryview(data)
    while left:
        with full_disk_named():
            count = os.pwrite(descriptor, left, at)
        yield left[:count]
        at, left = at + count, left[count:]


def flush_file(path: Path) -> None:
    """Returns when the content of a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with full_disk_named():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """Returns when the names in a folder are on the disk: those of new, moved and removed files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with full_disk_named():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Replace a small file whole, readable by its owner alone; `flush_folder` then makes its name durable."""
    fresh = path.with_name(f"{path.name}.new")
    with full_disk_named():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        for _ in write_all(descriptor, data, 0):
            pass
        with full_disk_named():
            os.fsync(descriptor)
    except StorageFull:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    with full_disk_named():
        fresh.replace(path)
