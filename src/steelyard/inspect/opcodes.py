"""Follows a pickle opcode by opcode, without running anything, to every name that it would import.

Opcodes: `pickletools` in the standard library describes each. That module is not used to read them, because it takes
arguments of any length into memory, and stops at what a real unpickler goes on from.
"""

import re
from collections.abc import Callable, Mapping

from steelyard.inspect.findings import Report
from steelyard.inspect.machine import (
    COMPUTED,
    MAX_ITEMS,
    MAX_TEXT,
    OTHER,
    UNCLEAR,
    Broken,
    Imported,
    Machine,
    Made,
    Value,
    Walk,
    flat,
)
from steelyard.inspect.streams import Stream


def walk(stream: Stream, report: Report, after_build: Callable[[Made], Value] | None = None) -> Walk:
    """Follows one pickle from the stream's position to its STOP, or to where it breaks.

    `after_build` is given each object that gets a state, and may read on in the stream, as joblib does.
    """
    machine = Machine(stream, report, after_build)
    machine.run(_HANDLERS)
    return machine.walk


Handler = Callable[[Machine], None]


def _constant(value: Value) -> Handler:
    return lambda m: m.push(value)


def _skipped(length: int, value: Value = OTHER) -> Handler:
    def handle(m: Machine) -> None:
        m.number(length)
        m.push(value)

    return handle


def _fixed(length: int, signed: bool = False) -> Handler:
    return lambda m: m.push(m.number(length, signed))


def _text(length: int, encoding: str) -> Handler:
    def handle(m: Machine) -> None:
        data = m.blob(m.number(length))
        if data is None:
            m.push(COMPUTED)
            return
        try:
            m.push_text(data.decode(encoding, "surrogatepass"))
        except UnicodeDecodeError:
            raise Broken from None

    return handle


def _bytes(length: int) -> Handler:
    def handle(m: Machine) -> None:
        m.blob(m.number(length))
        m.push(OTHER)

    return handle


def _long(length: int) -> Handler:
    def handle(m: Machine) -> None:
        data = m.blob(m.number(length))
        m.push(OTHER if data is None or len(data) > 16 else int.from_bytes(data, "little", signed=True))

    return handle


def _int_line(m: Machine) -> None:
    line = m.line()
    m.push(m.integer(line[:MAX_TEXT]) if line not in {"00", "01"} else OTHER)


def _long_line(m: Machine) -> None:
    line = m.line()
    m.push(m.integer(line.removesuffix("L")) if len(line) < 64 else OTHER)


def _float_line(m: Machine) -> None:
    line = m.line()
    try:
        float(line)
    except ValueError:
        raise Broken from None
    m.push(OTHER)


def _string_line(m: Machine) -> None:
    line = m.line().strip()
    if len(line) > MAX_TEXT:
        m.push(COMPUTED)
        return
    if len(line) < 2 or line[0] != line[-1] or line[0] not in "'\"":
        raise Broken
    m.report.spend_opcodes(line.count("\\"))
    m.push_text(_ESCAPE.sub(_unescaped, line[1:-1]))


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x":
        return chr(int(code[1:], 16))
    return chr(int(code, 8) & 0xFF) if code[0] in "01234567" else _ESCAPES[code]


def _unicode_line(m: Machine) -> None:
    line = m.line()
    try:
        m.push_text(line.encode("latin-1").decode("raw-unicode-escape"))
    except UnicodeDecodeError:
        raise Broken from None


def _persistent_line(m: Machine) -> None:
    m.line()
    m.push(COMPUTED)


def _persistent(m: Machine) -> None:
    m.pop()
    m.push(COMPUTED)


def _utf8(line: str) -> str:
    return line.encode("latin-1").decode("utf-8", "surrogateescape")


def _global(m: Machine) -> None:
    module, name = _utf8(m.line()), _utf8(m.line())
    m.push(m.import_name(module, name))


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    m.push(m.import_name(module, name))


