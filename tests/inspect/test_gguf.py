"""GGUF headers: read as the format's description says, and refused where they lie."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import BadCheckpoint
from steelyard.inspect.files import FolderFiles
from steelyard.inspect.gguf import BLOCKS, GGUF, MAX_ARRAY_KEPT, ArrayOf, read_gguf
from steelyard.inspect.tensors import Tensor


class MemoryFiles:
    """Files that are bytes, with a count of what was read of them."""

    def __init__(self, files: Mapping[str, bytes], sizes: Mapping[str, int] | None = None) -> None:
        self._files = files
        self._sizes = dict(sizes or {name: len(data) for name, data in files.items()})
        self.read_bytes = 0

    def sizes(self) -> Mapping[str, int]:
        return self._sizes

    def read(self, path: str, offset: int, length: int) -> bytes:
        data = self._files[path][offset : offset + length]
        self.read_bytes += len(data)
        return data


class Declared(NamedTuple):
    """A tensor as a header declares it: dimensions with the fastest first."""

    name: str
    dimensions: tuple[int, ...]
    type: int
    offset: int


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def key(name: str | bytes, type: int, value: bytes) -> bytes:
    return string(name) + struct.pack("<I", type) + value


def array(type: int, length: int, items: bytes) -> bytes:
    return struct.pack("<IQ", type, length) + items


def header(
    keys: list[bytes] | None = None,
    tensors: list[Declared] | None = None,
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A header, which claims other counts of tensors and keys than it has if `counts` says so."""
    keys, tensors = keys or [], tensors or []
    data = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(keys)))) + b"".join(keys)
    for tensor in tensors:
        data += string(tensor.name) + struct.pack("<I", len(tensor.dimensions))
        data += struct.pack(f"<{len(tensor.dimensions)}Q", *tensor.dimensions)
        data += struct.pack("<IQ", tensor.type, tensor.offset)
    return data


def with_data(head: bytes, size: int, alignment: int = 32) -> bytes:
    """The header, padded to its alignment, with `size` bytes of data behind it."""
    return head + bytes(-len(head) % alignment) + bytes(size)


def read(data: bytes) -> GGUF:
    return read_gguf(MemoryFiles({"m.gguf": data}), "m.gguf")


@pytest.mark.parametrize("version", [2, 3])
def test_metadata_of_every_type_are_read(version: int) -> None:
    keys = [
        key("u8", 0, b"\xff"),
        key("i8", 1, b"\xff"),
        key("u16", 2, b"\xff\xff"),
        key("i16", 3, b"\xfe\xff"),
        key("u32", 4, struct.pack("<I", 1 << 31)),
        key("i32", 5, struct.pack("<i", -5)),
        key("f32", 6, struct.pack("<f", 0.5)),
        key("bool", 7, b"\x01"),
        key("string", 8, string("naïve")),
        key("u64", 10, struct.pack("<Q", 1 << 63)),
        key("i64", 11, struct.pack("<q", -1)),
        key("f64", 12, struct.pack("<d", 1e300)),
        key("array", 9, array(5, 3, struct.pack("<3i", 1, 2, -3))),
        key("strings", 9, array(8, 2, string("a") + string("b"))),
        key("nested", 9, array(9, 2, array(0, 1, b"\x01") + array(0, 0, b""))),
    ]

    found = read(header(keys, version=version))

    assert found.version == version
    assert found.metadata == {
        **{"u8": 255, "i8": -1, "u16": 65535, "i16": -2, "u32": 1 << 31, "i32": -5, "f32": 0.5, "bool": True},
        **{"string": "naïve", "u64": 1 << 63, "i64": -1, "f64": 1e300},
        **{"array": (1, 2, -3), "strings": ("a", "b"), "nested": ((1,), ())},
    }


def test_tensors_have_the_slowest_dimension_first_and_the_bytes_of_their_blocks() -> None:
    declared = [Declared("embed", (64, 10), 0, 0), Declared("q", (256, 4), 12, 2560), Declared("scalar", (), 1, 3136)]

    found = read(with_data(header(tensors=declared), 3138))

    assert found.tensors == (
        Tensor("embed", "F32", (10, 64), 2560, "m.gguf"),
        Tensor("q", "Q4_K", (4, 256), 4 * 144, "m.gguf"),
        Tensor("scalar", "F16", (), 2, "m.gguf"),
    )


@pytest.mark.parametrize(
    ("type", "bits"),
    [
        *(("F32", 32), ("BF16", 16), ("Q8_0", 8.5), ("Q6_K", 6.5625), ("Q4_K", 4.5), ("Q4_0", 4.5), ("MXFP4", 4.25)),
        *(("IQ4_XS", 4.25), ("Q3_K", 3.4375), ("Q2_K", 2.625), ("IQ2_XXS", 2.0625), ("IQ1_S", 1.5625)),
    ],
)
def test_types_take_the_bits_that_the_format_gives_them(type: str, bits: float) -> None:
    (found,) = [nbytes * 8 / elements for name, elements, nbytes in BLOCKS.values() if name == type]

    assert found == bits


