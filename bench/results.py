"""Samples by cell, side and round, and the ratios that are made of them."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench.plan import OPERATIONS, Cell, Side
from bench.wrk import Sample


@dataclass(frozen=True)
class Spread:
    """The median of one figure over the rounds, with its least and greatest."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: list[float]) -> Spread | None:
    """The spread of `values`; None when there are none."""
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values), len(values))


class Results:
    """What was measured in one run of the benchmark."""

    def __init__(self) -> None:
        self._samples: dict[tuple[Cell, Side], dict[int, Sample]] = {}

    def add(self, cell: Cell, side: Side, turn: int, sample: Sample) -> None:
        """Keep the sample of round `turn`."""
        self._samples.setdefault((cell, side), {})[turn] = sample

    def cells(self) -> list[Cell]:
        """The cells that have a sample, in the order of the tables: by operation, size, clients."""
        found = {cell for cell, _ in self._samples}
        return sorted(found, key=lambda cell: (OPERATIONS.index(cell.operation), cell.size, cell.clients))

    def samples(self, cell: Cell, side: Side) -> list[Sample]:
        """The samples of one side in one cell, in the order of the rounds."""
        return list(self._rounds(cell, side).values())

    def figure(self, cell: Cell, side: Side, metric: Callable[[Sample], float]) -> Spread | None:
        """The spread of one side's figure; None when it was not measured."""
        return spread([metric(sample) for sample in self.samples(cell, side)])

    def rate_ratio(self, cell: Cell, other: Side) -> Spread | None:
        """Steelyard's successful answers a second over the other side's, round by round."""
        over, under = self._rounds(cell, Side.OURS), self._rounds(cell, other)
        return _ratios(over, under, lambda sample: sample.rate, rate_of(other))

    def latency_ratio(self, above: Cell, below: Cell) -> Spread | None:
        """Steelyard's median latency in one cell over that in another, round by round."""
        over, under = self._rounds(above, Side.OURS), self._rounds(below, Side.OURS)
        return _ratios(over, under, lambda sample: sample.p50_ms, lambda sample: sample.p50_ms)

    def raw(self) -> dict[str, dict[str, list[dict[str, float]]]]:
        """Every sample, for the JSON at the end of the report."""
        found: dict[str, dict[str, list[dict[str, float]]]] = {}
        for (cell, side), by_round in self._samples.items():
            rounds = [_rounded(sample) for _, sample in sorted(by_round.items())]
            found.setdefault(cell.key, {})[side.name.lower()] = rounds
        return found

    def _rounds(self, cell: Cell, side: Side) -> dict[int, Sample]:
        return self._samples.get((cell, side), {})


def rate_of(side: Side) -> Callable[[Sample], float]:
    """How the speed of a side is counted: the peer's in the way that favours it."""
    return lambda sample: sample.generous_rate if side is Side.PEER else sample.rate


def _rounded(sample: Sample) -> dict[str, float]:
    return {name: round(value, 3) for name, value in asdict(sample).items()}


def _ratios(
    over: dict[int, Sample],
    under: dict[int, Sample],
    above: Callable[[Sample], float],
    below: Callable[[Sample], float],
) -> Spread | None:
    both = [(above(over[turn]), below(under[turn])) for turn in over if turn in under]
    # a side that gave no answer in its time has no figure to divide by
    return spread([a / b for a, b in both if b > 0])
