"""Safetensors: the tensors that the files of a model declare, read from their headers alone.

A file is 8 bytes (the header's length, little-endian), a JSON header `{name: {dtype, shape, data_offsets}}`, and the
bytes of the tensors, which fill the rest without hole or overlap. All of that is checked, so that what a header claims
is also what a loader of the file would find. Format: https://github.com/huggingface/safetensors#format
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from steelyard.errors import BadCheckpoint
from steelyard.inspect.files import CheckpointFiles
from steelyard.inspect.tensors import Tensor

BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}
"""Bits of one element, by type."""

MAX_HEADER = 32 << 20
"""Bytes of a header that are read at most. The format allows 100 MB; the largest headers known are under 10 MB."""
MAX_TENSORS = 250_000
"""Tensors of one file at most: each costs memory before it can be known to be real."""
_MAX_DIMENSIONS = 8
_COMMAS = 12
"""At most these stand in what is said of a tensor: between 8 sizes, 2 offsets, 3 keys and tensors."""
_MAX_NAME = 512
_MAX_NUMBER = 2**63 - 1
_FIRST_READ = 16 << 10
_UNCLEAN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One file's header. `starts` is where each tensor's bytes begin in the file; `nbytes` were read."""

    tensors: tuple[Tensor, ...]
    starts: Mapping[str, int] = field(repr=False)
    metadata: Mapping[str, str]
    nbytes: int


def read_header(files: CheckpointFiles, path: str) -> Header:
    """The header of a safetensors file. Raises BadCheckpoint, with what is wrong, unless all of it holds."""
    size = files.sizes().get(path)
    if size is None:
        raise _bad(path, "there is no such file")
    if size < 8:
        raise _bad(path, f"is {size} bytes long, too short for a safetensors file")
    start = files.read(path, 0, min(size, _FIRST_READ))
    length = int.from_bytes(start[:8], "little")
    if length > size - 8:
        raise _bad(path, f"claims a header of {length} bytes, but only {size - 8} bytes follow")
    if length > MAX_HEADER:
        raise _bad(path, f"has a header of {length} bytes; at most {MAX_HEADER} are read")
    text = start[8 : 8 + length]
    if len(text) < length:
        text += files.read(path, len(start), length - len(text))
    if len(text) < length:
        raise _bad(path, "ends within its header")
    entries = _decode(path, text)
    metadata = _metadata(path, entries.pop("__metadata__", None))
    begins = 8 + length
    return _checked(path, entries, metadata, begins, size - begins)


def _bad(path: str, message: str) -> BadCheckpoint:
    return BadCheckpoint(f"{path}: {message}", file=path)


def _decode(path: str, text: bytes) -> dict[str, Any]:
    # Values cost many times the bytes that spell them, so they are counted before any is made.
    if text.count(b",") > _COMMAS * MAX_TENSORS or text.count(b"[") > 3 * MAX_TENSORS:
        raise _bad(path, f"declares more than {MAX_TENSORS} tensors")
    try:
        entries = json.JSONDecoder(object_pairs_hook=_Pairs(), parse_int=_integer).decode(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise _bad(path, "has a header that is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _bad(path, f"has a header that is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _bad(path, "has a header that is nested too deep") from None
    except _BadHeader as error:
        raise _bad(path, str(error)) from None
    if not isinstance(entries, dict):
        raise _bad(path, "has a header that is not a JSON object")
    return entries


class _BadHeader(ValueError):
    """Raised by the decoder's hooks, which do not know the file."""


class _Pairs:
    """Makes objects of their pairs, refuses a key that stands twice, and gives up before there are too many of them."""

    def __init__(self) -> None:
        self._objects = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._objects += 1
        if self._objects > MAX_TENSORS + 2:
            raise _BadHeader(f"declares more than {MAX_TENSORS} tensors")
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise _BadHeader(f"declares {twice[:200]!a} twice")
        return mapping


def _integer(digits: str) -> int:
    if len(digits) > 19:
        raise _BadHeader("holds a number that does not fit 64 bits")
    return int(digits)


def _metadata(path: str, value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _bad(path, "has a __metadata__ that is not an object of strings")
    return value


def _checked(path: str, entries: dict[str, Any], metadata: dict[str, str], begins: int, room: int) -> Header:
    spans = sorted(_span(path, name, entry) for name, entry in entries.items())
    tensors, starts, reached, before = [], {}, 0, ""
    for start, end, name, dtype, shape in spans:
        if start != reached:
            kind = "overlaps" if start < reached else "leaves a hole after"
            raise _bad(path, f"{name!a} {kind} {before or 'the header'!a} (byte {start}, not {reached})")
        reached, before = end, name
        tensors.append(Tensor(name, dtype, shape, end - start, path))
        starts[name] = begins + start
    if reached != room:
        verb = "reach past the end of the file" if reached > room else "do not fill the file"
        raise _bad(path, f"its tensors {verb}: they take {reached} bytes of {room}")
    return Header(tensors=tuple(tensors), starts=starts, metadata=metadata, nbytes=begins)


def _span(path: str, name: str, entry: Any) -> tuple[int, int, str, str, tuple[int, ...]]:
    if not name or len(name) > _MAX_NAME or _UNCLEAN.search(name):
        raise _bad(path, f"names a tensor {name[:100]!a}; names have 1 to {_MAX_NAME} printable characters")
    if not isinstance(entry, dict):
        raise _bad(path, f"{name!a} is not described by an object")
    dtype, shape, offsets = entry.get("dtype"), _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    bits = BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise _bad(path, f"{name!a} has the unknown dtype {str(dtype)[:40]!a}")
    if shape is None or len(shape) > _MAX_DIMENSIONS:
        raise _bad(path, f"{name!a} has a shape that is not a list of at most {_MAX_DIMENSIONS} sizes")
    if offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _bad(path, f"{name!a} has data_offsets that are not [start, end]")
    elements = prod(shape)
    if elements > _MAX_NUMBER:
        raise _bad(path, f"{name!a} has a shape of more elements than fit 64 bits")
    whole, rest = divmod(elements * bits, 8)
    if rest or whole != offsets[1] - offsets[0]:
        has = offsets[1] - offsets[0]
        raise _bad(path, f"{name!a} is {dtype} of shape {list(shape)}, which does not take the {has} bytes that it has")
    return offsets[0], offsets[1], name, str(dtype), shape


def _counts(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, list) and all(type(item) is int and 0 <= item <= _MAX_NUMBER for item in value):
        return tuple(value)
    return None