def test_long_arrays_are_walked_over_and_not_kept() -> None:
    count = MAX_ARRAY_KEPT + 1
    tokens = key("tokens", 9, array(8, count, b"".join(string(f"token{n}") for n in range(count))))
    scores = key("scores", 9, array(6, count, bytes(4 * count)))

    found = read(header([tokens, scores, key("after", 0, b"\x07")]))

    assert found.metadata == {"tokens": ArrayOf("string", count), "scores": ArrayOf("float32", count), "after": 7}


def test_arrays_that_span_many_reads_end_where_they_end() -> None:
    strings = [b"x" * (7 * n % 1000) for n in range(6_000)] + [b"y" * 3_000_000]
    tokens = key("tokens", 9, array(8, len(strings), b"".join(map(string, strings))))

    assert read(header([tokens, key("after", 0, b"\x07")])).metadata["after"] == 7


def test_a_long_array_of_numbers_is_not_even_read() -> None:
    data = header([key("scores", 9, array(6, 5_000_000, bytes(20_000_000))), key("after", 0, b"\x07")])
    files = MemoryFiles({"m.gguf": data})

    assert read_gguf(files, "m.gguf").metadata["after"] == 7
    assert files.read_bytes < 2_000_000


def test_the_data_are_not_read() -> None:
    files = MemoryFiles({"m.gguf": with_data(header(tensors=[Declared("a", (1 << 20,), 0, 0)]), 4 << 20)})

    read_gguf(files, "m.gguf")

    assert files.read_bytes < 1 << 20


def test_alignment_is_what_the_metadata_say() -> None:
    keys = [key("general.alignment", 4, struct.pack("<I", 256))]
    declared = [Declared("a", (4,), 0, 0), Declared("b", (4,), 0, 256)]

    found = read(with_data(header(keys, declared), 272, 256))

    assert found.alignment == 256


def test_text_in_another_encoding_spoils_that_text_only() -> None:
    assert read(header([key("name", 8, string(b"caf\xe9"))])).metadata == {"name": "caf�"}


A = Declared("a", (32,), 0, 0)
LIES = {
    "not GGUF": (b"GGML" + bytes(100), "not a GGUF file"),
    "empty": (b"", "more bytes than the file has"),
    "only a magic": (b"GGUF", "more bytes than the file has"),
    "version 1": (header(version=1), "versions 2 and 3"),
    "version 4": (header(version=4), "versions 2 and 3"),
    "big endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big endian"),
    "a billion tensors": (header(counts=(10**9, 0)), "claims 1000000000 tensors"),
    "a billion keys": (header(counts=(0, 10**9)), "claims 1000000000 keys"),
    "the most tensors": (header(counts=(2**64 - 1, 0)), "tensors"),
    "more keys than are there": (header([key("a", 0, b"\0")] * 1 + [bytes(100)], counts=(0, 3)), "twice"),
    "a long key": (header([struct.pack("<Q", 1 << 40)], counts=(0, 1)) + bytes(20), "claims to be 1099511627776"),
    "a long text": (header([key("a", 8, struct.pack("<Q", 1 << 20))]), "more bytes than the file has"),
    "a long array": (header([key("a", 9, array(0, 1 << 60, b""))]), "more bytes than the file has"),
    "a long array of texts": (header([key("a", 9, array(8, 1 << 60, b""))]), "more bytes than the file has"),
    "an array of nothing known": (header([key("a", 9, array(99, 1, b"\0" * 8))]), "type 99"),
    "an array nested too deep": (header([key("a", 9, array(9, 1, b"") * 9 + array(0, 0, b""))]), "nested"),
    "a type that does not exist": (header([key("a", 13, b"\0" * 8)]), "type 13"),
    "a key twice": (header([key("a", 0, b"\0"), key("a", 0, b"\0")]), "twice"),
    "a key that is no text": (header([key(b"\xff", 0, b"\0")]), "UTF-8"),
    "an alignment that is none": (header([key("general.alignment", 4, struct.pack("<I", 24))]), "power of two"),
    "an alignment of a text": (header([key("general.alignment", 8, string("32"))]), "power of two"),
    "a tensor twice": (with_data(header(tensors=[A, A._replace(offset=128)]), 256), "twice"),
    "many dimensions": (with_data(header(tensors=[A._replace(dimensions=(1,) * 9)]), 128), "9 dimensions"),
    "too many elements": (with_data(header(tensors=[A._replace(dimensions=(1 << 40, 1 << 40))]), 128), "elements"),
    "an unknown type": (with_data(header(tensors=[A._replace(type=99)]), 128), "type 99"),
    "rows of half blocks": (with_data(header(tensors=[A._replace(dimensions=(48, 2), type=2)]), 128), "whole blocks"),
    "past the end": (with_data(header(tensors=[A]), 127), "past the end"),
    "far past the end": (with_data(header(tensors=[A._replace(offset=1 << 62)]), 128), "past the end"),
    "off its alignment": (with_data(header(tensors=[A._replace(offset=8)]), 256), "multiple of 32"),
    "overlapping": (with_data(header(tensors=[A, Declared("b", (32,), 0, 64)]), 256), "overlap"),
}


