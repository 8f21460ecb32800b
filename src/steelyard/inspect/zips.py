"""The members of a zip archive, found as loaders find them that disagree with each other.

Facts: PKWARE's APPNOTE.TXT. Python's `zipfile` and the reader in PyTorch differ in what they check (names twice over,
checksums, flags, bytes before the archive); whatever one of them would open is listed here, and what they would see
differently is told.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from steelyard.inspect.findings import Read, Report, inside, shown
from steelyard.inspect.streams import Stream

LOCAL = b"PK\x03\x04"
_CENTRAL, _END, _END64, _LOCATOR64 = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL_ENTRY = struct.Struct("<4s5H3I2H")
_LONGEST_END = 22 + 65_535
_MAX_DIRECTORIES = 8
_ABSENT32 = 0xFFFFFFFF
_DESCRIPTOR = 24
# Names and extra fields of most members, and the first bytes of what they hold, in one read.
_FIRST_READ = 2_048

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
_ENCRYPTED, _SIZES_FOLLOW = 1, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member: where its data is in the file, how they are packed, and `head`, the first of them (packed)."""

    name: str
    method: int
    offset: int
    packed: int
    size: int
    header: int
    head: bytes = b""
    flags: int = 0
    crc: int = 0


def has_directory(read: Read, size: int) -> bool:
    """Whether the file ends as zip archives do, whatever it starts with."""
    length = min(size, _LONGEST_END)
    return _END in read(size - length, length)


def read_members(read: Read, size: int, report: Report, where: str) -> list[Member]:
    """Every member that any directory at the end names, or that stands hidden between them. Raises LimitReached."""
    starts = list(_directories(read, size, report))
    listed: set[tuple[str, int]] = set()
    names: Counter[str] = Counter()
    found: list[Member] = []
    for number, (start, shift) in enumerate(starts):
        # A stored archive is a member like any other, and is scanned as one.
        if any(_is_archive(member) and 0 <= start - member.offset < member.packed for member in found):
            continue
        more: list[Member] = []
        for entry in _entries(read, size, start, shift, report):
            if (entry.name, entry.header) not in listed:
                report.spend_member()
                listed.add((entry.name, entry.header))
                more.append(entry)
        if more and number and found:
            what = "the archive has several directories: programs will not agree on what it holds"
            report.find("suspicious", where, what)
        names.update(entry.name for entry in more)
        for entry in more:
            found += _located(read, size, entry, report, where)
    for name, count in names.items():
        if count > 1:
            report.find("suspicious", where, f"{count} members are called {shown(name)}")
    found += _hidden(read, size, found, min((start for start, _ in starts), default=size), report, where)
    return found


def _is_archive(member: Member) -> bool:
    return member.method == STORED and member.head.startswith(LOCAL)


def _directories(read: Read, size: int, report: Report) -> Iterator[tuple[int, int]]:
    """Offsets where a directory may start, each with what to add to the offsets in it."""
    length = min(size, _LONGEST_END)
    tail, base = read(size - length, length), size - length
    report.spend_bytes(len(tail))
    seen: set[tuple[int, int]] = set()
    at = tail.rfind(_END)
    for _ in range(_MAX_DIRECTORIES):
        if at < 0:
            break
        for found in _candidates(read, tail, base, at):
            if found not in seen and 0 <= found[0] < size and read(found[0], 4) == _CENTRAL:
                seen.add(found)
                yield found
        at = tail.rfind(_END, 0, at)


def _candidates(read: Read, tail: bytes, base: int, at: int) -> Iterator[tuple[int, int]]:
    record = tail[at : at + 22]
    if len(record) < 22:
        return
    length, offset = struct.unpack("<2I", record[12:20])
    end = base + at
    if at >= 20 and tail[at - 20 : at - 16] == _LOCATOR64:
        (end64,) = struct.unpack("<Q", tail[at - 12 : at - 4])
        for place in (end64, end - 20 - 56):
            record64 = read(place, 56) if 0 <= place < end else b""
            if len(record64) == 56 and record64[:4] == _END64:
                length64, offset64 = struct.unpack("<2Q", record64[40:56])
                yield offset64, 0
                yield place - length64, place - length64 - offset64
    yield offset, 0
    # What stands before the archive moves all of it: `zipfile` counts from the end, others from the start.
    yield end - length, end - length - offset


