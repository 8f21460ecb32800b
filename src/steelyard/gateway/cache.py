"""Answers that are kept for requests that are exactly the same: in memory, for a time, and in bounded space."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from steelyard.gateway.meter import Usage

# What an entry takes beside its body, roughly: its key, its headers, its place in the table.
_OVERHEAD = 1024


class CachedAnswer(NamedTuple):
    """A whole answer 200: what the client got, and what is written down of it."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    usage: Usage
    model: str
    provider: str | None = None


def key_of(workspace: str, key: str | None, route: str, tag: str, dialect: str, body: Mapping[str, Any]) -> bytes:
    """The key of a request. Whatever could make its answer another one is in it: who asks and where, the name asked
    for, `tag` (which changes with each change of the records behind that name), the dialect, and all of the body,
    whatever the order of its fields.
    """
    text = orjson.dumps([workspace, key, route, tag, dialect, body], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).digest()


class ResponseCache:
    """Up to `most_bytes` of answers; those that were asked for least lately go first. `now` gives seconds."""

    def __init__(self, most_bytes: int, now: Callable[[], float]) -> None:
        self._most = most_bytes
        self._now = now
        self._kept: OrderedDict[bytes, tuple[CachedAnswer, float]] = OrderedDict()
        self.bytes = self.hits = self.misses = self.evicted = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> CachedAnswer | None:
        """The answer that is kept for that key, unless its time is over."""
        found = self._kept.get(key)
        if found is not None and found[1] > self._now():
            self._kept.move_to_end(key)
            self.hits += 1
            return found[0]
        if found is not None:
            self._drop(key)
        self.misses += 1
        return None

    def put(self, key: bytes, answer: CachedAnswer, seconds: float) -> None:
        """Keeps an answer for so long; one that is larger than all of the space is not kept."""
        if key in self._kept:
            self._drop(key)
        size = _size(answer)
        if seconds <= 0 or size > self._most:
            return
        self._kept[key] = (answer, self._now() + seconds)
        self.bytes += size
        while self.bytes > self._most:
            self._drop(next(iter(self._kept)))
            self.evicted += 1

    def clear(self) -> None:
        """Forgets all answers."""
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: bytes) -> None:
        self.bytes -= _size(self._kept.pop(key)[0])


def _size(answer: CachedAnswer) -> int:
    return len(answer.body) + sum(len(name) + len(value) for name, value in answer.headers) + _OVERHEAD
