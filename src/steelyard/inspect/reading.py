"""Reading the small files of a checkpoint, within limits: what was read and what is wrong with it is written down.

A checkpoint is somebody else's: its JSON may be huge, deep, ambiguous or of the wrong types. None of that raises here;
it becomes a fault of its file, and the file counts as absent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.errors import BadCheckpoint
from steelyard.inspect.files import CheckpointFiles

MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Values in one JSON file: each costs many times the bytes that spell it."""
MAX_FAULTS = 100
"""Faults that are kept of one checkpoint: a broken one can have millions."""
# Longer integers cost more to convert than they can mean; tokenizers really do write 10^30 for "no limit".
_MAX_DIGITS = 40
_MAX_PATH = 500


@dataclass(frozen=True, slots=True)
class FileFault:
    """A file that is broken, missing or contradicts another, and how."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read, and how many of its bytes were."""

    path: str
    nbytes: int


class _Counted:
    """Files that count how many bytes of each are read."""

    def __init__(self, files: CheckpointFiles) -> None:
        self._files = files
        self.read_bytes: dict[str, int] = {}

    def sizes(self) -> Mapping[str, int]:
        return self._files.sizes()

    def read(self, path: str, offset: int, length: int) -> bytes:
        body = self._files.read(path, offset, length)
        self.read_bytes[path] = self.read_bytes.get(path, 0) + len(body)
        return body


class Reading:
    """One inspection's view of the files: reads within limits, and remembers reads and faults."""

    def __init__(self, files: CheckpointFiles) -> None:
        self._counted = _Counted(files)
        self.files: CheckpointFiles = self._counted
        self.sizes = files.sizes()
        self._faults: dict[FileFault, None] = {}
        self._values: dict[str, Any] = {}

    @property
    def read(self) -> tuple[ReadFile, ...]:
        """The files read so far, in the order of their first read."""
        return tuple(ReadFile(path, nbytes) for path, nbytes in self._counted.read_bytes.items())

    @property
    def faults(self) -> tuple[FileFault, ...]:
        """The faults found so far, each once."""
        return tuple(self._faults)

    def fault(self, path: str, message: str) -> None:
        """Writes down that `path` is not as it should be."""
        # A path that is no file's may be anything that a checkpoint cared to write.
        shown = path if path in self.sizes else ascii(path[:_MAX_PATH])[1:-1]
        if len(self._faults) < MAX_FAULTS:
            self._faults[FileFault(shown, message)] = None

    def bytes(self, path: str, limit: int) -> bytes | None:
        """A whole small file, or None (and a fault, unless it is simply not there)."""
        size = self.sizes.get(path)
        if size is None:
            return None
        if size > limit:
            self.fault(path, f"is {size} bytes long, and at most {limit} are read of such a file")
            return None
        try:
            return self.files.read(path, 0, size)
        except BadCheckpoint as error:
            self.fault(path, error.message.removeprefix(f"{path}: "))
            return None

    def text(self, path: str, limit: int) -> str | None:
        """A whole small text file, or None (and a fault, unless it is simply not there)."""
        body = self.bytes(path, limit)
        if body is None:
            return None
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fault(path, f"is not UTF-8 at byte {error.start}")
            return None

    def json_object(self, path: str, limit: int) -> dict[str, Any] | None:
        """A file that holds one JSON object, or None (and a fault, unless it is simply not there)."""
        value = self.json(path, limit)
        if value is None or isinstance(value, dict):
            return value
        self.fault(path, "must hold a JSON object")
        return None

    def json(self, path: str, limit: int) -> Any:
        """The value of a JSON file, or None (and a fault, unless it is simply not there). A file is read once."""
        if path not in self._values:
            self._values[path] = self._json(path, limit)
        return self._values[path]

    def _json(self, path: str, limit: int) -> Any:
        body = self.bytes(path, limit)
        if body is None:
            return None
        try:
            return decode_json(body)
        except BadCheckpoint as error:
            self.fault(path, error.message)
            return None


def decode_json(body: bytes) -> Any:
    """The value of a checkpoint's JSON. Raises BadCheckpoint for what is not JSON, duplicate keys, depth over 64, and
    more values than such a file has any use for.

    NaN and the infinities are taken, because libraries write them (`time_step_limit` of mamba); who wants a number asks
    whether it is one.
    """
    if body.count(b",") > MAX_VALUES or body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise BadCheckpoint(f"holds more than {MAX_VALUES} values")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadCheckpoint(f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise BadCheckpoint(f"is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise BadCheckpoint(f"is nested deeper than {MAX_DEPTH} levels") from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    return value


def _check_depth(root: Any) -> None:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
            if isinstance(item, (dict, list))
        ]
        if not level:
            return
    raise BadCheckpoint(f"is nested deeper than {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadCheckpoint(f"the key {key[:100]!a} stands twice in one object")
            seen.add(key)
    return mapping


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise BadCheckpoint(f"holds an integer of {len(digits)} digits")
    return int(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer)


def is_clean_text(text: str) -> bool:
    """Whether a string can be stored and sent on: no NUL, no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))
