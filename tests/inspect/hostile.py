"""Pickles and archives that nobody may load, written by hand: no test here ever unpickles anything."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping

from steelyard.inspect.pickles import Limits, Scan, scan

SYSTEM = b"cos\nsystem\n(S'true'\ntR."
"""What every warning about pickles shows: `os.system('true')`, as text (protocol 0)."""


def text(value: str) -> bytes:
    """An opcode that pushes a short string."""
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def calling(module: str, name: str, argument: str = "true") -> bytes:
    """A pickle of protocol 4 that imports a name and calls it with one string."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """The bytes as `scan` asks for them."""
    return lambda offset, length: data[offset : offset + length]


def scanned(data: bytes, name: str = "weights.bin", limits: Limits | None = None) -> Scan:
    """The scan of these bytes, as of a file of this name."""
    return scan(reader(data), len(data), name, limits)


def zipped(members: Mapping[str, bytes], *, deflate: bool = False) -> bytes:
    """A zip archive, as the standard library writes it."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def patched(
    archive: bytes, *, local: Mapping[int, bytes] | None = None, central: Mapping[int, bytes] | None = None
) -> bytes:
    """The archive with bytes of its first local header, and of the first entry of its directory, put over."""
    data = bytearray(archive)
    directory = struct.unpack("<I", data[-6:-2])[0]
    for start, changes in ((0, local or {}), (directory, central or {})):
        for offset, value in changes.items():
            data[start + offset : start + offset + len(value)] = value
    return bytes(data)
