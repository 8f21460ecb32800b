"""Takes what is private or secret out of a text: addresses, numbers and keys, by their shapes.

It finds what looks like one, and so takes out too much rather than too little: a long number may be no telephone's. It
takes time in proportion to the text: what repeats in a pattern is possessive (it is never tried shorter), and begins
only where its run begins.
"""

import re
from collections.abc import Callable, Collection, Iterator
from ipaddress import ip_address
from typing import NamedTuple

CATEGORIES = ("email", "phone", "card", "key", "ip")
"""What can be taken out."""
_MARGIN = 4096
"""How far behind a cut is looked for the end of what begins before it."""


class _Span(NamedTuple):
    start: int
    end: int
    label: str


class _Shape(NamedTuple):
    """What something looks like; `group` of the pattern is taken out, where `check` agrees.

    One of the `hints` stands in every such text in small letters: most texts have none, and are not searched.
    """

    category: str
    pattern: "re.Pattern[str]"
    check: Callable[[str], bool]
    hints: tuple[str, ...] = ()
    group: int = 0


def _yes(text: str) -> bool:
    return True


def _random(text: str) -> bool:
    """Whether it looks as if it was drawn, and not written."""
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _mixed(text: str) -> bool:
    """As above, with small letters and others."""
    return _random(text) and text != text.lower() and text != text.upper()


def _token(text: str) -> bool:
    return len(text) >= 20 or any(map(str.isdigit, text))


def _address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    # `a::b` is one as well, and more often the name of something in a program.
    return not address.is_unspecified and any(map(str.isdigit, text))


_NAMES = (
    r"(?:api|secret|access|private|signing|encryption)[_-]?key|(?:client|app|shared)[_-]?secret"
    r"|(?:access|refresh|auth|bearer|session)[_-]?token|secret|passwd|password|passphrase|authorization|credentials?"
)
_PREFIXES: tuple[str, ...] = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "npm_", "pypi-", "dop_v1_"),
    *("xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "hf_", "nvapi-", "AIza", "ya29.", "SG."),
)
_SHAPES = (
    _Shape(
        "key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
        ),
        _yes,
        ("private key-----",),
    ),
    # A JSON Web Token.
    _Shape("key", re.compile(r"(?<![\w-])eyJ[\w-]{8,}+(?:\.[\w-]*+){1,2}"), _yes, ("eyj",)),
    # What providers begin their keys with.
    _Shape(
        "key",
        re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(map(re.escape, _PREFIXES))})[\w.-]{{10,}}+"),
        _yes,
        tuple(prefix.lower() for prefix in _PREFIXES),
    ),
    _Shape(
        "key",
        re.compile(r"(?<![A-Za-z0-9_-])(?:sk|pk|rk|gsk|xai|whsec)[-_][\w-]{12,}+"),
        _random,
        ("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "xai-", "whsec_"),
    ),
    _Shape(
        "key",
        re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Z0-9])"),
        _yes,
        ("akia", "asia", "aroa", "aida"),
    ),
    # The secret key of AWS: 40 characters of base64. (The name of a commit has small letters alone.)
    _Shape("key", re.compile(r"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])"), _mixed),
    _Shape("key", re.compile(r"\b(?i:bearer|basic)\s{1,4}+([\w.~+/=-]{8,}+)"), _token, ("bearer", "basic"), 1),
    _Shape("key", re.compile(r"://[^\s/@:\"']{0,64}+:([^\s/@\"']{1,256}+)@"), _yes, ("://",), 1),
    _Shape("email", re.compile(r"(?<![\w.+-])[\w.+-]++(?:@|%40)[\w-]++(?:\.[\w-]++)++"), _yes, ("@", "%40")),
    _Shape("ip", re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w)(?!\.[0-9])"), _address, (".",)),
    _Shape(
        "ip",
        re.compile(
            r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:(?:\.[0-9]{1,3}){3})?(?![\w:])",
        ),
        _address,
        (":",),
    ),
)
# `password = …`: first the sign, which is rare, and then what stands before it.
_SIGN = re.compile(r"[:=]")
_VALUE = re.compile(r"\s{0,4}+[\"']?((?:(?i:bearer|basic|token)\s{1,4}+)?+[^\s\"'<>,;&]{4,}+)")
_BEFORE = re.compile(rf"(?i:{_NAMES})[\"']?\s{{0,4}}+\Z")
_BEFORE_LENGTH = 24
_DIGITS = re.compile(r"(?<![0-9])\+?\(?[0-9](?:[ .()\u00a0\u2010-\u2015-]{0,2}+[0-9])*+")
_GROUP = re.compile(r"[0-9]+")
_DATE = re.compile(r"(?:19|20)\d\d[.-][01]\d[.-][0-3]\d(?!\d)")
_ESCAPE = re.compile(r"\\u00([2-7][0-9A-Fa-f])")
_SECRET_NAME = re.compile(rf"(?i:{_NAMES})\Z")
_TAIL = "0123456789.()+- \t\r\n\u00a0\u2010\u2011\u2012\u2013\u2014\u2015"
_DOUBLED = {str(digit): 2 * digit - 9 * (digit > 4) for digit in range(10)}
_CARD_DIGITS = range(13, 20)
_CARD_GROUPS = 7