def _entries(read: Read, size: int, start: int, shift: int, report: Report) -> Iterator[Member]:
    """The entries of a directory, as long as there are any: how many it claims to have does not matter."""
    stream = Stream(read, size, report, start)
    while True:
        data = stream.take(_CENTRAL_ENTRY.size)
        if len(data) < _CENTRAL_ENTRY.size or data[:4] != _CENTRAL:
            return
        fields = _CENTRAL_ENTRY.unpack(data)
        _, _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length, comment_length = fields[:13]
        name, extra = stream.take(name_length), stream.take(extra_length)
        stream.skip(comment_length)
        unpacked, packed, header = _wide(extra, [unpacked, packed, fields[16]])
        yield Member(
            name=_decoded(name, flags),
            method=method,
            offset=0,
            packed=packed,
            size=unpacked,
            header=header + shift,
            flags=flags,
            crc=crc,
        )


def _wide(extra: bytes, values: list[int]) -> list[int]:
    """The values of which 32 bits were not enough, from the extra field for zip64, in their fixed order."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            data, place = extra[at + 4 : at + 4 + length], 0
            for index, value in enumerate(values):
                if value == _ABSENT32 and place + 8 <= len(data):
                    (values[index],) = struct.unpack_from("<Q", data, place)
                    place += 8
            break
        at += 4 + length
    return values


def _decoded(name: bytes, flags: int) -> str:
    return name.decode("utf-8" if flags & 0x800 else "cp437", "replace")


def _located(read: Read, size: int, entry: Member, report: Report, where: str) -> list[Member]:
    """The entry with its data found behind its local header; twice, if the two headers say different things of them."""
    local = _local(read, size, entry.header, report)
    if local is None:
        report.find("suspicious", inside(where, entry.name), "there is no member where the directory says that it is")
        return []
    by_directory = replace(entry, offset=local.offset, head=local.head)
    place = inside(where, entry.name)
    if entry.flags & _ENCRYPTED or local.flags & _ENCRYPTED:
        report.find("suspicious", place, "is marked as encrypted; it was scanned as if it were not")
    sizes_follow = local.flags & _SIZES_FOLLOW
    differs = []
    if local.name != entry.name:
        differs.append(f"name ({shown(local.name)})")
    if local.method != entry.method:
        differs.append("compression")
    if not sizes_follow and (local.packed, local.size) != (entry.packed, entry.size):
        differs.append("size")
    if not sizes_follow and local.crc != entry.crc:
        differs.append("checksum")
    if entry.method == STORED and entry.packed != entry.size:
        differs.append("size when unpacked")
    if not differs:
        return [by_directory]
    report.find("suspicious", place, f"its headers do not agree on its {', '.join(differs)}")
    longest = max(entry.packed, entry.size if entry.method == STORED else 0, local.packed)
    longest = min(longest, size - local.offset)
    # A loader that trusts the other header, or neither size, reads on from the same place.
    return [replace(by_directory, packed=longest), replace(local, packed=longest)]


def _local(read: Read, size: int, header: int, report: Report) -> Member | None:
    if not 0 <= header < size:
        return None
    data = read(header, min(_FIRST_READ, size - header))
    report.spend_bytes(len(data))
    if len(data) < _LOCAL_ENTRY.size or data[:4] != LOCAL:
        return None
    _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL_ENTRY.unpack_from(data)
    offset = header + _LOCAL_ENTRY.size + name_length + extra_length
    names = data[_LOCAL_ENTRY.size : offset - header]
    if len(names) < name_length + extra_length:
        names = read(header + _LOCAL_ENTRY.size, name_length + extra_length)
        report.spend_bytes(len(names))
    unpacked, packed = _wide(names[name_length:], [unpacked, packed])
    return Member(
        name=_decoded(names[:name_length], flags),
        method=method,
        offset=offset,
        packed=min(packed, size - offset) if offset <= size else 0,
        size=unpacked,
        header=header,
        head=data[offset - header :],
        flags=flags,
        crc=crc,
    )


def _hidden(read: Read, size: int, found: list[Member], directory: int, report: Report, where: str) -> Iterator[Member]:
    """Members that no directory names: a program that reads the archive forwards would see them."""
    at = 0
    for start, end in [*sorted((m.header, m.offset + m.packed) for m in found), (directory, size)]:
        while at + _LOCAL_ENTRY.size <= start:
            gap = read(at, min(_DESCRIPTOR + 4, start - at))
            report.spend_bytes(len(gap))
            place = gap.find(LOCAL)
            local = _local(read, size, at + place, report) if place >= 0 else None
            if local is None:
                break
            report.spend_member()
            report.find("suspicious", inside(where, local.name), "is in the archive, but not in its directory")
            yield replace(local, packed=max(local.packed, start - local.offset) if local.offset < start else 0)
            at = max(local.offset + local.packed, at + _LOCAL_ENTRY.size)
        at = max(at, end)
