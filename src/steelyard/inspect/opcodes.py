"""A pickle machine that runs nothing: it follows the stack and the memo far enough to know every name imported.

Opcodes: `pickletools` in the standard library describes each. That module is not used to read them, because it takes
arguments of any length into memory, and stops at what a real unpickler goes on from. Here values are kept only where
they can become part of an import or of the size of an array; of all others, the kind is kept.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from steelyard.inspect.findings import Level, LimitReached, Report, shown
from steelyard.inspect.imports import classify
from steelyard.inspect.streams import Stream

_MAX_TEXT = 1_024
_MAX_TEXT_KEPT = 16 << 20
_MAX_ITEMS = 64
_MAX_EVENTS = 1_000
_MAX_MEMO = 1 << 24


class _Kind:
    """Any value of a kind, where the value itself does not matter."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


OTHER: Final = _Kind("a value that cannot be a string")
UNCLEAR: Final = ""
"""A key of a small dict that has more keys than are kept, or keys that are computed."""
COMPUTED: Final = _Kind("a value that only running the pickle would tell")


@dataclass(slots=True, eq=False)
class Imported:
    """What an import gives."""

    module: str
    name: str


@dataclass(slots=True, eq=False)
class Made:
    """What calling an import gives; `state` is what BUILD gave it."""

    callee: Imported | None
    args: Any
    state: Any = None


Value = Any
"""None, str, int, tuple and dict (both small), Imported, Made, OTHER or COMPUTED."""


class Broken(Exception):
    """An unpickler would stop here with an error."""


@dataclass(slots=True, eq=False)
class Walk:
    """How far a pickle goes, and what it does on its way: what stands before a break has already happened.

    `events` are findings, each with the byte where it is; `top` is the value that the pickle makes.
    """

    ended: Literal["stop", "broken", "cut", "limit"] = "broken"
    opcodes: int = 0
    start: int = 0
    end: int = 0
    framed: bool = False
    """Whether it starts by naming its protocol, which nothing but a pickle does."""
    calls: int = 0
    imports: dict[str, None] = field(default_factory=dict)
    events: dict[tuple[Level, int, str], None] = field(default_factory=dict)
    top: Value = None
    limit: LimitReached | None = None
    """What was spent, where that is why it ended."""

    @property
    def dangerous(self) -> bool:
        return any(level == "dangerous" for level, _, _ in self.events)


def walk(stream: Stream, report: Report, after_build: Callable[[Made], Value] | None = None) -> Walk:
    """Follows one pickle from the stream's position to its STOP, or to where it breaks.

    `after_build` is given each object that gets a state, and may read on in the stream, as joblib does.
    """
    machine = _Machine(stream, report, after_build)
    machine.run()
    return machine.walk