class Redactor:
    """Takes the chosen categories out of texts."""

    def __init__(self, categories: Collection[str]) -> None:
        self._numbers = frozenset(categories) & {"phone", "card"}
        self._names = "key" in categories
        self._shapes = [shape for shape in _SHAPES if shape.category in categories]

    def names_a_secret(self, name: str) -> bool:
        """Whether a value of that name is a secret whatever it looks like."""
        return self._names and _SECRET_NAME.search(name[-64:]) is not None

    def is_card(self, digits: str) -> bool:
        """Whether a number by itself is that of a payment card."""
        taken = "card" in self._numbers and len(digits) in _CARD_DIGITS
        return taken and digits.isdecimal() and any(_cards(digits, [(0, len(digits))]))

    def redact(self, text: str) -> str:
        """`text` with what is found replaced by its kind in brackets."""
        return self.beginning(text, len(text))[0]

    def beginning(self, text: str, most: int, *, cut: bool = False) -> tuple[str, bool]:
        """The first `most` characters at most, redacted, and whether that is less than all.

        No part of what is taken out is left at the cut. `cut` says that the text itself has been cut from a longer one:
        then what its last word would have been is not known, and it goes.
        """
        if "\\u00" in text:
            # JSON within JSON may spell any character so.
            text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        shorter = len(text) > most
        if len(text) > most + _MARGIN:
            text, cut = text[: most + _MARGIN], True
        end = _without_tail(text) if cut else len(text)
        return _replaced(text, sorted(self._spans(text)), min(most, end)), shorter or cut

    def _spans(self, text: str) -> Iterator[_Span]:
        small = text.lower()
        for shape in self._shapes:
            if not shape.hints or any(hint in small for hint in shape.hints):
                yield from _found(shape, text)
        if self._names:
            yield from _named(text)
        if self._numbers:
            for run in _DIGITS.finditer(text):
                yield from self._in_digits(text, run)

    def _in_digits(self, text: str, run: "re.Match[str]") -> Iterator[_Span]:
        if run.end() - run.start() < 7:
            return
        groups = [(found.start(), found.end()) for found in _GROUP.finditer(text, run.start(), run.end())]
        if "card" in self._numbers:
            yield from _cards(text, groups)
        if "phone" in self._numbers:
            before = text[run.start() - 1 : run.start()]
            if not (before.isalpha() or before == "_"):
                yield from _phones(text, run.start(), run.end(), groups)


def _found(shape: _Shape, text: str) -> Iterator[_Span]:
    pattern, check, group, at = shape.pattern, shape.check, shape.group, 0
    while match := pattern.search(text, at):
        if check(match[group]):
            yield _Span(match.start(group), match.end(group), shape.category)
            at = match.end()
        else:
            # Something else may begin within it. Those that are looked at twice are short, or begin a run.
            at = match.start() + 1


def _named(text: str) -> Iterator[_Span]:
    at = 0
    while sign := _SIGN.search(text, at):
        at = sign.end()
        before = text[max(0, sign.start() - _BEFORE_LENGTH) : sign.start()]
        if before.rstrip(" \t\"'")[-1:].isalpha() and _BEFORE.search(before) and (value := _VALUE.match(text, at)):
            yield _Span(value.start(1), value.end(1), "key")
            at = value.end()


def _replaced(text: str, spans: list[_Span], end: int) -> str:
    parts, at = [], 0
    for span in spans:
        if span.start >= end:
            break
        if span.start >= at:
            parts += [text[at : span.start], f"[{span.label}]"]
        at = max(at, span.end)
    if at < end:
        parts.append(text[at:end])
    return "".join(parts)


def _without_tail(text: str) -> int:
    """Where the last word of `text` begins, and the numbers before it."""
    window = text[-_MARGIN:]
    words = len(window) - len(window.rstrip())
    last = len(window) - words
    while last and not window[last - 1].isspace():
        last -= 1
    return len(text) - len(window) + len(window[:last].rstrip(_TAIL))


def _cards(text: str, groups: list[tuple[int, int]]) -> Iterator[_Span]:
    """The numbers of payment cards: 13 to 19 digits, in some groups, that fulfil Luhn's rule (ISO/IEC 7812)."""
    first = 0
    while first < len(groups):
        digits, found = "", 0
        for last in range(first, min(first + _CARD_GROUPS, len(groups))):
            digits += text[slice(*groups[last])]
            if len(digits) >= _CARD_DIGITS.stop:
                break
            if len(digits) in _CARD_DIGITS and _luhn(digits):
                found = last + 1
        if found:
            yield _Span(groups[first][0], groups[found - 1][1], "card")
        first = found or first + 1


def _luhn(digits: str) -> bool:
    return (sum(map(int, digits[-1::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))) % 10 == 0


def _phones(text: str, start: int, end: int, groups: list[tuple[int, int]]) -> Iterator[_Span]:
    """What can be a telephone number: 9 to 15 digits (7 behind a +), with the marks that people put between them."""
    first = 0
    while date := _DATE.match(text, start):
        while first < len(groups) and groups[first][0] < date.end():
            first += 1
        if first == len(groups):
            return
        start = groups[first][0]
    groups = groups[first:]
    number = sum(last - first for first, last in groups)
    written = text[start:end]
    marked = any(mark in written for mark in "-()+")
    least = 7 if "+" in written else 9
    if number < least or (number > 15 and not marked) or (len(groups) == 2 and re.fullmatch(r"\d+\.\d+", written)):
        return
    longest = max(last - first for first, last in groups)
    if longest >= 3 or written[0] in "+(0":
        yield _Span(start, end, "phone")
