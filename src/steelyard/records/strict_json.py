"""JSON as we take it: the text of RFC 8259 without its ambiguities.

Refused, each with its place: duplicate keys, `NaN` and the infinities (also by overflow, as `1e999`), integers beyond
64 bits, half surrogate pairs, the character NUL, nesting past a limit, and bytes that are not UTF-8. What passes can be
stored, sent on and read back by any other JSON reader without a change of meaning.
"""

import json
import math
from typing import Any, NoReturn

from steelyard.errors import BrokenJson

DEFAULT_DEPTH = 64
_LARGEST = 2**63 - 1
_DIGITS = 19


class _Refused(ValueError):
    """Raised by the decoder's hooks, which know what is wrong but not where."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type


def decode(body: bytes, *, max_depth: int = DEFAULT_DEPTH) -> Any:
    """The value that `body` spells. Raises BrokenJson, which names the place."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenJson.of(("body", error.start), "json_invalid", "the body is not UTF-8") from None
    if not text or text.isspace():
        raise BrokenJson.of(("body",), "missing", "a JSON body is required")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BrokenJson.of(("body", error.pos), "json_invalid", f"not JSON: {error.msg}") from None
    except _Refused as refused:
        raise BrokenJson.of(("body",), refused.type, str(refused)) from None
    except RecursionError:
        raise _too_deep(("body",), max_depth) from None
    # A value cannot be deeper than it has brackets, and only an escape can spell NUL or half a pair: nearly every body
    # is spared the walk.
    if body.count(b"{") + body.count(b"[") > max_depth or b"\\u" in body:
        _walk(value, max_depth)
    return value


def check_depth(value: Any, max_depth: int) -> None:
    """Raises BrokenJson if `value` is nested deeper than `max_depth`, or holds text that JSON cannot carry."""
    _walk(value, max_depth)


def _walk(root: Any, max_depth: int) -> None:
    pending: list[tuple[tuple[str | int, ...], Any]] = [(("body",), root)]
    while pending:
        place, value = pending.pop()
        if isinstance(value, str):
            _check_text(place, value)
        elif isinstance(value, (dict, list)):
            if len(place) > max_depth:
                raise _too_deep(place[:4], max_depth)
            if isinstance(value, dict):
                for key, item in value.items():
                    _check_text(place, key)
                    pending.append(((*place, key), item))
            else:
                pending.extend(((*place, index), item) for index, item in enumerate(value))


def _check_text(place: tuple[str | int, ...], text: str) -> None:
    if "\0" in text:
        raise BrokenJson.of(place, "string_nul", "text must not contain the character NUL (\\u0000)")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BrokenJson.of(place, "string_unicode", "text must not contain half of a surrogate pair")


def _too_deep(place: tuple[str | int, ...], max_depth: int) -> BrokenJson:
    return BrokenJson.of(place, "too_deep", f"nested deeper than {max_depth} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused("duplicate_key", f"the key {twice!a} stands twice in one object")
    return mapping


def _integer(digits: str) -> int:
    # The length is asked first: a number of a million digits would cost more to convert than to refuse.
    if len(digits) > _DIGITS + 1 or not -_LARGEST - 1 <= (number := int(digits)) <= _LARGEST:
        raise _Refused("int_too_large", "integers must fit 64 bits (send larger ones as text)")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused("finite_number", "numbers must be finite (between -1.8e308 and 1.8e308)")
    return number


def _constant(name: str) -> NoReturn:
    raise _Refused("finite_number", f"{name} is not JSON; numbers must be finite")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant)