class _Machine:
    def __init__(self, stream: Stream, report: Report, after_build: Callable[[Made], Value] | None) -> None:
        self.walk = Walk(start=stream.position, end=stream.position)
        self._stream = stream
        self._report = report
        self._after_build = after_build
        self._stack: list[Value] = []
        self._below: list[list[Value]] = []
        self._memo: dict[int, Value] = {}
        self._text_kept = 0
        self._at = stream.position
        self._frame_end = 0

    def run(self) -> None:
        stream, walk, spend, handlers = self._stream, self.walk, self._report.spend_opcodes, _HANDLERS
        walk.framed = stream.peek(2) in _PROTOCOLS
        try:
            while True:
                self._at = stream.position
                opcode = stream.take(1)
                if not opcode:
                    walk.ended = "cut"
                    break
                if opcode == b".":
                    walk.top = self._pop()
                    walk.ended = "stop"
                    walk.opcodes += 1
                    break
                handler = handlers.get(opcode)
                if handler is None:
                    break
                spend()
                handler(self)
                walk.opcodes += 1
                if self._at < self._frame_end < stream.position:
                    self._cut_frame()
        except Broken:
            pass
        except _Cut:
            walk.ended = "cut"
        except LimitReached as limit:
            walk.ended, walk.limit = "limit", limit
        finally:
            walk.end = stream.position

    # Reading arguments

    def _number(self, length: int, signed: bool = False) -> int:
        data = self._stream.take(length)
        if len(data) < length:
            raise _Cut
        return int.from_bytes(data, "little", signed=signed)

    def _line(self) -> str:
        line = self._stream.line(_MAX_TEXT + 1)
        if line is None:
            raise _Cut
        return line.decode("latin-1")

    def _integer(self, text: str) -> int:
        for base in (10, 0):
            try:
                return int(text, base)
            except ValueError:
                continue
        raise Broken

    def _blob(self, length: int) -> bytes | None:
        """The next `length` bytes; None if they are too many to be of interest, and skipped."""
        if length > _MAX_TEXT:
            if not self._stream.skip(length):
                raise _Cut
            return None
        data = self._stream.take(length)
        if len(data) < length:
            raise _Cut
        return data

    # Stack and memo

    def _pop(self) -> Value:
        if not self._stack:
            raise Broken
        return self._stack.pop()

    def _top(self) -> Value:
        if not self._stack:
            raise Broken
        return self._stack[-1]

    def _pop_mark(self) -> list[Value]:
        if not self._below:
            raise Broken
        items, self._stack = self._stack, self._below.pop()
        return items

    def _push(self, value: Value) -> None:
        self._stack.append(value)

    def _push_text(self, text: str) -> None:
        self._text_kept += len(text)
        too_much = len(text) > _MAX_TEXT or self._text_kept > _MAX_TEXT_KEPT
        self._push(COMPUTED if too_much else text)

    def _push_tuple(self, items: list[Value]) -> None:
        self._push(tuple(map(_flat, items)) if len(items) <= _MAX_ITEMS else OTHER)

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise Broken
        self._push(self._memo[index])

    def _remember(self, index: int) -> None:
        if index < 0:
            raise Broken
        if index > _MAX_MEMO:
            self._event("suspicious", f"has an unpickler make room for {index} values that it does not hold")
        self._memo[index] = self._top()

    def enter_frame(self, length: int) -> None:
        """FRAME: the next `length` bytes are whole opcodes, which unpicklers read in one piece."""
        if self._stream.position < self._frame_end < self._stream.position + length:
            self._cut_frame()
        self._frame_end = max(self._frame_end, self._stream.position + length)

    def _cut_frame(self) -> None:
        # CPython drops the rest of a frame that ends within an argument, and reads the argument from behind it: what
        # the pickle then imports stands in other bytes than those that other readers take.
        self._event(
            "dangerous", "has a frame that ends within an opcode, so that unpicklers disagree on what it imports"
        )

    # What matters

    def _event(self, level: Level, what: str) -> None:
        if len(self.walk.events) < _MAX_EVENTS or level == "dangerous":
            self.walk.events[level, self._at, what] = None

    def _import(self, module: Value, name: Value) -> Imported:
        if not isinstance(module, str) or not isinstance(name, str):
            if not all(value is COMPUTED or isinstance(value, str | Made) for value in (module, name)):
                raise Broken
            self._event("dangerous", "imports something of which the name is computed while unpickling")
            return Imported("", "")
        full = shown(f"{module}.{name}")
        safety = classify(module, name)
        if len(self.walk.imports) < _MAX_EVENTS:
            self.walk.imports[full] = None
        if safety == "dangerous":
            self._event("dangerous", f"imports {full}, which can run code, load more of it, or reach files or networks")
        elif safety == "unknown":
            self._event("suspicious", f"imports {full}, which is not known to be safe")
        return Imported(module[:_MAX_TEXT], name[:_MAX_TEXT])

    def _call(self, callee: Value, args: Value) -> Made:
        self.walk.calls += 1
        if not isinstance(callee, Imported):
            self._event("suspicious", "calls something that it did not import by name")
            return Made(None, ())
        return Made(callee, args if isinstance(args, tuple) else ())

    def _build(self) -> None:
        state = self._pop()
        target = self._top()
        if isinstance(target, Imported):
            name = shown(f"{target.module}.{target.name}")
            self._event("suspicious", f"writes attributes into {name} itself, not into an object of its own")
        if isinstance(target, Made):
            target.state = _flat(state)
            if self._after_build is not None:
                self._stack[-1] = self._after_build(target)


class _Cut(Exception):
    """The bytes end before the pickle does."""


def _flat(value: Value) -> Value:
    """The value, without what is nested deeper than an array's type is: so no pickle can build a deep tree here."""
    if isinstance(value, tuple):
        return tuple(OTHER if isinstance(item, tuple | dict) else item for item in value)
    return value


