"""A safetensors header is believed only where all of it holds against the file."""

import json
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import BadCheckpoint
from steelyard.inspect.safetensors import MAX_HEADER, MAX_TENSORS, read_header
from tests.inspect.checkpoints import Files, header, safetensors


def _read(body: bytes, size: int | None = None) -> Any:
    return read_header(
        Files({"a.safetensors": body}, {"a.safetensors": len(body) if size is None else size}), "a.safetensors"
    )


def _entry(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_header_is_read_without_the_bytes_of_its_tensors() -> None:
    body, size = safetensors({"b": ("BF16", (3, 4)), "a": ("F32", ()), "empty": ("I64", (0, 5))})

    found = _read(body, size)

    assert {(one.name, one.dtype, one.shape, one.nbytes) for one in found.tensors} == {
        ("b", "BF16", (3, 4), 24),
        ("a", "F32", (), 4),
        ("empty", "I64", (0, 5), 0),
    }
    assert found.starts["a"] == len(body) + 24


def test_four_bit_types_take_half_a_byte() -> None:
    body, size = safetensors({"a": ("F4", (2, 3))})

    assert _read(body, size).tensors[0].nbytes == 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "too short"),
        (b"1234567", "too short"),
        (struct.pack("<Q", 2**63) + b"{}", "claims a header of"),
        (header({}, length=100), "claims a header of"),
        (header("{"), "not JSON"),
        (header(b"\xff\xff"), "not UTF-8"),
        (header([]), "not a JSON object"),
        (header("[" * 100_000), "nested too deep"),
        (header('{"a":' * 50_000), "nested too deep"),
        (header({"a": []}), "not described by an object"),
        (header({"a": {}}), "unknown dtype"),
        (header({"a": _entry("F99")}) + bytes(8), "unknown dtype"),
        (header({"a": _entry(shape=[-2])}) + bytes(8), "shape"),
        (header({"a": _entry(shape=[2.0])}) + bytes(8), "shape"),
        (header({"a": _entry(shape=[True])}) + bytes(8), "shape"),
        (header({"a": _entry(shape=[1] * 9, offsets=[0, 4])}) + bytes(4), "shape"),
        (header({"a": _entry(shape=[2**62, 8])}) + bytes(8), "more elements"),
        (header({"a": _entry(offsets=[8, 0])}) + bytes(8), "data_offsets"),
        (header({"a": _entry(offsets=[0])}) + bytes(8), "data_offsets"),
        (header({"a": _entry(offsets=[0, 12])}) + bytes(12), "does not take"),
        (header({"a": _entry("F4", [3], [0, 2])}) + bytes(2), "does not take"),
        (header({"a": _entry(), "b": _entry(offsets=[4, 12])}) + bytes(12), "overlaps"),
        (header({"a": _entry(), "b": _entry()}) + bytes(8), "overlaps"),
        (header({"a": _entry(), "b": _entry(offsets=[12, 20])}) + bytes(20), "leaves a hole"),
        (header({"a": _entry(offsets=[4, 12])}) + bytes(12), "leaves a hole"),
        (header({"a": _entry()}) + bytes(7), "past the end"),
        (header({"a": _entry()}) + bytes(9), "do not fill"),
        (header('{"a":1,"a":2}'), "twice"),
        (header('{"a":{"dtype":"F32","dtype":"F32"}}'), "twice"),
        (header({"a": _entry(shape=[10**30])}) + bytes(8), "64 bits"),
        (header({"": _entry()}) + bytes(8), "names a tensor"),
        (header({"a" * 600: _entry()}) + bytes(8), "names a tensor"),
        (header({"a\n": _entry()}) + bytes(8), "names a tensor"),
        (header({"a\0": _entry()}) + bytes(8), "names a tensor"),
        (header('{"\\ud800":{}}'), "names a tensor"),
        (header({"__metadata__": {"a": 1}}), "__metadata__"),
    ],
)
def test_a_header_that_lies_is_refused_with_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(BadCheckpoint, match=message):
        _read(body)


def test_a_header_that_is_too_long_is_not_read() -> None:
    files = Files({"a.safetensors": struct.pack("<Q", MAX_HEADER + 1)}, {"a.safetensors": 2 * MAX_HEADER})

    with pytest.raises(BadCheckpoint, match="at most"):
        read_header(files, "a.safetensors")

    assert files.read_bytes < 100


@pytest.mark.parametrize(
    "text",
    [
        "{" + ",".join(f'"{number}":{{}}' for number in range(MAX_TENSORS + 10)) + "}",
        "[" + ",".join(["[]"] * 4_000_000) + "]",
        '{"a":[' + ",".join(['"ab"'] * 4_000_000) + "]}",
    ],
    ids=["tensors", "lists", "texts"],
)
def test_more_than_any_model_has_is_refused_before_it_takes_memory(text: str) -> None:
    body = header(text)
    tracemalloc.start()

    with pytest.raises(BadCheckpoint, match="more than"):
        _read(body)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
_ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "F4", "?"]) | _JSON,
        "shape": st.lists(st.integers(-1, 2**64), max_size=3) | _JSON,
        "data_offsets": st.lists(st.integers(-1, 40), max_size=3) | _JSON,
    },
)


@given(st.dictionaries(st.text(max_size=4), _ENTRY | _JSON, max_size=5), st.integers(0, 64))
def test_no_header_does_anything_but_be_read_or_refused(entries: dict[str, Any], room: int) -> None:
    _read_or_refused(header(json.dumps(entries)) + bytes(room))


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_read_or_refused(body: bytes) -> None:
    _read_or_refused(body)
    _read_or_refused(struct.pack("<Q", len(body)) + body)


def _read_or_refused(body: bytes) -> None:
    try:
        found = _read(body)
    except BadCheckpoint as error:
        assert error.message.startswith("a.safetensors: ")
        return
    assert 8 + sum(tensor.nbytes for tensor in found.tensors) <= len(body)