@pytest.mark.parametrize("lie", LIES)
def test_headers_that_lie_are_refused(lie: str) -> None:
    data, said = LIES[lie]

    with pytest.raises(BadCheckpoint) as refused:
        read(data)

    assert "m.gguf" in refused.value.message
    assert said in refused.value.message


def test_a_header_without_end_is_refused() -> None:
    data = header([key("a", 8, struct.pack("<Q", 64 << 20))])

    with pytest.raises(BadCheckpoint, match="longer than"):
        read_gguf(MemoryFiles({"m.gguf": data}, {"m.gguf": 1 << 40}), "m.gguf")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="no such file"):
        read_gguf(FolderFiles(tmp_path), "m.gguf")


def split(count: int, **changes: dict[str, int]) -> dict[str, bytes]:
    """A model in `count` parts of one tensor each; `changes` puts other numbers over what a part says of itself."""
    files = {}
    for number in range(count):
        said = {"split.no": number, "split.count": count, "split.tensors.count": count}
        said |= changes.get(f"part{number}", {})
        keys = [key(name, 2, struct.pack("<H", value)) for name, value in said.items()]
        tensor = Declared(f"t{number}", (8,), 0, 0)
        files[f"q/m-{number + 1:05}-of-{count:05}.gguf"] = with_data(header(keys, [tensor]), 32)
    return files


@pytest.mark.parametrize("part", ["q/m-00001-of-00003.gguf", "q/m-00003-of-00003.gguf"])
def test_a_split_model_is_read_whole_from_any_of_its_parts(part: str) -> None:
    found = read_gguf(MemoryFiles(split(3)), part)

    assert found.files == tuple(f"q/m-0000{number}-of-00003.gguf" for number in (1, 2, 3))
    assert [(tensor.name, tensor.file) for tensor in found.tensors] == [
        (f"t{number}", found.files[number]) for number in range(3)
    ]
    assert found.metadata["split.no"] == 0


def test_a_missing_part_is_named() -> None:
    files = split(3)
    del files["q/m-00002-of-00003.gguf"]

    with pytest.raises(BadCheckpoint, match=r"m-00002-of-00003\.gguf: is missing"):
        read_gguf(MemoryFiles(files), "q/m-00001-of-00003.gguf")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"part1": {"split.no": 2}}, "`split.no` is not 1"),
        ({"part1": {"split.count": 7}}, "`split.count` is not 2"),
        ({"part0": {"split.tensors.count": 9}}, "`split.tensors.count` is 9"),
    ],
)
def test_parts_that_belong_elsewhere_are_told(changes: dict[str, dict[str, int]], said: str) -> None:
    with pytest.raises(BadCheckpoint, match=said):
        read_gguf(MemoryFiles(split(2, **changes)), "q/m-00001-of-00002.gguf")


@pytest.mark.parametrize("name", ["m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-00001-of-00000.gguf"])
def test_a_part_that_cannot_be_is_told(name: str) -> None:
    with pytest.raises(BadCheckpoint, match="its name says part"):
        read_gguf(MemoryFiles({name: header()}), name)


def test_a_split_of_very_many_parts_is_refused_at_the_first_that_is_missing() -> None:
    with pytest.raises(BadCheckpoint, match="00002-of-99999"):
        read_gguf(MemoryFiles({"m-00001-of-99999.gguf": header()}), "m-00001-of-99999.gguf")


GOOD = with_data(
    header(
        [
            key("general.architecture", 8, string("llama")),
            key("general.alignment", 4, struct.pack("<I", 32)),
            key("list", 9, array(8, 2, string("a") + string("b"))),
        ],
        [Declared("a", (32,), 0, 0), Declared("b", (32, 2), 2, 128)],
    ),
    164,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=9), st.integers(0, 40))
def test_a_changed_header_is_read_or_refused(place: int, change: bytes, cut: int) -> None:
    data = (GOOD[:place] + change + GOOD[place + len(change) :])[: len(GOOD) - cut]

    try:
        found = read(data)
    except BadCheckpoint:
        return
    assert sum(tensor.nbytes for tensor in found.tensors) <= len(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_behind_the_magic_are_read_or_refused(data: bytes) -> None:
    try:
        read(b"GGUF\x03\0\0\0" + data)
    except BadCheckpoint as refused:
        assert refused.message.startswith("m.gguf: ")
