"""Which part of a file a request is for, and whether its conditions hold (RFC 9110, 13 and 14)."""

import re
from typing import NamedTuple

from steelyard.errors import PreconditionFailed, RangeNotSatisfiable
from steelyard.records.conditions import parse_conditions

# One range of bytes. A list of them, and any other unit, is a request for the whole (RFC 9110, 14.2).
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,30})[ \t]*-[ \t]*([0-9]{0,30})[ \t]*,?[ \t]*", re.IGNORECASE)


class Part(NamedTuple):
    """The bytes of a file from `start` up to `stop`; `partial` says that a range was asked for."""

    start: int
    stop: int
    partial: bool


def part_of(sent: str | None, if_range: str | None, size: int, etag: str) -> Part:
    """The part of a file of `size` bytes that the headers `Range` and `If-Range` ask for; past its end, what there is.

    Raises RangeNotSatisfiable for a range that begins past the end.
    """
    whole = Part(0, size, partial=False)
    match = _RANGE.fullmatch(sent.strip()) if sent else None
    # Compared strongly: a date, or a weak tag, never says that the bytes are the same.
    if match is None or (if_range is not None and if_range.strip() != etag):
        return whole
    first, last = match.groups()
    if first:
        start, stop = int(first), int(last) + 1 if last else size
        if stop <= start and last:
            return whole
    elif last:
        start, stop = (max(0, size - int(last)), size) if int(last) else (size, size)
    else:
        return whole
    if start >= size:
        raise RangeNotSatisfiable(
            f"the file has {size} bytes, and the range begins at byte {start}",
            headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes", "ETag": etag},
        )
    return Part(start, min(stop, size), partial=True)


def is_unchanged(if_match: str | None, if_none_match: str | None, etag: str) -> bool:
    """Whether a reader already has the file. Raises PreconditionFailed where `If-Match` does not hold, and
    InvalidParameters for what is no list of entity tags.
    """
    conditions = parse_conditions(if_match, if_none_match)
    if conditions.match is not None and conditions.match != ("*",) and etag not in conditions.match:
        raise PreconditionFailed(
            f"If-Match does not hold: the file is {etag} now; read it again", headers={"ETag": etag}, current_etag=etag
        )
    if conditions.none_match is None:
        return False
    return conditions.none_match == ("*",) or etag in {tag.removeprefix("W/") for tag in conditions.none_match}
