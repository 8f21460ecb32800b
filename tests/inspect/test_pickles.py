"""Raw pickles: what they would import is found, however they go about it."""

import pickle
import pickletools
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.inspect.pickles import SNIFF_BYTES, Limits, scan, sniff
from tests.inspect.hostile import SYSTEM, calling, reader, scanned, text

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class Thing:
    """A class that nobody listed as safe."""


class Runs:
    """An object that is pickled as the call of a function."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._call = (function, args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_are_clean_in_every_protocol(protocol: int) -> None:
    data = {
        "list": [1, 2.5, None, True, "text", b"bytes", 1 << 100],
        "tuple": (1, (2, 3), ()),
        "sets": (set("ab"), frozenset("cd")),
        "collections": [OrderedDict(a=1), Counter("aab"), defaultdict(list, a=[1])],
        "others": [complex(1, 2), range(3), slice(1, 2), datetime(2026, 1, 1, tzinfo=UTC), PurePosixPath("a/b")],
        "many": list(range(3000)),
        "long": "x" * 100_000,
    }

    found = scanned(pickle.dumps(data, protocol))

    assert (found.kind, found.verdict, found.findings) == ("pickle", "clean", ())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_of_eval_is_dangerous_in_every_protocol(protocol: int) -> None:
    found = scanned(pickle.dumps({"weights": [1, 2], "more": Runs(eval, "1 + 1")}, protocol))

    assert found.verdict == "dangerous"
    assert any(name.endswith(".eval") for name in found.imports)


def test_a_class_that_is_not_listed_is_suspicious_and_named() -> None:
    found = scanned(pickle.dumps(Thing()))

    assert found.verdict == "suspicious"
    assert found.imports == (f"{__name__}.Thing",)


def test_the_document_of_a_scan_says_where_and_what() -> None:
    document = scanned(SYSTEM).as_document()

    assert document["verdict"] == "dangerous"
    assert document["imports"] == ["os.system"]
    assert document["findings"][0]["level"] == "dangerous"
    assert document["findings"][0]["where"] == "byte 0"
    assert "os.system" in document["findings"][0]["what"]


WAYS_TO_SYSTEM = {
    "GLOBAL": b"cos\nsystem\n(S'true'\ntR.",
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "NEWOBJ": b"\x80\x02cos\nsystem\nU\x04true\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85}\x92.",
    "strings with escapes": b"\x80\x04S'\\x6f\\163'\nV\\u0073ystem\n\x93\x8c\x04true\x85R.",
    "long forms of strings": b"\x80\x04X\x02\0\0\0os\x8d\x06\0\0\0\0\0\0\0system\x93\x8c\x04true\x85R.",
    "strings of protocol 1": b"U\x02osT\x06\0\0\0system\x93U\x04true\x85R.",
    "module from the memo": b"\x80\x04\x8c\x02os\x94]\x94h\x00\x8c\x06system\x93\x8c\x04true\x85R.",
    "names put and got": b"\x80\x04\x8c\x06systemq\x050\x8c\x02osr\xff\0\0\x000j\xff\0\0\0h\x05\x93\x8c\x04true\x85R.",
    "memo as text": b"Vos\np7\n0g7\nVsystem\n\x93Vtrue\n\x85R.",
    "duplicated and dropped": b"\x80\x04\x8c\x02os2(\x8c\x01x1\x8c\x00000\x8c\x02os\x8c\x06system\x93.",
    "frames that lie": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "protocol in between": b"\x80\x02]\x80\x04\x95\0\0\0\0\0\0\0\0cos\nsystem\n\x8c\x04true\x85R.",
    "behind a long string": b"V" + b"x" * 300_000 + b"\n0" + SYSTEM,
    "behind many bytes": b"\x80\x04B\x40\x0d\x03\x00" + bytes(200_000) + b"0" + SYSTEM,
    "Python 2's name": b"c__builtin__\nexecfile\n(S'true'\ntR.",
    "Python 2's module": b"ccommands\ngetoutput\n(S'true'\ntR.",
    "an attribute's path": calling("collections", "_sys.modules"),
    "breaks after it ran": SYSTEM[:-1] + b"\xff\xff\xff",
    "ends after it ran": SYSTEM[:-1],
    "underflows after it ran": SYSTEM[:-1] + b"0000.",
    "second in a row": pickle.dumps([1, 2]) + SYSTEM,
    "third, of an older protocol": pickle.dumps(1) + pickle.dumps(2, 1) + pickle.dumps(Runs(eval, "1"), 0),
    "an import without the mark that it needs": b"\x80\x02ios\nsystem\n.",
    "a name that is no Unicode": b"\x80\x04X\x03\0\0\0\xed\xa0\x80" + b"0" + SYSTEM,
    "behind what may be text": b"K\x02.N." + SYSTEM,
    "behind something else": pickle.dumps([1, 2]) + bytes(5_000) + calling("os", "system"),
    "behind a broken one": b"\x80\x04ccollections\nOrderedDict\n\xff\xff" + calling("os", "system"),
}


@pytest.mark.parametrize("way", WAYS_TO_SYSTEM)
@pytest.mark.parametrize("name", ["model.pkl", "pytorch_model.bin", "notes.txt", "model.safetensors"])
def test_no_way_to_a_dangerous_import_stays_unseen(way: str, name: str) -> None:
    assert scanned(WAYS_TO_SYSTEM[way], name).verdict == "dangerous"


@pytest.mark.parametrize("way", WAYS_TO_SYSTEM)
def test_the_first_bytes_say_that_a_scan_is_needed(way: str) -> None:
    assert sniff(WAYS_TO_SYSTEM[way][:SNIFF_BYTES])


def test_a_name_that_is_computed_while_unpickling_is_dangerous() -> None:
    # str(b"os", "ascii"): none of the imports says so.
    computed = b"\x80\x04\x8c\x08builtins\x8c\x03str\x93C\x02os\x8c\x05ascii\x86R\x8c\x06system\x93\x8c\x04true\x85R."

    found = scanned(computed)

    assert found.verdict == "dangerous"
    assert "computed" in found.findings[0].what


@pytest.mark.parametrize(
    "data",
    [
        # CPython's unpickler loses `some` with the frame, and imports os.system; its readers of bytes import `someos`.
        b"\x80\x04\x95\x05\0\0\0\0\0\0\0csomeos\nsystem\n.",
        b"\x80\x04\x95\x05\0\0\0\0\0\0\0\x8c\x08collectios\x94.",
        b"\x80\x04\x95\x0c\0\0\0\0\0\0\0N\x95\xff\0\0\0\0\0\0\0" + b"N0" * 200 + b"N.",
    ],
)
def test_a_frame_that_cuts_an_opcode_in_two_is_dangerous(data: bytes) -> None:
    found = scanned(data)

    assert found.verdict == "dangerous"
    assert "frame" in found.findings[0].what


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x80\x02\x82\x05(tR.", "extension registry"),
        (b"\x80\x02\x84\x01\0\0\0.", "extension registry"),
        (b"\x80\x04ccollections\nOrderedDict\n}\x8c\x01aK\x01sb.", "itself"),
        (b"\x80\x04ccollections\nOrderedDict\n)RK\x01\x85R.", "did not import by name"),
        (b"\x80\x02Nr\xff\xff\xff\xff.", "make room"),
        (b"\x80\x04cargparse\nNamespace\n)RN}\x8c\x09__class__csome\nThing\ns\x86b.", "another class"),
    ],
)
def test_what_safe_names_could_be_turned_to_is_suspicious(data: bytes, said: str) -> None:
    found = scanned(data)

    assert found.verdict == "suspicious"
    assert any(said in finding.what for finding in found.findings)


def test_a_pickle_that_breaks_is_suspicious_even_if_it_only_imported_what_is_safe() -> None:
    found = scanned(pickle.dumps(OrderedDict(a=1), 2)[:-3], "model.pkl")

    assert found.verdict == "suspicious"
    assert "breaks off" in found.findings[0].what


def test_the_old_format_of_torch_is_five_pickles_and_then_numbers() -> None:
    head = b"".join(pickle.dumps(part, 2) for part in (LEGACY_MAGIC, 1001, {"little_endian": True}, {"w": 1}, ["0"]))
    # Numbers can look like anything, also like a pickle: torch does not unpickle them.
    found = scanned(head + calling("os", "system"), "pytorch_model.bin")

    assert (found.kind, found.verdict) == ("torch-legacy", "clean")


@pytest.mark.parametrize("place", range(5))
def test_each_pickle_of_the_old_format_of_torch_is_scanned(place: int) -> None:
    parts = [pickle.dumps(part, 2) for part in (LEGACY_MAGIC, 1001, {"little_endian": True}, {"w": 1}, ["0"])]
    parts[place] = parts[place][:-1] + b"0" + SYSTEM if place == 0 else SYSTEM

    assert scanned(b"".join(parts)).verdict == "dangerous"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("README.md", b"# A model\n\nIt is good.\n"),
        ("config.json", b'{"model_type": "llama"}'),
        ("modeling.py", b"import os\nos.system\n"),
        ("LICENSE", b"Permission is hereby granted\n"),
        ("vocab.txt", b"cat\ndog\nthe\n" * 400),
        ("index.txt", b"import\nos\n" * 100),
        ("model.safetensors", b"(\0\0\0\0\0\0\0{}" + bytes(600)),
        ("model.gguf", b"GGUF\x03\0\0\0" + bytes(600)),
        ("zeros.dat2", bytes(1000)),
        ("empty", b""),
    ],
)
def test_what_holds_no_pickle_is_clean(name: str, data: bytes) -> None:
    found = scanned(data, name)

    assert (found.kind, found.verdict) == ("none", "clean")
    # Nor does a name make one of it.
    assert scanned(data, "data.pkl").kind == "none"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("README.md", b"# A model\n\nIt is good.\n"),
        ("config.json", b'{"model_type": "llama"}'),
        ("modeling.py", b"import torch\n"),
        ("merges.txt", b"#version: 0.2\nth e\n"),
        ("model-00001-of-00002.safetensors", b"(\0\0\0\0\0\0\0{}" + bytes(600)),
        ("model.gguf", b"GGUF\x03\0\0\0" + bytes(600)),
        ("numbers", bytes(SNIFF_BYTES)),
        ("empty", b""),
    ],
)
def test_what_is_plainly_no_pickle_needs_no_scan(name: str, data: bytes) -> None:
    assert not sniff(data[:SNIFF_BYTES], name)


@pytest.mark.parametrize("name", ["a.pkl", "A.PT", "x/pytorch_model.bin", "m.joblib", "a.npy", "m.keras", "a.tar.gz"])
def test_some_names_are_enough_for_a_scan(name: str) -> None:
    assert sniff(bytes(SNIFF_BYTES), name)


def test_a_file_that_is_only_called_like_a_pickle_is_not_called_clean() -> None:
    found = scanned(bytes(range(0xF0, 0xFF)) * 10, "model.pkl")

    assert (found.kind, found.verdict) == ("none", "not scanned")


def test_too_many_opcodes_are_told_and_what_stood_before_is_kept() -> None:
    found = scanned(SYSTEM[:-1] + b"N0" * 10_000 + b".", limits=Limits(opcodes=1_000))

    assert found.verdict == "dangerous"
    assert any("not scanned whole" in finding.what for finding in found.findings)


def test_strings_of_escapes_count_as_work() -> None:
    data = b"".join(b"S'" + b"\\x41" * 250 + b"'\n0" for _ in range(100)) + b"N."

    assert scanned(data, "a.pkl").verdict == "clean"
    assert scanned(data, "a.pkl", Limits(opcodes=5_000)).verdict == "not scanned"


def test_a_harmless_pickle_of_too_many_opcodes_is_not_clean() -> None:
    assert scanned(b"N0" * 10_000 + b"N.", "a.pkl", Limits(opcodes=1_000)).verdict == "not scanned"


@pytest.mark.parametrize(
    "opcode", [b"B\xff\xff\xff\x7f", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f"]
)
def test_lengths_that_lie_cost_no_memory(opcode: bytes) -> None:
    asked: list[int] = []
    data = b"\x80\x04" + opcode + b"x"

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return data[offset : offset + length]

    found = scan(read, len(data), "model.pkl")

    assert found.verdict == "suspicious"
    assert max(asked) <= 1 << 17


def test_of_a_long_blob_only_what_is_around_it_is_read() -> None:
    head, blob, tail = b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little"), 1 << 40, b"0" + SYSTEM
    total: list[int] = []

    def read(offset: int, length: int) -> bytes:
        """A file of a tebibyte, of which the blob is zeros."""
        end = len(head) + blob
        data = head[offset : offset + length] if offset < len(head) else b""
        at = offset + len(data)
        zeros = bytes(max(min(length - len(data), end - at), 0))
        rest = (
            tail[max(at + len(zeros) - end, 0) :][: length - len(data) - len(zeros)] if at + len(zeros) >= end else b""
        )
        total.append(length)
        return data + zeros + rest

    found = scan(read, len(head) + blob + len(tail), "model.pkl")

    assert found.verdict == "dangerous"
    assert sum(total) < 1 << 20


def test_names_out_of_a_file_are_shown_as_plain_text() -> None:
    found = scanned(b"cevil\x1b[31m\nna\x00me\n.", "a.pkl")

    assert found.imports == ("evil\\x1b[31m.na\\x00me",)


def test_findings_do_not_grow_with_the_file() -> None:
    many = b"".join(b"cmodule%d\nname\n0" % number for number in range(20_000)) + b"N."
    found = scanned(many, "a.pkl")

    assert found.verdict == "suspicious"
    assert len(found.findings) <= 200
    assert len(found.imports) <= 1_000


def test_every_opcode_of_the_standard_library_is_known() -> None:
    """One that was not would end a walk, and hide what follows."""
    arguments = {
        "uint1": b"\0",
        "uint2": b"\0\0",
        "int4": bytes(4),
        "uint4": bytes(4),
        "uint8": bytes(8),
        "float8": bytes(8),
        "stringnl": b"'a'\n",
        "stringnl_noescape": b"a\n",
        "stringnl_noescape_pair": b"a\nb\n",
        "unicodestringnl": b"a\n",
        "decimalnl_short": b"1\n",
        "decimalnl_long": b"1L\n",
        "floatnl": b"1.5\n",
        **dict.fromkeys(("string1", "bytes1", "unicodestring1", "long1"), b"\x01a"),
        **dict.fromkeys(("string4", "bytes4", "unicodestring4", "long4"), b"\x01\0\0\0a"),
        **dict.fromkeys(("bytes8", "unicodestring8", "bytearray8"), b"\x01" + bytes(7) + b"a"),
    }
    for opcode in pickletools.opcodes:
        if opcode.name in {"STOP", "PROTO"}:
            continue
        argument = arguments[opcode.arg.name] if opcode.arg else b""
        # A rich stack for whatever the opcode takes, and memo entries 0 and 1.
        before = b"\x80\x05(" + text("a") + b"\x94\x94(}" + text("a") + text("b")
        found = scanned(before + opcode.code.encode("latin-1") + argument + SYSTEM, "a.pkl")
        assert "os.system" in found.imports, opcode.name


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    found = scanned(data, "model.pkl", Limits(opcodes=2_000, nbytes=1 << 20))

    assert found.verdict in {"clean", "not scanned", "suspicious", "dangerous"}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_change_of_one_byte_before_it_hides_what_pickle_itself_would_run(data: st.DataObject) -> None:
    """Whatever `pickletools` still finds as an import of os.system, the scan finds too."""
    good = pickle.dumps({"a": [1, 2.5, "x", (1, 2)], "b": {"c": b"d"}}, 2)[:-1] + b"0" + SYSTEM
    place = data.draw(st.integers(0, len(good) - 1))
    changed = good[:place] + bytes([data.draw(st.integers(0, 255))]) + good[place + 1 :]

    seen = False
    with suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own decoding of strings warns of odd escapes
        for opcode, argument, _ in pickletools.genops(changed):
            seen = seen or (opcode.name == "GLOBAL" and argument == "os system")
    found = scan(reader(changed), len(changed), "a.pkl")

    assert found.verdict != "clean" or not seen