def _inst(m: Machine) -> None:
    module, name = _utf8(m.line()), _utf8(m.line())
    # The import comes first: it has happened, even if there is no mark then.
    callee = m.import_name(module, name)
    m.push(m.call(callee, _args(m.pop_mark())))


def _obj(m: Machine) -> None:
    items = m.pop_mark()
    if not items:
        raise Broken
    m.push(m.call(items[0], _args(items[1:])))


def _reduce(m: Machine) -> None:
    args = m.pop()
    m.push(m.call(m.pop(), args))


def _newobj_ex(m: Machine) -> None:
    m.pop()
    _reduce(m)


def _args(items: list[Value]) -> Value:
    return tuple(map(flat, items)) if len(items) <= MAX_ITEMS else OTHER


def _extension(length: int) -> Handler:
    def handle(m: Machine) -> None:
        code = m.number(length)
        m.event("suspicious", f"imports entry {code} of the extension registry, which only the loading process knows")
        m.push(COMPUTED)

    return handle


def _mark(m: Machine) -> None:
    m.below.append(m.stack)
    m.stack = []


def _drop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def _pop_mark(m: Machine) -> None:
    m.pop_mark()


def _tuple_of(count: int) -> Handler:
    def handle(m: Machine) -> None:
        items = [m.pop() for _ in range(count)]
        m.push_tuple(items[::-1])

    return handle


def _collect(value: Value) -> Handler:
    """LIST and FROZENSET: what stands above the mark becomes one value."""

    def handle(m: Machine) -> None:
        m.pop_mark()
        m.push(value)

    return handle


def _dict(m: Machine) -> None:
    items = m.pop_mark()
    made: dict[str, Value] = {}
    _set_items(m, made, items)
    m.push(made)


def _set_items(m: Machine, target: Value, items: list[Value]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=False):
        computed = key is COMPUTED or isinstance(key, Made)
        if key == "__class__" or (computed and isinstance(value, Imported)):
            m.event("suspicious", "gives an object another class than the one that made it")
        if not isinstance(target, dict):
            continue
        if computed or (isinstance(key, str) and key not in target and len(target) >= MAX_ITEMS):
            target[UNCLEAR] = OTHER
        elif isinstance(key, str):
            target[key] = OTHER if isinstance(value, dict) else flat(value)


def _setitem(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    _set_items(m, m.top(), [key, value])


def _setitems(m: Machine) -> None:
    items = m.pop_mark()
    _set_items(m, m.top(), items)


def _append(m: Machine) -> None:
    m.pop()
    m.top()


def _appends(m: Machine) -> None:
    m.pop_mark()
    m.top()


def _protocol(m: Machine) -> None:
    if m.number(1) > 5:
        raise Broken


def _frame(m: Machine) -> None:
    m.enter_frame(m.number(8))


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|[\\'\"abfnrtv])")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_HANDLERS: Mapping[bytes, Handler] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b"N": _constant(None),
    b"\x88": _constant(OTHER),
    b"\x89": _constant(OTHER),
    b")": _constant(()),
    b"]": _constant(OTHER),
    b"\x8f": _constant(OTHER),
    b"}": lambda m: m.push({}),
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
    b"b": Machine.build,
    b"\x82": _extension(1),
    b"\x83": _extension(2),
    b"\x84": _extension(4),
    b"(": _mark,
    b"0": _drop,
    b"1": _pop_mark,
    b"2": lambda m: m.push(m.top()),
    b"t": lambda m: m.push_tuple(m.pop_mark()),
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
    b"g": lambda m: m.recall(m.integer(m.line())),
    b"h": lambda m: m.recall(m.number(1)),
    b"j": lambda m: m.recall(m.number(4)),
    b"p": lambda m: m.remember(m.integer(m.line())),
    b"q": lambda m: m.remember(m.number(1)),
    b"r": lambda m: m.remember(m.number(4)),
    b"\x94": lambda m: m.remember(len(m.memo)),
}
