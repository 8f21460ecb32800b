"""The body of a commit: one JSON value a line, first what it says of itself, then what it does to the files."""

import binascii
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from steelyard.errors import BrokenJson, InvalidInput, TooLarge
from steelyard.records.strict_json import decode

LONGEST_LINE = 32 << 20
"""The longest line, in bytes: a file inside a commit, in base64."""
MOST_LINES = 25_000
_SUMMARY_LENGTH = 1_000
_DESCRIPTION_LENGTH = 50_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Header(NamedTuple):
    """What a commit says of itself; `parent` is the commit that the caller believes to be the head, or its start."""

    message: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class PutContent:
    """A file whose bytes are in the commit."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PutObject:
    """A file whose bytes are here already; `size` is what the caller believes it to be, None if it does not say."""

    path: str
    digest: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that gets the content of another one, at a revision."""

    path: str
    source: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class Delete:
    """A file, or a folder with all that lies in it, that goes."""

    path: str
    folder: bool


Operation = PutContent | PutObject | Copy | Delete


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """The lines of a body that are not empty, with their numbers from 1. Raises TooLarge."""
    number, parts, size = 1, list[bytes](), 0
    async for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for end in whole:
            line = b"".join((*parts, end))
            if len(line) > LONGEST_LINE:
                raise _too_long(number)
            if number > MOST_LINES:
                raise TooLarge(f"a commit has at most {MOST_LINES} lines; make several", limit=MOST_LINES)
            if line.strip():
                yield number, line
            number, parts, size = number + 1, [], 0
        parts.append(rest)
        size += len(rest)
        if size > LONGEST_LINE:
            raise _too_long(number)
    if line := b"".join(parts).strip():
        yield number, line


def _too_long(number: int) -> TooLarge:
    return TooLarge(
        f"line {number} is longer than {LONGEST_LINE} bytes; send large files before the commit (Git LFS)",
        limit=LONGEST_LINE,
    )


def read_header(number: int, line: bytes) -> Header:
    """What the first line says. Raises InvalidInput."""
    match _decoded(number, line):
        case {"key": "header", "value": dict(value)}:
            pass
        case _:
            raise _wrong(number, "the first line must be the header: its message, and perhaps its parent")
    summary = _text(number, value, "summary", _SUMMARY_LENGTH)
    description = _text(number, value, "description", _DESCRIPTION_LENGTH)
    parent = value.get("parentCommit")
    if parent is not None and not (isinstance(parent, str) and re.fullmatch(r"[0-9a-f]{7,40}", parent)):
        raise _wrong(number, "parentCommit must be a commit's id, or at least the first 7 digits of it")
    return Header(f"{summary}\n\n{description}".strip(), parent)


def _text(number: int, value: dict[str, Any], key: str, length: int) -> str:
    text = value.get(key) or ""
    if not isinstance(text, str) or len(text) > length:
        raise _wrong(number, f"{key} must be a text of at most {length} characters")
    return text


def read_operation(number: int, line: bytes) -> Operation:
    """What a line does to the files. Raises InvalidInput."""
    match _decoded(number, line):
        case {"key": "file", "value": {"path": str(path), "content": str(content)} as value}:
            return PutContent(path, _content(number, content, value.get("encoding", "utf-8")))
        case {"key": "lfsFile", "value": {"path": str(path), "oid": str(digest)} as value}:
            size = value.get("size")
            if value.get("algo", "sha256") != "sha256" or not _DIGEST.fullmatch(digest):
                raise _wrong(number, "oid must be a sha256 in lower-case hexadecimal")
            if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= 2**53):
                raise _wrong(number, "size must be a number of bytes")
            return PutObject(path, digest, size)
        case {"key": "copyFile", "value": {"path": str(path), "srcPath": str(source)} as value}:
            revision = value.get("srcRevision")
            if revision is not None and not (isinstance(revision, str) and len(revision) <= 64):
                raise _wrong(number, "srcRevision must be a text")
            return Copy(path, source, revision)
        case {"key": "deletedFile" | "deletedFolder" as key, "value": {"path": str(path)}}:
            return Delete(path.strip("/") if key == "deletedFolder" else path, key == "deletedFolder")
        case _:
            raise _wrong(number, "must be a file, lfsFile, copyFile, deletedFile or deletedFolder with its path")


def _content(number: int, content: str, encoding: object) -> bytes:
    if encoding == "utf-8":
        return content.encode()
    if encoding != "base64":
        raise _wrong(number, "encoding must be 'base64' or 'utf-8'")
    try:
        return binascii.a2b_base64(content, strict_mode=True)
    except (binascii.Error, ValueError):
        raise _wrong(number, "content is not base64") from None


def _decoded(number: int, line: bytes) -> Any:
    try:
        return decode(line)
    except BrokenJson as error:
        raise _wrong(number, error.faults[0].message) from None


def _wrong(number: int, message: str) -> InvalidInput:
    return InvalidInput.of(("body", number), "commit_line", message)
