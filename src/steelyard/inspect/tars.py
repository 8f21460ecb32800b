"""The members of a tar archive, read forwards, so that it may be compressed.

Facts: POSIX pax and GNU tar's manual, "Basic Tar Format". An archive counts as tar if its first header's checksum is
right, as Python's `tarfile` sees it, with or without the word `ustar`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.inspect.findings import Read, Report, inside
from steelyard.inspect.streams import Stream

BLOCK = 512
_MAX_RECORDS = 64 << 10
_DIRECTORY_TYPES = frozenset(b"12345")


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file of the archive, and where its bytes are."""

    name: str
    offset: int
    size: int


def is_tar(head: bytes) -> bool:
    """Whether these first 512 bytes are a tar header."""
    if len(head) < BLOCK or not any(head[:100]):
        return False
    claimed = _number(head[148:156])
    return claimed == sum(head[:148]) + 8 * 0x20 + sum(head[156:BLOCK])


def read_members(read: Read, size: int, report: Report, where: str) -> Iterator[TarMember]:
    """The files of the archive up to its end, or to where it is broken. Raises LimitReached."""
    stream = Stream(read, size, report)
    name = ""
    length: int | None = None
    while is_tar(header := stream.take(BLOCK)):
        report.spend_member()
        kind = header[156:157]
        claimed = _number(header[124:136]) or 0
        padded = -(-claimed // BLOCK) * BLOCK
        if kind in b"xgLK" and kind:
            records = stream.take(min(padded, _MAX_RECORDS))
            stream.skip(padded - len(records))
            if kind == b"L":
                name = records[:claimed].rstrip(b"\0").decode("utf-8", "replace")
            elif kind != b"K":
                # A pax header goes before what the plain header says, also of the size.
                path, larger = _pax(records[:claimed])
                name, length = path or name, larger if larger is not None else length
            continue
        own = _text(header[345:500]) + "/" if header[257:262] == b"ustar" and header[345] else ""
        member = TarMember(name or own + _text(header[:100]), stream.position, claimed if length is None else length)
        name, length = "", None
        if member.name.startswith("/") or ".." in member.name.split("/"):
            report.find("suspicious", inside(where, member.name), "its name leads out of the archive's folder")
        if kind[0] in _DIRECTORY_TYPES:
            continue
        yield member
        stream.skip(-(-member.size // BLOCK) * BLOCK)


def _number(field: bytes) -> int | None:
    """A number of a header: octal text, or GNU's base 256 where it starts with a byte of 0x80."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.rstrip(b"\0 ").strip() or b"0", 8)
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _pax(records: bytes) -> tuple[str, int | None]:
    """Path and size that pax records (`length key=value\\n`) name, if they do."""
    path, size = "", None
    while records:
        digits, _, _ = records.partition(b" ")
        if not digits.isdigit() or len(digits) > 6 or not len(digits) < int(digits) <= len(records):
            break
        key, _, value = records[len(digits) + 1 : int(digits) - 1].partition(b"=")
        if key == b"path":
            path = value.decode("utf-8", "replace")
        if key == b"size" and value.isdigit() and len(value) < 20:
            size = int(value)
        records = records[int(digits) :]
    return path, size
