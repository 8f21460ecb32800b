"""What one run of the gateway benchmark found: one value a round for each measure, side and case."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.gateway.sides import Case, Side
from bench.results import Spread, spread


@dataclass(frozen=True)
class Key:
    """What was measured, of whom, and what the gateway did beside."""

    measure: str
    side: Side
    case: Case = Case.PLAIN


class Samples:
    """Values by key and round; a ratio is made of each round, so that both sides met the same machine."""

    def __init__(self) -> None:
        self._values: dict[Key, dict[int, float]] = {}

    def add(self, key: Key, turn: int, value: float) -> None:
        """Keep the value of round `turn`."""
        self._values.setdefault(key, {})[turn] = value

    def figure(self, key: Key) -> Spread | None:
        """The spread of one value; None when it was not measured."""
        return spread(list(self._values.get(key, {}).values()))

    def of(self, make: Callable[..., float | None], *keys: Key) -> Spread | None:
        """The spread of what `make` makes of the values of `keys`, in the rounds that have all of them."""
        columns = [self._values.get(key, {}) for key in keys]
        turns = [turn for turn in columns[0] if all(turn in column for column in columns)]
        made = [make(*(column[turn] for column in columns)) for turn in turns]
        return spread([value for value in made if value is not None])

    def raw(self) -> dict[str, dict[str, list[float]]]:
        """Every value, for the JSON at the end of the report."""
        found: dict[str, dict[str, list[float]]] = {}
        for key, values in self._values.items():
            name = key.side.name.lower() + ("" if key.case is Case.PLAIN else f", {key.case.value}")
            found.setdefault(key.measure, {})[name] = [round(value, 4) for _, value in sorted(values.items())]
        return found
