"""Files that hold master keys: in base64, one on each line, and readable by their owner alone."""

import base64
import binascii
import os
from pathlib import Path

from steelyard.errors import StartupError

KEY_BYTES = 32
UNFINISHED = ".unfinished"
"""The suffix of a file that is being written."""


def decode_key(text: str, place: str) -> bytes:
    """The key that `text` spells in base64. Raises StartupError, which names the place and not what stands there."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StartupError(f"{place} must be {KEY_BYTES} bytes in base64, as made by: openssl rand -base64 {KEY_BYTES}")
    return key


def read_keys(file: Path, place: str) -> list[bytes]:
    """The keys of a file, one or more, the present one first. Raises StartupError."""
    lines = read_private(file, place).split()
    return [decode_key(line, str(file)) for line in lines] or [decode_key("", str(file))]


def read_private(file: Path, place: str) -> str:
    """The text of a file that only its owner can read. Raises StartupError, also for one that others can read."""
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_mode & 0o077:
                raise StartupError(f"{file} can be read by others; run: chmod 600 {file}")
            return stream.read().decode("ascii", "replace").strip()
    except OSError as error:
        raise StartupError(f"{place}: cannot read {file}: {os.strerror(error.errno or 0)}") from None


def write_private(file: Path, text: str) -> None:
    """Writes a file for its owner alone, whole or not at all: it is on the disk when this returns."""
    unfinished = file.with_name(f"{file.name}{UNFINISHED}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(text.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Has the names of files in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
