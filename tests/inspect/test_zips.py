"""Zip archives whose parts disagree, so that one program sees what another does not."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.inspect.pickles import SNIFF_BYTES, Limits, sniff
from tests.inspect.hostile import SYSTEM, calling, patched, scanned, zipped

GOOD = b"\x80\x02ccollections\nOrderedDict\n)R."
EVIL = calling("os", "system")


def torch_file(pickled: bytes = GOOD, *, deflate: bool = False) -> bytes:
    """A file as `torch.save` writes it: the pickle, its storages, and some small texts."""
    members = {"model/data.pkl": pickled, "model/byteorder": b"little", "model/data/0": bytes(4096)}
    return zipped({**members, "model/version": b"3\n"}, deflate=deflate)


def said(data: bytes, name: str = "model.pt") -> str:
    """All that a scan says, in one text."""
    found = scanned(data, name)
    return " | ".join(f"{finding.where}: {finding.what}" for finding in found.findings)


@pytest.mark.parametrize("deflate", [False, True])
def test_a_file_of_torch_is_clean_if_its_pickle_is(deflate: bool) -> None:
    found = scanned(torch_file(deflate=deflate), "model.pt")

    assert (found.kind, found.verdict, found.findings) == ("torch-zip", "clean", ())


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "model.safetensors.txt", "notes"])
def test_a_dangerous_pickle_in_it_is_found_under_any_name(name: str, deflate: bool) -> None:
    data = torch_file(EVIL, deflate=deflate)
    found = scanned(data, name)

    assert sniff(data[:SNIFF_BYTES], name)
    assert found.verdict == "dangerous"
    assert found.findings[0].where.startswith("model/data.pkl, byte ")


@pytest.mark.parametrize(
    "member", ["model/data/7", "readme.txt", "x.safetensors", "model/data.pkl/", "..", "a/../b.pkl"]
)
def test_a_pickle_is_found_in_a_member_of_any_name(member: str) -> None:
    assert scanned(zipped({"model/data.pkl": GOOD, member: SYSTEM})).verdict == "dangerous"


def test_a_wrong_checksum_hides_nothing() -> None:
    wrong = b"\x01\x02\x03\x04"
    data = patched(torch_file(EVIL), local={14: wrong}, central={16: wrong})

    with pytest.raises(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.read("model/data.pkl")
    assert scanned(data).verdict == "dangerous"


def test_a_flag_that_says_encrypted_hides_nothing_and_is_told() -> None:
    data = patched(torch_file(EVIL), local={6: b"\x01\0"}, central={8: b"\x01\0"})

    assert scanned(data).verdict == "dangerous"
    assert "encrypted" in said(data)


def test_headers_that_name_a_member_differently_are_told() -> None:
    good = patched(torch_file(), local={30: b"other/data.txt"})
    evil = patched(torch_file(EVIL), local={30: b"other/data.txt"})

    assert scanned(good).verdict == "suspicious"
    assert "do not agree on its name (other/data.txt)" in said(good)
    assert scanned(evil).verdict == "dangerous"


def test_headers_that_differ_in_compression_are_both_followed() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(EVIL) + packer.flush()
    data = zipped({"model/data.pkl": packed})

    assert scanned(patched(data, local={8: b"\x08\0"})).verdict == "dangerous"
    assert scanned(patched(data, central={10: b"\x08\0"})).verdict == "dangerous"


@pytest.mark.parametrize("field", [{"local": {18: bytes(8)}}, {"central": {20: bytes(8)}}])
def test_sizes_that_say_there_is_nothing_hide_nothing(field: dict[str, dict[int, bytes]]) -> None:
    data = patched(torch_file(EVIL), **field)

    assert scanned(data).verdict == "dangerous"
    assert "do not agree on its size" in said(data)


def test_two_members_of_one_name_are_both_scanned_and_told() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("model/data.pkl", EVIL)
            archive.writestr("model/data.pkl", GOOD)

    assert scanned(buffer.getvalue()).verdict == "dangerous"
    assert "2 members are called model/data.pkl" in said(buffer.getvalue())


@pytest.mark.parametrize("prefix", [b"#!/bin/sh\nexit\n", bytes(3_000)])
def test_bytes_before_the_archive_hide_nothing(prefix: bytes) -> None:
    assert scanned(prefix + torch_file(EVIL)).verdict == "dangerous"


def test_an_archive_behind_a_pickle_is_both() -> None:
    data = b"\x80\x02N." + torch_file(EVIL)

    assert scanned(data).verdict == "dangerous"
    assert "from its start" in said(b"\x80\x02N." + torch_file())


def test_two_archives_in_a_row_are_both_read() -> None:
    data = torch_file(EVIL) + torch_file(GOOD)

    assert scanned(data).verdict == "dangerous"


def test_a_second_directory_is_told() -> None:
    first, second = torch_file(GOOD), zipped({"model/data.pkl": EVIL})
    data = first[:-2] + struct.pack("<H", len(second)) + second

    assert scanned(data).verdict == "dangerous"
    assert "several directories" in said(data)


def test_an_archive_that_is_a_member_has_a_directory_of_its_own() -> None:
    found = scanned(zipped({"a.txt": b"hello", "weights.pt": torch_file()}), "model.zip")

    assert (found.kind, found.verdict, found.findings) == ("zip", "clean", ())


def test_a_member_that_the_directory_leaves_out_is_scanned_and_told() -> None:
    hidden = zipped({"hidden.pkl": EVIL})
    local = hidden[: hidden.index(b"PK\x01\x02")]
    archive = torch_file(GOOD)
    data = local + archive

    assert scanned(data).verdict == "dangerous"
    assert "hidden.pkl: is in the archive, but not in its directory" in said(data)


def test_a_directory_that_points_nowhere_is_told() -> None:
    data = patched(torch_file(GOOD), central={42: struct.pack("<I", 1_000_000)})

    assert scanned(data).verdict == "suspicious"
    assert "there is no member where the directory says" in said(data)


def test_a_method_that_is_not_looked_into_is_told() -> None:
    data = patched(torch_file(EVIL), local={8: b"\x63\0"}, central={10: b"\x63\0"})

    assert scanned(data).verdict == "not scanned"
    assert "method 99" in said(data)


def test_an_archive_of_large_files_is_read_by_its_64_bit_fields() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("model/data.pkl", "w", force_zip64=True) as member:
        member.write(EVIL)

    assert scanned(buffer.getvalue()).verdict == "dangerous"


def test_an_archive_in_an_archive_is_looked_into() -> None:
    inner = zipped({"a.bin": zipped({"model/data.pkl": EVIL}, deflate=True)}, deflate=True)

    found = scanned(inner)

    assert found.verdict == "dangerous"
    assert found.findings[0].where.startswith("a.bin!model/data.pkl, byte ")


def test_archives_in_archives_end_somewhere_and_are_told() -> None:
    data = EVIL
    for _ in range(6):
        data = zipped({"next.zip": data}, deflate=True)

    assert scanned(data).verdict == "not scanned"


def test_a_bomb_is_told_and_costs_what_it_may() -> None:
    bomb = b"\x80\x04B\xff\xff\xff\x7f" + bytes(64 << 20)
    data = zipped({"a.pkl": bomb, "model/data.pkl": EVIL}, deflate=True)
    assert len(data) < 100_000

    found = scanned(data, limits=Limits(nbytes=8 << 20))

    assert found.verdict == "not scanned"
    assert any("not scanned whole: more than 8388608 bytes" in finding.what for finding in found.findings)


def test_a_bomb_of_zeros_is_not_inflated_at_all() -> None:
    data = zipped({"zeros": bytes(64 << 20), "model/data.pkl": EVIL}, deflate=True)

    assert scanned(data, limits=Limits(nbytes=2 << 20)).verdict == "dangerous"


def test_very_many_members_are_told() -> None:
    data = zipped({f"member{number}": b"x" for number in range(500)})

    assert scanned(data, limits=Limits(members=100)).verdict == "not scanned"


@pytest.mark.parametrize(
    ("members", "kind", "what"),
    [
        ({"m/data.pkl": GOOD, "m/code/__torch__.py": b"def f(): ..."}, "torchscript", "TorchScript"),
        ({"m/data.pkl": GOOD, "m/helper.py": b"import os"}, "torch-zip", "Python code"),
        ({"m/data.pkl": GOOD, "m/kernel.so": b"\x7fELF"}, "torch-zip", "native code"),
    ],
)
def test_code_that_is_no_pickle_is_suspicious(members: dict[str, bytes], kind: str, what: str) -> None:
    found = scanned(zipped(members))

    assert (found.kind, found.verdict) == (kind, "suspicious")
    assert what in found.findings[0].what


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_archive_with_a_dangerous_pickle_at_its_start_is_never_clean(data: st.DataObject) -> None:
    good = torch_file(EVIL)
    body = range(30 + len("model/data.pkl"), 30 + len("model/data.pkl") + len(EVIL))
    place = data.draw(st.sampled_from([p for p in range(len(good)) if p not in body and good[p : p + 8] != bytes(8)]))
    changed = good[:place] + bytes([data.draw(st.integers(0, 255))]) + good[place + 1 :]

    assert scanned(changed, "model.pt", Limits(opcodes=5_000, nbytes=4 << 20)).verdict != "clean"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.binary(max_size=100))
def test_any_bytes_between_the_signatures_of_archives_get_a_verdict(middle: bytes, end: bytes) -> None:
    data = b"PK\x03\x04" + middle + b"PK\x01\x02" + middle + b"PK\x05\x06" + end

    assert scanned(data, "a.zip", Limits(opcodes=5_000, nbytes=4 << 20)).kind
