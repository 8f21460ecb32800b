"""A pickle machine that runs nothing: the stack and the memo, as far as names and arrays can come out of them.

Values are kept only where they can become part of an import or of the size of an array; of all others, the kind is
kept. `opcodes` drives it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from steelyard.inspect.findings import Level, LimitReached, Report, shown
from steelyard.inspect.imports import classify
from steelyard.inspect.streams import Stream

MAX_TEXT = 1_024
_MAX_TEXT_KEPT = 16 << 20
MAX_ITEMS = 64
_MAX_EVENTS = 1_000
_MAX_MEMO = 1 << 24
_PROTOCOLS = frozenset(bytes((0x80, number)) for number in range(6))


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
        """Whether one of the events is."""
        return any(level == "dangerous" for level, _, _ in self.events)


class Cut(Exception):
    """The bytes end before the pickle does."""


def flat(value: Value) -> Value:
    """The value, without what is nested deeper than an array's type is: so no pickle can build a deep tree here."""
    if isinstance(value, tuple):
        return tuple(OTHER if isinstance(item, tuple | dict) else item for item in value)
    return value


class Machine:
    """One pickle, on its way through a stream; its methods are what opcodes are made of."""

    def __init__(self, stream: Stream, report: Report, after_build: Callable[[Made], Value] | None) -> None:
        self.walk = Walk(start=stream.position, end=stream.position)
        self._stream = stream
        self.report = report
        self._after_build = after_build
        self.stack: list[Value] = []
        self.below: list[list[Value]] = []
        self.memo: dict[int, Value] = {}
        self._text_kept = 0
        self._at = stream.position
        self._frame_end = 0

    def run(self, handlers: "Mapping[bytes, Callable[[Machine], None]]") -> None:
        """Goes from opcode to opcode, each by its handler, until STOP or until an unpickler would give up."""
        stream, walk, spend = self._stream, self.walk, self.report.spend_opcodes
        walk.framed = stream.peek(2) in _PROTOCOLS
        try:
            while True:
                self._at = stream.position
                opcode = stream.take(1)
                if not opcode:
                    walk.ended = "cut"
                    break
                if opcode == b".":
                    walk.top = self.pop()
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
        except Cut:
            walk.ended = "cut"
        except LimitReached as limit:
            walk.ended, walk.limit = "limit", limit
        finally:
            walk.end = stream.position

    # Reading arguments

    def number(self, length: int, signed: bool = False) -> int:
        """The next `length` bytes as a number."""
        data = self._stream.take(length)
        if len(data) < length:
            raise Cut
        return int.from_bytes(data, "little", signed=signed)

    def line(self) -> str:
        """The next line, cut where it is longer than any name."""
        line = self._stream.line(MAX_TEXT + 1)
        if line is None:
            raise Cut
        return line.decode("latin-1")

    def integer(self, text: str) -> int:
        """A number in text, in any of the ways that unpicklers take."""
        for base in (10, 0):
            try:
                return int(text, base)
            except ValueError:
                continue
        raise Broken

    def blob(self, length: int) -> bytes | None:
        """The next `length` bytes; None if they are too many to be of interest, and skipped."""
        if length > MAX_TEXT:
            if not self._stream.skip(length):
                raise Cut
            return None
        data = self._stream.take(length)
        if len(data) < length:
            raise Cut
        return data

    # Stack and memo

    def pop(self) -> Value:
        """Takes the top of the stack, above the last mark."""
        if not self.stack:
            raise Broken
        return self.stack.pop()

    def top(self) -> Value:
        """The top of the stack, above the last mark."""
        if not self.stack:
            raise Broken
        return self.stack[-1]

    def pop_mark(self) -> list[Value]:
        """Takes all that stands above the last mark, and the mark."""
        if not self.below:
            raise Broken
        items, self.stack = self.stack, self.below.pop()
        return items

    def push(self, value: Value) -> None:
        """Puts a value on the stack."""
        self.stack.append(value)

    def push_text(self, text: str) -> None:
        """Puts a string on the stack; where it is too long for a name, only that there is one."""
        self._text_kept += len(text)
        too_much = len(text) > MAX_TEXT or self._text_kept > _MAX_TEXT_KEPT
        self.push(COMPUTED if too_much else text)

    def push_tuple(self, items: list[Value]) -> None:
        """Puts a tuple on the stack."""
        self.push(tuple(map(flat, items)) if len(items) <= MAX_ITEMS else OTHER)

    def recall(self, index: int) -> None:
        """Puts a value of the memo on the stack."""
        if index not in self.memo:
            raise Broken
        self.push(self.memo[index])

    def remember(self, index: int) -> None:
        """Puts the top of the stack into the memo."""
        if index < 0:
            raise Broken
        if index > _MAX_MEMO:
            self.event("suspicious", f"has an unpickler make room for {index} values that it does not hold")
        self.memo[index] = self.top()

    def enter_frame(self, length: int) -> None:
        """FRAME: the next `length` bytes are whole opcodes, which unpicklers read in one piece."""
        if self._stream.position < self._frame_end < self._stream.position + length:
            self._cut_frame()
        self._frame_end = max(self._frame_end, self._stream.position + length)

    def _cut_frame(self) -> None:
        # CPython drops the rest of a frame that ends within an argument, and reads the argument from behind it: what
        # the pickle then imports stands in other bytes than those that other readers take.
        self.event(
            "dangerous", "has a frame that ends within an opcode, so that unpicklers disagree on what it imports"
        )

    # What matters

    def event(self, level: Level, what: str) -> None:
        """Notes a finding at the opcode that is being followed."""
        # What is merely suspicious may not take the room of what is dangerous.
        if len(self.walk.events) < (2 if level == "dangerous" else 1) * _MAX_EVENTS:
            self.walk.events[level, self._at, what] = None

    def import_name(self, module: Value, name: Value) -> Imported:
        """Notes an import, with what it could do."""
        if not isinstance(module, str) or not isinstance(name, str):
            if not all(value is COMPUTED or isinstance(value, str | Made) for value in (module, name)):
                raise Broken
            self.event("dangerous", "imports something of which the name is computed while unpickling")
            return Imported("", "")
        full = shown(f"{module}.{name}")
        safety = classify(module, name)
        if len(self.walk.imports) < _MAX_EVENTS:
            self.walk.imports[full] = None
        if safety == "dangerous":
            self.event("dangerous", f"imports {full}, which can run code, load more of it, or reach files or networks")
        elif safety == "unknown":
            self.event("suspicious", f"imports {full}, which is not known to be safe")
        return Imported(module[:MAX_TEXT], name[:MAX_TEXT])

    def call(self, callee: Value, args: Value) -> Made:
        """Notes a call."""
        self.walk.calls += 1
        if not isinstance(callee, Imported):
            self.event("suspicious", "calls something that it did not import by name")
            return Made(None, ())
        return Made(callee, args if isinstance(args, tuple) else ())

    def build(self) -> None:
        """BUILD: gives the object below the top of the stack its state."""
        state = self.pop()
        target = self.top()
        if isinstance(target, Imported):
            name = shown(f"{target.module}.{target.name}")
            self.event("suspicious", f"writes attributes into {name} itself, not into an object of its own")
        if isinstance(target, Made):
            target.state = flat(state)
            if self._after_build is not None:
                self.stack[-1] = self._read_on(self._after_build, target)

    def _read_on(self, after_build: Callable[[Made], Value], target: Made) -> Value:
        """Lets `after_build` read from the stream, which is after the frame, as it is not of the pickle."""
        before = self._stream.position
        value = after_build(target)
        if before != self._stream.position:
            if before < self._frame_end:
                self._cut_frame()
            self._frame_end = 0
        return value
