"""Reads filters written as text: `name~"race" (project:"a" OR -created_at<"2026-01-01")`.

    filter   := and ( OR and )*
    and      := unary ( [AND] unary )*
    unary    := ( "-" | NOT ) unary | "(" filter ")" | field test
    test     := ( ":" | "~" | ">" | ">=" | "<" | "<=" ) value | [NOT] IN "[" [ value ( "," value )* ] "]"
              | ":" "*" | ":" "(" filter ")"
    value    := string in double quotes with JSON escapes | number | true | false | null

`:*` asks whether the field is there. The last test is for relations: a child that the filter inside accepts.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from steelyard.errors import BadFilter
from steelyard.records.filters.ast import Filter, Has, Not, Operator, all_of, any_of
from steelyard.records.filters.criteria import Scope, criterion
from steelyard.records.filters.fields import FieldType, bad, quoted
from steelyard.records.filters.objects import MAX_DEPTH, too_deep

_BLANK = re.compile(r"[ \t\r\n]*")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*")
_WORD = re.compile(r"[A-Za-z]+(?![A-Za-z0-9_.-])")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![A-Za-z0-9_.:-])")
_TESTS = (
    (">=", Operator.GTE),
    ("<=", Operator.LTE),
    (":", Operator.EQ),
    ("~", Operator.LIKE),
    (">", Operator.GT),
    ("<", Operator.LT),
)
_CONSTANTS = {"true": True, "false": False, "null": None}


def parse_text(text: str, scope: Scope) -> Filter:
    """Read a filter from text; raises BadFilter with the position where it cannot be understood."""
    reader = _Reader(text)
    reader.blank()
    found = _either(reader, scope, 1)
    if reader.at < len(text):
        raise reader.expected("AND, OR or the end")
    return found


@dataclass(slots=True)
class _Reader:
    """A text and how far it has been read."""

    text: str
    at: int = 0

    def blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, mark: str) -> bool:
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        self.blank()
        return True

    def word(self, *words: str) -> str | None:
        """Take one of some words, in capitals or not, when it stands here on its own."""
        found = _WORD.match(self.text, self.at)
        if found is None or found[0].upper() not in words:
            return None
        self.at = found.end()
        self.blank()
        return found[0].upper()

    def expected(self, what: str, hint: str = "") -> BadFilter:
        rest = self.text[self.at : self.at + 20]
        found = f"found {quoted(rest)}" if rest else "the text ends"
        return bad(f"Filter syntax: expected {what} at character {self.at + 1}, {found}{hint}")


def _either(reader: _Reader, scope: Scope, depth: int) -> Filter:
    parts = [_every(reader, scope, depth)]
    while reader.word("OR"):
        parts.append(_every(reader, scope, depth))
    return any_of(parts)


def _every(reader: _Reader, scope: Scope, depth: int) -> Filter:
    parts = [_unary(reader, scope, depth)]
    while reader.word("AND") or _more(reader):
        parts.append(_unary(reader, scope, depth))
    return all_of(parts)


def _more(reader: _Reader) -> bool:
    """Whether another operand follows without a word between."""
    before = reader.at
    joined = reader.word("OR") is not None
    reader.at = before
    if joined:
        return False
    return reader.text[before : before + 1] in {"-", "("} or _FIELD.match(reader.text, before) is not None


def _unary(reader: _Reader, scope: Scope, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise too_deep()
    if reader.take("-") or reader.word("NOT"):
        return Not(_unary(reader, scope, depth + 1))
    if reader.take("("):
        return _closed(reader, scope, depth + 1)
    field = _FIELD.match(reader.text, reader.at)
    if field is None:
        raise reader.expected("a field, '-' or '('")
    reader.at = field.end()
    reader.blank()
    return _test(reader, field[0], scope, depth)


def _closed(reader: _Reader, scope: Scope, depth: int) -> Filter:
    inner = _either(reader, scope, depth)
    if not reader.take(")"):
        raise reader.expected("AND, OR or ')'")
    return inner


def _test(reader: _Reader, name: str, scope: Scope, depth: int) -> Filter:
    before = reader.at
    negated = reader.word("NOT") is not None
    if reader.word("IN"):
        return criterion(scope, name, Operator.NIN if negated else Operator.IN, _list(reader))
    reader.at = before
    for mark, operator in _TESTS:
        if reader.take(mark):
            if operator is Operator.EQ and reader.take("*"):
                return criterion(scope, name, Operator.EXISTS, True)
            if operator is Operator.EQ and reader.take("("):
                return _child(reader, name, scope, depth)
            return criterion(scope, name, operator, _value(reader))
    raise reader.expected(f"an operator after {quoted(name)} (: ~ > >= < <= IN, NOT IN)")


def _child(reader: _Reader, name: str, scope: Scope, depth: int) -> Filter:
    _, field = scope.fields.resolve(name)
    if field.type is not FieldType.RELATION:
        raise bad(f"Filter field {quoted(name)} takes a value, not a filter in parentheses")
    return Has(field, _closed(reader, scope.children(field), depth + 1))


def _list(reader: _Reader) -> list[Any]:
    if not reader.take("["):
        raise reader.expected("'['")
    values: list[Any] = []
    while not reader.take("]"):
        if values and not reader.take(","):
            raise reader.expected("',' or ']'")
        values.append(_value(reader))
    return values


def _value(reader: _Reader) -> Any:
    if reader.text.startswith('"', reader.at):
        try:
            value, reader.at = json.JSONDecoder().raw_decode(reader.text, reader.at)
        except json.JSONDecodeError as error:
            raise bad(f"Filter syntax: {error.msg} at character {error.pos + 1}") from None
        reader.blank()
        return value
    number = _NUMBER.match(reader.text, reader.at)
    if number is not None:
        try:
            value = float(number[0]) if number[1] or number[2] else int(number[0])
        except ValueError:  # more digits than Python reads
            raise bad(f"Filter syntax: the number at character {reader.at + 1} is too long") from None
        reader.at = number.end()
        reader.blank()
        return value
    word = _WORD.match(reader.text, reader.at)
    if word is not None and word[0] in _CONSTANTS:
        reader.at = word.end()
        reader.blank()
        return _CONSTANTS[word[0]]
    raise reader.expected("a value", "; strings stand in double quotes")
