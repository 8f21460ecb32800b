"""The walk agrees with the standard library's own unpickler on every name that it asks for.

The unpickler here answers each of them with a class that does nothing, so nothing is imported or called.
"""

import io
import pickle
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from steelyard.inspect.findings import Limits, Report, shown
from steelyard.inspect.opcodes import walk
from steelyard.inspect.streams import Stream
from tests.inspect.hostile import reader

OPCODES = [
    *(bytes([code]) for code in b"N(012)]}\x88\x89\x8fQobRtldsuae\x81\x85\x86\x87\x90\x91\x92\x93\x94"),
    *(b"K\x01", b"M\x02\0", b"J\xff\xff\xff\xff", b"G" + bytes(8), b"\x8a\x01\x05", b"\x8b\x02\0\0\0\xff\xff"),
    *(b"I1\n", b"I01\n", b"I0x1f\n", b"I1_0\n", b"Ix\n", b"L5L\n", b"L\n", b"F1.5\n", b"Fx\n"),
    *(b"S'os'\n", b'S"a.b" \n', b"S'\\x6f\\163'\n", b"S'\\\\os'\n", b"Sos\n", b"Vos\n", b"V\\u006fs\n", b"V\\\\os\n"),
    *(b"U\x02os", b"T\x01\0\0\0a", b"X\x02\0\0\0\xc3\xa9", b"\x8c\x06system", b"\x8d\x01" + bytes(7) + b"b"),
    *(b"X\x03\0\0\0\xed\xa0\x80", b"X\x01\0\0\0\xff", b"C\x02os", b"B\x02\0\0\0os", b"\x8e\x01" + bytes(7) + b"b"),
    *(b"\x96\x01" + bytes(7) + b"b", b"Pos\n", b"\x80\x02", b"\x80\x04", b"\x97"),
    *(b"cos\nsystem\n", b"ca\nb.c\n", b"c\xc3\xa9\nx\n", b"ios\nsystem\n", b"ia\nb\n"),
    *(
        b"g0\n",
        b"g1\n",
        b"h\0",
        b"h\x02",
        b"j\x01\0\0\0",
        b"p0\n",
        b"p 1\n",
        b"p1_0\n",
        b"q\0",
        b"q\x02",
        b"r\x01\0\0\0",
    ),
]


class Nothing:
    """What every import gives: it takes whatever a pickle does to it."""

    def __new__(cls, *_: Any, **__: Any) -> "Nothing":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def take(self, *_: Any) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = add = take


class Asking(pickle._Unpickler):
    """Notes what it is asked to import, and imports nothing."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.asked: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        self.asked.append(shown(f"{module}.{name}"))
        return Nothing

    def persistent_load(self, pid: Any) -> Any:
        return Nothing()


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(OPCODES), max_size=40).map(b"".join))
@example(b"\x80\x04\x8c\x06systemia\nb\n")
@example(b"X\x03\0\0\0\xed\xa0\x80\x8c\x06system\x93")
def test_no_name_that_an_unpickler_asks_for_is_missed(opcodes: bytes) -> None:
    data = opcodes + b"."
    asking = Asking(data)
    with suppress(Exception):  # most of these pickles are broken, in every way there is
        asking.load()

    found = walk(Stream(reader(data), len(data), Report(Limits())), Report(Limits()))

    computed = any("computed" in what for _, _, what in found.events)
    assert computed or set(asking.asked) <= set(found.imports)
