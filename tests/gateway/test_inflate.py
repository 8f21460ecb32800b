"""Answers that were compressed though nobody has asked for it: unpacked piece by piece, within bounds."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.gateway.failures import UpstreamFailed
from steelyard.gateway.headers import Header
from steelyard.gateway.inflate import inflate_of

TEXT = "Grüße aus 世界 🌍! ".encode() * 20
PACKED = {"gzip": gzip.compress(TEXT), "x-gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}


def _headers(encoding: str) -> list[Header]:
    return [(b"content-type", b"application/json"), (b"content-encoding", encoding.encode())]


@pytest.mark.parametrize("encoding", PACKED)
def test_what_is_packed_is_unpacked(encoding: str) -> None:
    inflate = inflate_of(_headers(encoding), 10_000)
    assert inflate is not None
    assert inflate.feed(PACKED[encoding]) == TEXT


@pytest.mark.parametrize("encoding", ["GZIP", " gzip ", "Deflate"])
def test_the_name_of_a_packing_is_read_whatever_its_case(encoding: str) -> None:
    assert inflate_of(_headers(encoding), 10_000) is not None


def test_the_cuts_between_pieces_do_not_matter() -> None:
    for encoding, packed in PACKED.items():
        for size in (1, 2, 7, 64):
            inflate = inflate_of(_headers(encoding), 10_000)
            assert inflate is not None
            pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
            assert b"".join(map(inflate.feed, pieces)) == TEXT


def test_each_piece_is_unpacked_when_it_comes() -> None:
    """A stream that is flushed after each event arrives event by event."""
    packer = zlib.compressobj(wbits=31)
    inflate = inflate_of(_headers("gzip"), 10_000)
    assert inflate is not None
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        assert inflate.feed(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)) == event


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_what_is_plain_stays(encoding: str) -> None:
    assert inflate_of(_headers(encoding), 10) is None
    assert inflate_of([], 10) is None


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "x"])
def test_any_other_packing_is_a_bad_answer(encoding: str) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        inflate_of(_headers(encoding), 10)
    assert failed.value.reason == "bad_answer"


def test_two_headers_are_two_packings() -> None:
    with pytest.raises(UpstreamFailed):
        inflate_of([(b"content-encoding", b"gzip"), (b"content-encoding", b"gzip")], 10)


@pytest.mark.parametrize("encoding", PACKED)
def test_what_cannot_be_unpacked_is_a_bad_answer(encoding: str) -> None:
    for broken in (b"plain", PACKED[encoding][:10] + b"\x00" * 40):
        inflate = inflate_of(_headers(encoding), 10_000)
        assert inflate is not None
        with pytest.raises(UpstreamFailed) as failed:
            inflate.feed(broken)
        assert failed.value.reason == "bad_answer"


def test_as_much_as_may_be_is_taken_and_no_byte_more() -> None:
    for pieces in (1, 3):
        size = -(-len(PACKED["gzip"]) // pieces)
        parts = [PACKED["gzip"][start : start + size] for start in range(0, len(PACKED["gzip"]), size)]
        inflate = inflate_of(_headers("gzip"), len(TEXT))
        assert inflate is not None
        assert b"".join(map(inflate.feed, parts)) == TEXT
        inflate = inflate_of(_headers("gzip"), len(TEXT) - 1)
        assert inflate is not None
        with pytest.raises(UpstreamFailed) as failed:
            list(map(inflate.feed, parts))
        assert failed.value.reason == "too_large"


def test_a_bomb_takes_no_more_memory_than_may_be() -> None:
    bomb = gzip.compress(b"\x00" * 30_000_000, 1)
    tracemalloc.start()
    try:
        inflate = inflate_of(_headers("gzip"), 1_000_000)
        assert inflate is not None
        with pytest.raises(UpstreamFailed) as failed:
            inflate.feed(bomb)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert failed.value.reason == "too_large"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_unpacked_or_refused(data: bytes) -> None:
    inflate = inflate_of(_headers("gzip"), 1000)
    assert inflate is not None
    try:
        assert len(inflate.feed(data)) <= 1000
    except UpstreamFailed as failed:
        assert failed.reason in {"bad_answer", "too_large"}
