"""How long the gateway waits for an upstream."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Patience(NamedTuple):
    """In seconds: to connect; from the request to the head of the answer, and from there to the first token of a
    stream; between two parts of an answer; for a request in all.
    """

    connect: float = 5.0
    first_byte: float = 300.0
    between_chunks: float = 120.0
    total: float = 3600.0

    def of(self, given: Mapping[str, Any] | None) -> "Patience":
        """This, with what a provider says of itself instead."""
        if not given:
            return self
        return Patience(*(given.get(f"{name}_seconds") or own for name, own in zip(self._fields, self, strict=True)))