Handler = Callable[[_Machine], None]


def _constant(value: Value) -> Handler:
    return lambda m: m._push(value)


def _skipped(length: int, value: Value = OTHER) -> Handler:
    def handle(m: _Machine) -> None:
        m._number(length)
        m._push(value)

    return handle


def _fixed(length: int, signed: bool = False) -> Handler:
    return lambda m: m._push(m._number(length, signed))


def _text(length: int, encoding: str) -> Handler:
    def handle(m: _Machine) -> None:
        data = m._blob(m._number(length))
        if data is None:
            m._push(COMPUTED)
            return
        try:
            m._push_text(data.decode(encoding, "surrogatepass"))
        except UnicodeDecodeError:
            raise Broken from None

    return handle


def _bytes(length: int) -> Handler:
    def handle(m: _Machine) -> None:
        m._blob(m._number(length))
        m._push(OTHER)

    return handle


def _long(length: int) -> Handler:
    def handle(m: _Machine) -> None:
        data = m._blob(m._number(length))
        m._push(OTHER if data is None or len(data) > 16 else int.from_bytes(data, "little", signed=True))

    return handle


def _int_line(m: _Machine) -> None:
    line = m._line()
    m._push(m._integer(line[:_MAX_TEXT]) if line not in {"00", "01"} else OTHER)


def _long_line(m: _Machine) -> None:
    line = m._line()
    m._push(m._integer(line.removesuffix("L")) if len(line) < 64 else OTHER)


def _float_line(m: _Machine) -> None:
    line = m._line()
    try:
        float(line)
    except ValueError:
        raise Broken from None
    m._push(OTHER)


def _string_line(m: _Machine) -> None:
    line = m._line().strip()
    if len(line) > _MAX_TEXT:
        m._push(COMPUTED)
        return
    if len(line) < 2 or line[0] != line[-1] or line[0] not in "'\"":
        raise Broken
    m._report.spend_opcodes(line.count("\\"))
    m._push_text(_ESCAPE.sub(_unescaped, line[1:-1]))


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x":
        return chr(int(code[1:], 16))
    return chr(int(code, 8) & 0xFF) if code[0] in "01234567" else _ESCAPES[code]


def _unicode_line(m: _Machine) -> None:
    line = m._line()
    try:
        m._push_text(line.encode("latin-1").decode("raw-unicode-escape"))
    except UnicodeDecodeError:
        raise Broken from None


def _persistent_line(m: _Machine) -> None:
    m._line()
    m._push(COMPUTED)


def _persistent(m: _Machine) -> None:
    m._pop()
    m._push(COMPUTED)


def _utf8(line: str) -> str:
    return line.encode("latin-1").decode("utf-8", "surrogateescape")


def _global(m: _Machine) -> None:
    module, name = _utf8(m._line()), _utf8(m._line())
    m._push(m._import(module, name))


def _stack_global(m: _Machine) -> None:
    name, module = m._pop(), m._pop()
    m._push(m._import(module, name))


def _inst(m: _Machine) -> None:
    module, name = _utf8(m._line()), _utf8(m._line())
    # The import comes first: it has happened, even if there is no mark then.
    callee = m._import(module, name)
    m._push(m._call(callee, _args(m._pop_mark())))


def _obj(m: _Machine) -> None:
    items = m._pop_mark()
    if not items:
        raise Broken
    m._push(m._call(items[0], _args(items[1:])))


def _reduce(m: _Machine) -> None:
    args = m._pop()
    m._push(m._call(m._pop(), args))


def _newobj_ex(m: _Machine) -> None:
    m._pop()
    _reduce(m)


def _args(items: list[Value]) -> Value:
    return tuple(map(_flat, items)) if len(items) <= _MAX_ITEMS else OTHER


def _extension(length: int) -> Handler:
    def handle(m: _Machine) -> None:
        code = m._number(length)
        m._event("suspicious", f"imports entry {code} of the extension registry, which only the loading process knows")
        m._push(COMPUTED)

    return handle


def _mark(m: _Machine) -> None:
    m._below.append(m._stack)
    m._stack = []


def _drop(m: _Machine) -> None:
    if m._stack:
        m._stack.pop()
    else:
        m._pop_mark()


def _pop_mark(m: _Machine) -> None:
    m._pop_mark()


