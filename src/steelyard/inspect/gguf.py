"""GGUF (version 2 and 3, little endian): metadata and tensors, from the header alone.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Every count and length in a header is a claim of
whoever wrote the file, so each is held against the bytes that are there before anything is made of it.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from steelyard.errors import BadCheckpoint
from steelyard.inspect.files import CheckpointFiles
from steelyard.inspect.tensors import Tensor

MAGIC = b"GGUF"

# A model with a vocabulary of 256,000 has a header of some 20 MiB.
MAX_HEADER_BYTES = 64 << 20
MAX_KEYS = 65_536
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 8
MAX_KEY_BYTES = 65_535
MAX_NAME_BYTES = 1_024
MAX_ARRAY_KEPT = 4_096
MAX_ITEMS_KEPT = 262_144
MAX_ARRAY_DEPTH = 4
MAX_ELEMENTS = 1 << 63

_CHUNK = 256 << 10
_STRING, _ARRAY = 8, 9
_SCALARS: Mapping[int, tuple[str, struct.Struct]] = {
    0: ("uint8", struct.Struct("<B")),
    1: ("int8", struct.Struct("<b")),
    2: ("uint16", struct.Struct("<H")),
    3: ("int16", struct.Struct("<h")),
    4: ("uint32", struct.Struct("<I")),
    5: ("int32", struct.Struct("<i")),
    6: ("float32", struct.Struct("<f")),
    7: ("bool", struct.Struct("<?")),
    10: ("uint64", struct.Struct("<Q")),
    11: ("int64", struct.Struct("<q")),
    12: ("float64", struct.Struct("<d")),
}
_NAMES = {_STRING: "string", _ARRAY: "array", **{code: name for code, (name, _) in _SCALARS.items()}}
_U32, _U64 = _SCALARS[4][1], _SCALARS[10][1]

# Type in the file: name, elements in a block, bytes of a block (ggml's type traits; numbers that are left out were
# withdrawn by the format).
BLOCKS: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}

_PART = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """An array too long to be kept: the type of its items (`string`, `float32`, …) and how many there are."""

    type: str
    length: int


Value = int | float | bool | str | tuple["Value", ...] | ArrayOf


@dataclass(frozen=True, slots=True, kw_only=True)
class GGUF:
    """What a GGUF file, or all parts of a split one, declares.

    `metadata` is that of the first part; `tensors` have the slowest dimension first, as in safetensors; `files` are
    the parts in their order; `alignment` is in bytes.
    """

    version: int
    alignment: int
    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]
    files: tuple[str, ...]


def read_gguf(files: CheckpointFiles, path: str) -> GGUF:
    """The header of the GGUF file at `path`, and of all parts if it is one of a split (`…-00001-of-00005.gguf`).

    Raises BadCheckpoint for a file that is not GGUF, of a version or byte order that is not read, that claims what it
    cannot hold, or of which parts are missing.
    """
    paths = list(_parts(files, path))
    parts = [_read_file(files, part) for part in paths]
    first = parts[0]
    if len(parts) > 1:
        _check_split(paths, parts)
    tensors = tuple(tensor for part in parts for tensor in part.tensors)
    return GGUF(
        version=first.version,
        alignment=first.alignment,
        metadata=first.metadata,
        tensors=tensors,
        files=tuple(paths),
    )


def _parts(files: CheckpointFiles, path: str) -> Iterator[str]:
    match = _PART.fullmatch(path)
    if match is None:
        yield path
        return
    sizes = files.sizes()
    count = int(match["count"])
    if not 1 <= int(match["number"]) <= count:
        raise BadCheckpoint(f"{path}: its name says part {match['number']} of {match['count']}", file=path)
    for number in range(1, count + 1):
        part = f"{match['stem']}-{number:05}-of-{count:05}.gguf"
        if part not in sizes:
            raise BadCheckpoint(f"{part}: is missing; it is part {number} of {count}. Add it", file=part)
        yield part


def _check_split(paths: list[str], parts: list[GGUF]) -> None:
    """Parts say of themselves which they are (`split.no` from 0), and how many tensors all of them hold together."""
    seen: set[str] = set()
    for number, (path, part) in enumerate(zip(paths, parts, strict=True)):
        for key, expected in (("split.no", number), ("split.count", len(parts))):
            if part.metadata.get(key, expected) != expected:
                raise BadCheckpoint(f"{path}: `{key}` is not {expected}, as the file's name says", file=path)
        for tensor in part.tensors:
            if tensor.name in seen:
                raise BadCheckpoint(f"{path}: tensor {tensor.name!r} is in an earlier part too", file=path)
            seen.add(tensor.name)
        if len(seen) > MAX_TENSORS:
            raise BadCheckpoint(f"{path}: more than {MAX_TENSORS} tensors in all parts", file=path)
    total = parts[0].metadata.get("split.tensors.count", len(seen))
    if total != len(seen):
        raise BadCheckpoint(
            f"{paths[0]}: `split.tensors.count` is {total}, but the parts hold {len(seen)}", file=paths[0]
        )


def _read_file(files: CheckpointFiles, path: str) -> GGUF:
    header = _Header(files, path)
    version = _version(header)
    tensor_count, key_count = header.unpack(_U64), header.unpack(_U64)
    # The smallest tensor takes 24 bytes of header, the smallest key 13: more cannot be there, whatever is claimed.
    header.refuse_if(tensor_count > min(MAX_TENSORS, header.size // 24), f"claims {tensor_count} tensors")
    header.refuse_if(key_count > min(MAX_KEYS, header.size // 13), f"claims {key_count} keys of metadata")
    metadata = _read_metadata(header, key_count)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise BadCheckpoint(f"{path}: `general.alignment` is {alignment!r}, not a power of two", file=path)
    return GGUF(
        version=version,
        alignment=alignment,
        metadata=metadata,
        tensors=_read_tensors(header, tensor_count, alignment),
        files=(path,),
    )


def _version(header: "_Header") -> int:
    header.refuse_if(header.take(4) != MAGIC, "does not start with `GGUF`, so it is not a GGUF file")
    version = header.unpack(_U32)
    header.refuse_if(version & 0xFFFF == 0 and version > 0, "is big endian, which is not read. Convert it")
    header.refuse_if(version not in {2, 3}, f"is GGUF version {version}; versions 2 and 3 are read. Convert it")
    return version


def _read_metadata(header: "_Header", count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = header.string(MAX_KEY_BYTES, "a key of metadata")
        header.refuse_if(key in metadata, f"has the key {key!r} twice")
        metadata[key] = header.value(header.unpack(_U32), key)
    return metadata


def _read_tensors(header: "_Header", count: int, alignment: int) -> tuple[Tensor, ...]:
    placed: list[tuple[int, Tensor]] = []
    names: set[str] = set()
    for _ in range(count):
        offset, tensor = _read_tensor(header)
        header.refuse_if(tensor.name in names, f"has the tensor {tensor.name!r} twice")
        header.refuse_if(
            offset % alignment != 0, f"tensor {tensor.name!r}: its offset is not a multiple of {alignment}"
        )
        names.add(tensor.name)
        placed.append((offset, tensor))
    data_start = -(-header.offset // alignment) * alignment
    end, before = 0, ""
    for offset, tensor in sorted(placed, key=lambda item: item[0]):
        header.refuse_if(offset < end and tensor.nbytes > 0, f"tensors {before!r} and {tensor.name!r} overlap")
        end, before = max(end, offset + tensor.nbytes), tensor.name
        header.refuse_if(
            data_start + end > header.size,
            f"tensor {tensor.name!r} ends at byte {data_start + end}, past the end of the file ({header.size} bytes); "
            "the file is cut short, or its header lies",
        )
    return tuple(tensor for _, tensor in placed)


def _read_tensor(header: "_Header") -> tuple[int, Tensor]:
    name = header.string(MAX_NAME_BYTES, "a tensor's name")
    dimensions = header.unpack(_U32)
    header.refuse_if(dimensions > MAX_DIMENSIONS, f"tensor {name!r} claims {dimensions} dimensions")
    shape = tuple(header.unpack(_U64) for _ in range(dimensions))
    code = header.unpack(_U32)
    offset = header.unpack(_U64)
    header.refuse_if(code not in BLOCKS, f"tensor {name!r} is of type {code}, which is not known here")
    dtype, block, block_bytes = BLOCKS[code]
    elements = prod(shape)
    header.refuse_if(elements >= MAX_ELEMENTS, f"tensor {name!r} claims {elements} elements")
    row = shape[0] if shape else 1
    header.refuse_if(row % block != 0, f"tensor {name!r}: rows of {row} are not whole blocks of {block} ({dtype})")
    nbytes = elements // block * block_bytes
    return offset, Tensor(name=name, dtype=dtype, shape=shape[::-1], nbytes=nbytes, file=header.path)


class _Header:
    """Reads a header forwards, in pieces, and refuses to go past its limits or the file's end."""

    def __init__(self, files: CheckpointFiles, path: str) -> None:
        size = files.sizes().get(path)
        if size is None:
            raise BadCheckpoint(f"{path}: there is no such file", file=path)
        self.path = path
        self.size = size
        self._files = files
        self._buffer = b""
        self._start = 0
        self._at = 0
        self._items = 0

    @property
    def offset(self) -> int:
        """How many bytes of the file have been read or skipped."""
        return self._start + self._at

    def refuse_if(self, wrong: bool, what: str) -> None:
        """Raises BadCheckpoint about this file if `wrong`."""
        if wrong:
            raise BadCheckpoint(f"{self.path}: {what}", file=self.path)

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        self._fill(length)
        self._at += length
        return self._buffer[self._at - length : self._at]

    def skip(self, length: int) -> None:
        """Goes on by `length` bytes, without reading those that are not read yet."""
        if self._at + length > len(self._buffer):
            self._check(length)
            self._start, self._at, self._buffer = self.offset + length, 0, b""
        else:
            self._at += length

    def unpack(self, layout: struct.Struct) -> int:
        """The next number."""
        number: int = layout.unpack(self.take(layout.size))[0]
        return number

    def string(self, limit: int, what: str, errors: str = "strict") -> str:
        """The next string, of up to `limit` bytes."""
        length = self.unpack(_U64)
        self.refuse_if(length > limit, f"{what} claims to be {length} bytes long; {limit} are allowed")
        try:
            return self.take(length).decode("utf-8", errors)
        except UnicodeDecodeError:
            raise BadCheckpoint(f"{self.path}: {what} is not UTF-8", file=self.path) from None

    def value(self, code: int, key: str, depth: int = 0) -> Value:
        """The next value, of the type `code`. Long arrays are walked over, not kept."""
        self.refuse_if(code not in _NAMES, f"the key {key!r} is of type {code}, which does not exist")
        if code == _STRING:
            # Metadata in the wild holds text in other encodings, which ruins that text only.
            return self.string(MAX_HEADER_BYTES, f"the key {key!r}", errors="replace")
        if code != _ARRAY:
            return self.unpack(_SCALARS[code][1])
        return self._array(key, depth)

    def _array(self, key: str, depth: int) -> Value:
        code, length = self.unpack(_U32), self.unpack(_U64)
        self.refuse_if(depth >= MAX_ARRAY_DEPTH, f"the key {key!r} is an array nested {depth + 1} deep")
        self.refuse_if(code not in _NAMES, f"the key {key!r} is an array of type {code}, which does not exist")
        smallest = _SCALARS[code][1].size if code in _SCALARS else 8
        self._check(length * smallest)
        self._items += length
        kept = length <= MAX_ARRAY_KEPT and self._items <= MAX_ITEMS_KEPT
        if kept:
            return tuple(self.value(code, key, depth + 1) for _ in range(length))
        if code in _SCALARS:
            self.skip(length * smallest)
        elif code == _STRING:
            self._skip_strings(length)
        else:
            self.refuse_if(True, f"the key {key!r} is an array of {length} arrays; {MAX_ARRAY_KEPT} are allowed")
        return ArrayOf(_NAMES[code], length)

    def _skip_strings(self, count: int) -> None:
        """Walks over a vocabulary: hundreds of thousands of strings, so without a call for each."""
        buffer, at, unpack = self._buffer, self._at, _U64.unpack_from
        for _ in range(count):
            if at + 8 > len(buffer):
                self._at = at
                self._fill(8)
                buffer, at = self._buffer, self._at
            at += 8 + unpack(buffer, at)[0]
            if at > len(buffer):
                self._at = len(buffer)
                self.skip(at - len(buffer))
                buffer, at = self._buffer, self._at
        self._at = at

    def _fill(self, length: int) -> None:
        """Has the next `length` bytes in the buffer."""
        if self._at + length > len(self._buffer):
            self._check(length)
            self._start, self._at = self.offset, 0
            self._buffer = self._files.read(self.path, self._start, max(length, min(_CHUNK, self.size - self._start)))
            self.refuse_if(len(self._buffer) < length, "ends within its header; the file is cut short")

    def _check(self, length: int) -> None:
        self.refuse_if(
            self.offset + length > self.size,
            "its header claims more bytes than the file has; the file is cut short, or its header lies",
        )
        self.refuse_if(self.offset + length > MAX_HEADER_BYTES, f"its header is longer than {MAX_HEADER_BYTES} bytes")
