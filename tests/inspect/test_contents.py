"""What stands around pickles: arrays, tar archives, compressed files, Keras models, and what cannot be looked into."""

import bz2
import gzip
import io
import json
import lzma
import os
import struct
import tarfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.inspect.pickles import SNIFF_BYTES, Limits, sniff
from tests.inspect.hostile import SYSTEM, calling, scanned, text, zipped

EVIL = calling("os", "system")
GOOD = b"\x80\x04\x8c\x01a\x94."


def npy(descr: str, data: bytes, version: int = 1) -> bytes:
    """A `.npy` file."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3,), }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def tarred(members: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive, as the standard library writes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_arrays_of_numbers_are_clean_and_arrays_of_objects_are_pickles(version: int) -> None:
    assert scanned(npy("'<f8'", os.urandom(24), version), "a.npy").kind == "npy"
    assert scanned(npy("'<f8'", bytes(24), version), "a.npy").verdict == "clean"
    assert scanned(npy("'|O'", GOOD, version), "a.npy").verdict == "clean"
    assert scanned(npy("'|O'", EVIL, version), "a.npy").verdict == "dangerous"
    assert scanned(npy(r"'|\x4f'", SYSTEM, version), "a.npy").verdict == "dangerous"


def test_a_file_called_npy_that_is_a_pickle_is_loaded_as_one() -> None:
    assert scanned(SYSTEM, "a.npy").verdict == "dangerous"


@pytest.mark.parametrize("deflate", [False, True])
def test_archives_of_arrays_are_looked_into(deflate: bool) -> None:
    data = zipped({"a.npy": npy("'<f8'", bytes(24)), "b.npy": npy("'|O'", EVIL)}, deflate=deflate)

    found = scanned(data, "a.npz")

    assert (found.kind, found.verdict) == ("npz", "dangerous")


# joblib


def small(number: int) -> bytes:
    return b"K" + bytes([number])


def dtype(spelled: str, state: bytes | None = None) -> bytes:
    """Opcodes for a dtype, as NumPy pickles it."""
    made = b"cnumpy\ndtype\n" + text(spelled) + b"\x89\x88\x87R"
    return (
        made
        + (
            b"(" + small(3) + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + small(0) + b"t"
            if state is None
            else state
        )
        + b"b"
    )


def wrapper(kind: bytes, count: int, *, made: bytes | None = None, more: bytes = b"") -> bytes:
    """Opcodes of joblib's wrapper, behind which the array's bytes stand."""
    made = made or b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"
    state = text("subclass") + b"cnumpy\nndarray\n" + text("shape") + small(count) + b"\x85"
    state += text("order") + text("C") + text("dtype") + kind
    return made + b"}(" + state + more + text("allow_mmap") + b"\x88ub"


def test_arrays_of_joblib_are_stepped_over() -> None:
    # The numbers look like a pickle that ends at once.
    array = b"N.......N......."
    found = scanned(b"\x80\x04]" + wrapper(dtype("f8"), 2) + array + b"a" + text("more") + b"a.", "a.joblib")

    assert (found.kind, found.verdict, found.findings) == ("joblib", "clean", ())


def test_what_follows_an_array_of_joblib_is_scanned() -> None:
    data = b"\x80\x04]" + wrapper(dtype("f8"), 2) + b"N......." * 2 + b"a0" + SYSTEM

    assert scanned(data, "a.joblib").verdict == "dangerous"


def test_padding_before_an_array_of_joblib_is_stepped_over() -> None:
    aligned = wrapper(dtype("f8"), 1, more=text("numpy_array_alignment_bytes") + small(16))
    data = b"\x80\x04]" + aligned + b"\x05....." + b"N......." + b"a0" + SYSTEM

    assert scanned(data, "a.joblib").verdict == "dangerous"


def test_an_array_of_objects_of_joblib_is_a_pickle_of_its_own() -> None:
    objects = b"(" + small(3) + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + small(63) + b"t"
    head = b"\x80\x04]" + wrapper(dtype("O8", objects), 2)

    assert scanned(head + GOOD + b"a.", "a.joblib").verdict == "clean"
    assert scanned(head + EVIL + b"a.", "a.joblib").verdict == "dangerous"
    assert scanned(head + GOOD + b"a0" + SYSTEM, "a.joblib").verdict == "dangerous"


def test_the_size_of_texts_is_what_the_state_of_their_type_says() -> None:
    state = b"(" + small(3) + text("|") + b"NNN" + small(200) + small(1) + small(0) + b"t"
    data = b"\x80\x04]" + wrapper(dtype("S1", state), 1) + b"N......." * 25 + b"a0" + SYSTEM

    assert scanned(data, "a.joblib").verdict == "dangerous"


def test_arrays_of_joblib_stand_behind_their_frame() -> None:
    def framed(opcodes: bytes) -> bytes:
        return b"\x95" + struct.pack("<Q", len(opcodes)) + opcodes

    head, array = wrapper(dtype("f8"), 2), b"N......." * 2

    assert scanned(b"\x80\x04" + framed(b"]" + head) + array + b"a.", "a.joblib").verdict == "clean"
    # joblib would read what follows the frame as the array, and the array here as opcodes.
    assert scanned(b"\x80\x04" + framed(b"]" + head + array + b"a.") + SYSTEM, "a.joblib").verdict == "dangerous"


LIES = {
    "numbers that have objects": wrapper(
        dtype("f8", b"(" + small(3) + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + small(1) + b"t"), 1
    ),
    "a record": wrapper(dtype("V8"), 1),
    "a shape given twice, once computed": wrapper(
        dtype("f8"), 1, more=b"cbuiltins\nstr\nC\x05shape" + text("ascii") + b"\x86R" + small(99) + b"\x85"
    ),
    "a wrapper made in another way": wrapper(
        dtype("f8"),
        99,
        made=b"ccopyreg\n_reconstructor\n(cjoblib.numpy_pickle\nNumpyArrayWrapper\ncbuiltins\nobject\nNtR",
    ),
    "too many keys": wrapper(dtype("f8"), 1, more=b"".join(text(f"k{n}") + b"N" for n in range(70))),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_array_of_joblib_whose_size_is_a_riddle_is_never_clean(lie: str) -> None:
    data = b"\x80\x04]" + LIES[lie] + b"N......." * 40 + b"."

    assert scanned(data, "a.joblib").verdict != "clean"


# Archives


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_archives_are_looked_into(form: int) -> None:
    long = "a/" * 40 + "b" * 60
    found = scanned(tarred({"readme.txt": b"hello", long: EVIL}, form), "model.nemo")

    assert (found.kind, found.verdict) == ("tar", "dangerous")
    assert found.findings[0].where.startswith(f"{long}, byte ")


def test_an_archive_of_torch_in_a_tar_archive_is_looked_into() -> None:
    found = scanned(tarred({"config.yaml": b"a: 1\n", "weights.ckpt": zipped({"m/data.pkl": EVIL})}), "model.nemo")

    assert found.verdict == "dangerous"
    assert found.findings[0].where.startswith("weights.ckpt!m/data.pkl, byte ")


def test_a_size_in_a_pax_header_goes_before_the_plain_one() -> None:
    records = b"12 size=100\n"
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = tarfile.XHDTYPE, len(records)
    first = tarfile.TarInfo("first")
    first.size = 5_000
    second = tarfile.TarInfo("second.pkl")
    second.size = len(EVIL)
    blocks = [pax.tobuf(), records, first.tobuf(), b"x" * 100, second.tobuf(), EVIL]
    data = b"".join(block + bytes(-len(block) % 512) for block in blocks) + bytes(1024)

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["first", "second.pkl"]
    assert scanned(data, "a.tar").verdict == "dangerous"


def test_names_that_lead_out_of_an_archive_are_told() -> None:
    found = scanned(tarred({"../../etc/cron.d/x": b"hello"}), "a.tar")

    assert found.verdict == "suspicious"
    assert "leads out" in found.findings[0].what


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("form", COMPRESSIONS)
def test_compressed_files_are_looked_into(form: str) -> None:
    compress = COMPRESSIONS[form]

    for inner in (EVIL, SYSTEM, tarred({"a.bin": EVIL}), zipped({"m/data.pkl": EVIL}), bytes(100_000) + EVIL):
        data = compress(inner)
        assert sniff(data[:SNIFF_BYTES])
        assert scanned(data, "a.joblib").verdict != "clean"
    assert scanned(compress(EVIL)).verdict == "dangerous"
    assert scanned(compress(tarred({"a.bin": EVIL}))).verdict == "dangerous"
    assert scanned(compress(zipped({"m/data.pkl": EVIL}))).verdict == "dangerous"
    assert scanned(compress(GOOD)).verdict == "clean"


@pytest.mark.parametrize("form", COMPRESSIONS)
def test_compressed_texts_are_nothing_to_load(form: str) -> None:
    found = scanned(COMPRESSIONS[form](b"hello " * 1000), "corpus.txt")

    assert (found.kind, found.verdict) == ("none", "clean")


def test_an_archive_of_arrays_is_no_pickle_although_its_first_bytes_are_an_opcode() -> None:
    found = scanned(zipped({"a.npy": npy("'|O'", GOOD)}), "a.npz")

    assert (found.kind, found.verdict, found.findings) == ("npz", "clean", ())


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
def test_a_compressed_file_goes_on_in_its_next_stream(form: str) -> None:
    compress = COMPRESSIONS[form]

    assert scanned(compress(EVIL[:5]) + compress(EVIL[5:])).verdict == "dangerous"


@pytest.mark.parametrize("form", COMPRESSIONS)
def test_a_compressed_bomb_is_told_and_costs_what_it_may(form: str) -> None:
    bomb = COMPRESSIONS[form](b"\x80\x04B\xff\xff\xff\x7f" + bytes(32 << 20))

    found = scanned(bomb, "a.joblib", Limits(nbytes=4 << 20))

    assert found.verdict == "not scanned"
    assert "not scanned whole" in found.findings[0].what


def test_an_archive_too_large_for_memory_inside_a_compressed_one_is_told() -> None:
    data = gzip.compress(zipped({"m/data.pkl": EVIL, "m/data/0": bytes(4 << 20)}))

    assert scanned(data, "a.gz", Limits(buffered=1 << 20)).verdict == "not scanned"


@pytest.mark.parametrize(
    "magic", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x01", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"]
)
def test_what_cannot_be_looked_into_is_told(magic: bytes) -> None:
    data = magic + os.urandom(600)

    assert sniff(data[:SNIFF_BYTES])
    assert scanned(data, "model.bin").verdict == "not scanned"
    assert scanned(zipped({"data.pkl": data})).verdict == "not scanned"


# Keras


def keras_file(config: object) -> bytes:
    return zipped({"metadata.json": b"{}", "config.json": json.dumps(config).encode(), "model.weights.h5": b""})


DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": None}


@pytest.mark.parametrize(
    ("layer", "verdict"),
    [
        (DENSE, "clean"),
        ({"module": "keras.layers", "class_name": "Lambda", "config": {"function": ["4wA"]}}, "suspicious"),
        ({"module": "mine.layers", "class_name": "Special", "config": {}}, "suspicious"),
        ({"module": "subprocess", "class_name": "run", "config": {}}, "dangerous"),
    ],
)
def test_layers_of_keras_that_bring_code_are_told(layer: dict[str, object], verdict: str) -> None:
    found = scanned(keras_file({"class_name": "Functional", "config": {"layers": [DENSE, layer]}}), "m.keras")

    assert (found.kind, found.verdict) == ("keras", verdict)


def test_a_config_of_keras_that_is_nested_without_end_is_told() -> None:
    deep = zipped({"metadata.json": b"{}", "config.json": b"[" * 200_000})

    assert scanned(deep, "m.keras").verdict == "suspicious"


@pytest.mark.parametrize(("class_name", "verdict"), [("Dense", "clean"), ("Lambda", "suspicious")])
def test_lambda_layers_in_hdf5_are_told(class_name: str, verdict: str) -> None:
    config = json.dumps({"layers": [{"class_name": class_name}]}).encode()
    found = scanned(b"\x89HDF\r\n\x1a\n" + bytes(2_000) + config + bytes(100), "m.h5")

    assert (found.kind, found.verdict) == ("hdf5", verdict)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [tarred({"a": EVIL}), npy("'|O'", EVIL), gzip.compress(EVIL), lzma.compress(EVIL), zlib.compress(EVIL)]
    ),
    st.integers(0, 700),
    st.binary(min_size=1, max_size=8),
)
def test_changed_archives_get_a_verdict(data: bytes, place: int, change: bytes) -> None:
    changed = data[:place] + change + data[place + len(change) :]

    assert scanned(changed, "a.bin", Limits(opcodes=5_000, nbytes=4 << 20)).kind