def _tuple_of(count: int) -> Handler:
    def handle(m: _Machine) -> None:
        items = [m._pop() for _ in range(count)]
        m._push_tuple(items[::-1])

    return handle


def _collect(value: Value) -> Handler:
    """LIST and FROZENSET: what stands above the mark becomes one value."""

    def handle(m: _Machine) -> None:
        m._pop_mark()
        m._push(value)

    return handle


def _dict(m: _Machine) -> None:
    items = m._pop_mark()
    made: dict[str, Value] = {}
    _set_items(m, made, items)
    m._push(made)


def _set_items(m: _Machine, target: Value, items: list[Value]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=False):
        computed = key is COMPUTED or isinstance(key, Made)
        if key == "__class__" or (computed and isinstance(value, Imported)):
            m._event("suspicious", "gives an object another class than the one that made it")
        if not isinstance(target, dict):
            continue
        if computed or (isinstance(key, str) and key not in target and len(target) >= _MAX_ITEMS):
            target[UNCLEAR] = OTHER
        elif isinstance(key, str):
            target[key] = OTHER if isinstance(value, dict) else _flat(value)


def _setitem(m: _Machine) -> None:
    value, key = m._pop(), m._pop()
    _set_items(m, m._top(), [key, value])


def _setitems(m: _Machine) -> None:
    items = m._pop_mark()
    _set_items(m, m._top(), items)


def _append(m: _Machine) -> None:
    m._pop()
    m._top()


def _appends(m: _Machine) -> None:
    m._pop_mark()
    m._top()


def _protocol(m: _Machine) -> None:
    if m._number(1) > 5:
        raise Broken


def _frame(m: _Machine) -> None:
    m.enter_frame(m._number(8))


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|[\\'\"abfnrtv])")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_PROTOCOLS = frozenset(bytes((0x80, number)) for number in range(6))

_HANDLERS: Mapping[bytes, Handler] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b"N": _constant(None),
    b"\x88": _constant(OTHER),
    b"\x89": _constant(OTHER),
    b")": _constant(()),
    b"]": _constant(OTHER),
    b"\x8f": _constant(OTHER),
    b"}": lambda m: m._push({}),
    b"J": _fixed(4, signed=True),
    b"K": _fixed(1),
    b"M": _fixed(2),
    b"G": _skipped(8),
    b"I": _int_line,
    b"L": _long_line,
    b"F": _float_line,
    b"\x8a": _long(1),
    b"\x8b": _long(4),
    b"S": _string_line,
    b"V": _unicode_line,
    b"T": _text(4, "latin-1"),
    b"U": _text(1, "latin-1"),
    b"X": _text(4, "utf-8"),
    b"\x8c": _text(1, "utf-8"),
    b"\x8d": _text(8, "utf-8"),
    b"B": _bytes(4),
    b"C": _bytes(1),
    b"\x8e": _bytes(8),
    b"\x96": _bytes(8),
    b"\x97": _constant(OTHER),
    b"\x98": lambda m: None,
    b"P": _persistent_line,
    b"Q": _persistent,
    b"c": _global,
    b"\x93": _stack_global,
    b"i": _inst,
    b"o": _obj,
    b"R": _reduce,
    b"\x81": _reduce,
    b"\x92": _newobj_ex,
    b"b": _Machine._build,
    b"\x82": _extension(1),
    b"\x83": _extension(2),
    b"\x84": _extension(4),
    b"(": _mark,
    b"0": _drop,
    b"1": _pop_mark,
    b"2": lambda m: m._push(m._top()),
    b"t": lambda m: m._push_tuple(m._pop_mark()),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"l": _collect(OTHER),
    b"\x91": _collect(OTHER),
    b"d": _dict,
    b"s": _setitem,
    b"u": _setitems,
    b"a": _append,
    b"e": _appends,
    b"\x90": _appends,
    b"g": lambda m: m._recall(m._integer(m._line())),
    b"h": lambda m: m._recall(m._number(1)),
    b"j": lambda m: m._recall(m._number(4)),
    b"p": lambda m: m._remember(m._integer(m._line())),
    b"q": lambda m: m._remember(m._number(1)),
    b"r": lambda m: m._remember(m._number(4)),
    b"\x94": lambda m: m._remember(len(m._memo)),
}
