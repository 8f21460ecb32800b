"""The figures that Steelyard has to reach, and whether it did in this run."""

from dataclasses import dataclass

from bench import plan
from bench.footprint import Footprint
from bench.plan import Cell, Side
from bench.results import Results, Spread, spread

MIB, MB = 1024 * 1024, 1_000_000


@dataclass(frozen=True)
class Figure:
    """One required figure: `value` is None when it could not be measured."""

    part: str
    title: str
    bound: float
    at_least: bool
    unit: str
    value: Spread | None

    @property
    def passed(self) -> bool | None:
        """Whether the median is on the right side of the bound; None when there is none."""
        if self.value is None:
            return None
        return self.value.median >= self.bound if self.at_least else self.value.median <= self.bound


def figures(results: Results, ours: Footprint, *, with_peer: bool, only: list[str]) -> list[Figure]:
    """The required figures of the parts in `only`, measured or not; the one against the peer `with_peer`."""
    to_peer = results.rate_ratio(plan.PATCH_16_MIDDLE, Side.PEER)
    get = results.latency_ratio(plan.GET_1_LARGE, plan.GET_1_SMALL)
    page = results.latency_ratio(plan.LIST_1_LARGE, plan.LIST_1_MIDDLE)
    small, large = plan.PATCH_16_MIDDLE, plan.PATCH_16_LARGE
    found = [
        Figure("patch", "PATCH, 16 clients, to the peer's", 300, True, "x", to_peer),
        _share("PATCH, 16 clients, 1,000 models, to raw SQLite's", small, Side.SQLITE, 40, results),
        _share("PATCH, 16 clients, 10,000 models, to raw SQLite's", large, Side.SQLITE, 40, results),
        _share("GET, 64 clients, to bare ASGI's (aim: 35 %)", plan.GET_64, Side.ASGI, 20, results),
        Figure("get", "GET latency, 10,000 models to 100", 1.2, False, "x", get),
        Figure("list", "list of 100 latency, 10,000 models to 1,000", 1.5, False, "x", page),
        Figure("hot", "failures, 64 clients PATCH one model", 0, False, "", _hot_failures(results)),
        Figure("start", "cold start", 1.2, False, "s", spread(ours.starts)),
        Figure("start", "idle memory (RSS)", 100, False, "MiB", _one(ours.rss, MIB)),
        Figure("install", "install", 120, False, "MB", _one(ours.installed, MB)),
        Figure("install", "direct dependencies", 19, False, "", _one(ours.direct, 1)),
    ]
    return [figure for figure in found if figure.part in only and (with_peer or figure.value is not to_peer)]


def _share(title: str, cell: Cell, limit: Side, bound: float, results: Results) -> Figure:
    found = results.rate_ratio(cell, limit)
    percent = found and Spread(found.median * 100, found.low * 100, found.high * 100, found.rounds)
    return Figure(cell.operation, title, bound, True, "%", percent)


def _hot_failures(results: Results) -> Spread | None:
    samples = results.samples(plan.HOT_64, Side.OURS)
    if not samples or not all(sample.answers for sample in samples):
        return None
    total = sum(sample.failures for sample in samples)
    return Spread(total, total, total, len(samples))


def _one(value: int | None, unit: int) -> Spread | None:
    return None if value is None else spread([value / unit])
