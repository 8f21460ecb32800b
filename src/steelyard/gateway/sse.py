"""Server-Sent Events as they stand in a stream of bytes (WHATWG HTML, 9.2.6): where they end, and what they say."""

import re

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MARKS = (b"\n\n", b"\r\n\r\n", b"\r\r")


def complete(data: bytes) -> int:
    """How many bytes of `data` are whole events, each with the blank line that ends it."""
    # Nearly always the last event ends with the part that has come.
    if data.endswith((b"\n\n", b"\r\n\r\n")):
        return len(data)
    ends = [place + len(mark) for mark in _MARKS if (place := data.rfind(mark)) >= 0]
    return max(ends, default=0)


def blocks(data: bytes) -> list[bytes]:
    """The whole events in `data`, each with the blank line that ends it."""
    found, start = [], 0
    for end in _END.finditer(data):
        found.append(data[start : end.end()])
        start = end.end()
    return found


def parse(block: bytes) -> tuple[str | None, bytes | None]:
    """The name and the data of one event; None for what it does not have. Comments, ids and retries are left out."""
    name, data = None, None
    for line in block.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data = value if data is None else data + b"\n" + value
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return name, data
