"""JSON as we take it: all that is sound passes unchanged, and nothing but BrokenJson is ever raised."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steelyard.errors import BrokenJson
from steelyard.records.strict_json import DEFAULT_DEPTH, decode


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=20
)


@given(values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_the_standard_library_writes_is_read_back(value: Any, ascii_only: bool, indent: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    read = decode(text.encode())
    assert json.dumps(read) == json.dumps(value)  # 1, 1.0 and true stay three, and the order of keys stays


@given(st.binary(max_size=60) | st.text('{}[]",:0123456789eE+-. \\u\ttrufalsn\x00\ud800é', max_size=40).map(_encoded))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"\xef\xbb\xbf1")
@example(b"1" * 5000)
@example(b"-" + b"1" * 5000)
@example(b"1e" + b"9" * 5000)
@example(b'"\\ud83e\\udd99"')
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    try:
        value = decode(body)
    except BrokenJson as error:
        assert error.status == 422
        assert error.faults[0].location[0] == "body"
        assert not error.faults[0].show_value
    else:
        assert json.loads(body) == value


REFUSED = [
    (b"", "missing"),
    (b" \r\n\t", "missing"),
    (b"{", "json_invalid"),
    (b"1 2", "json_invalid"),
    (b"\xff", "json_invalid"),
    (b"nul", "json_invalid"),
    (b"'a'", "json_invalid"),
    (b"[1,]", "json_invalid"),
    (b"01", "json_invalid"),
    (b"+1", "json_invalid"),
    (b'"a\nb"', "json_invalid"),
    (b'"\\x"', "json_invalid"),
    (b"NaN", "finite_number"),
    (b"-Infinity", "finite_number"),
    (b"[1e309]", "finite_number"),
    (b"9223372036854775808", "int_too_large"),
    (b"-9223372036854775809", "int_too_large"),
    (b'{"a":1,"a":1}', "duplicate_key"),
    (b'{"a":1,"\\u0061":1}', "duplicate_key"),
    (b'"\\u0000"', "string_nul"),
    (b'"\\ud800"', "string_unicode"),
    (b'"\\udc00\\ud800"', "string_unicode"),
    (b'{"\\ud800":1}', "string_unicode"),
]


@pytest.mark.parametrize(("body", "type"), REFUSED)
def test_what_is_refused(body: bytes, type: str) -> None:
    with pytest.raises(BrokenJson) as raised:
        decode(body)
    assert [fault.type for fault in raised.value.faults] == [type]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a":[0,{"b":"\\u0000"}]}', ("body", "a", 1, "b")),
        (b'{"a":{"\\u0000":1}}', ("body", "a")),
        (b'{"a":}', ("body", 5)),
        (b'{"a":"\xff"}', ("body", 6)),
    ],
)
def test_the_place_is_named(body: bytes, place: tuple[str | int, ...]) -> None:
    with pytest.raises(BrokenJson) as raised:
        decode(body)
    assert raised.value.faults[0].location == place


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"-0", 0),
        (b"1.7976931348623157e308", 1.7976931348623157e308),
        (b"1e-999", 0.0),
        (b'"\\ud83e\\udd99"', "\U0001f999"),
        ('"\U0001f999"'.encode(), "\U0001f999"),
        (b' {"":""} ', {"": ""}),
    ],
)
def test_what_is_at_a_limit_passes(body: bytes, value: Any) -> None:
    assert decode(body) == value


@given(st.integers(1, 40), st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]), st.integers(8, 20))
def test_depth(levels: int, brackets: tuple[bytes, bytes], limit: int) -> None:
    opened, closed = brackets
    body = opened * levels + (b"1" if opened != b"[" else b"") + closed * levels
    if levels <= limit:
        decode(body, max_depth=limit)
    else:
        with pytest.raises(BrokenJson, match=f"deeper than {limit} levels"):
            decode(body, max_depth=limit)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(decode(b"[" + b"[]," * 1000 + b"[]]")) == 1001
    assert DEFAULT_DEPTH == 64
