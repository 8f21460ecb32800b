"""The figures that Steelyard's gateway has to reach, and the tables of what was measured."""

from bench.gateway.samples import Key, Samples
from bench.gateway.sides import Case, Side
from bench.required import Figure
from bench.results import Spread
from bench.tables import Table, number

MIB = 1024 * 1024

P50_1, P99_1 = "p50 at 1 client, ms", "p99 at 1 client, ms"
RATE_64, P50_64, P99_64 = "requests/s at 64 clients", "p50 at 64 clients, ms", "p99 at 64 clients, ms"
FIRST, FIRST_P99 = "64 streams: first byte p50, ms", "64 streams: first byte p99, ms"
CPU_REQUEST, CPU = "CPU per request, µs", "CPU per streamed event, µs"
HELD = "1,000 open streams over idle, MiB"
ADDED = "added p50 at 1 client, ms"
_MEASURES = (P50_1, P99_1, ADDED, RATE_64, P50_64, P99_64, CPU_REQUEST, FIRST, FIRST_P99, CPU, HELD)
_SIDES = (Side.DIRECT, Side.NGINX, Side.OURS, Side.PEER, Side.LITELLM)


def required(samples: Samples, *, peer: bool, litellm: bool, only: list[str]) -> list[Figure]:
    """The required figures of the parts in `only`, measured or not."""
    to_nginx, to_peer = _added_ratio(samples, Side.NGINX), _added_ratio(samples, Side.PEER, turned=True)
    found = [
        Figure("latency", "added p50, 1 client, to nginx's", 4, False, "x", to_nginx),
        Figure("speed", "translated, cost per request to plain", 2, False, "x", _case_cost(samples, Case.TRANSLATED)),
        Figure("streams", "64 streams, first byte p50 to nginx's", 12, False, "x", _ratio(samples, FIRST)),
        Figure("streams", "CPU per streamed event to nginx's", 6, False, "x", _ratio(samples, CPU)),
        Figure("held", "1,000 open streams, over idle", 64, False, "MiB", samples.figure(Key(HELD, Side.OURS))),
    ]
    if peer:
        found.insert(1, Figure("latency", "added p50, 1 client, the peer's to ours", 7, True, "x", to_peer))
        rate = _ratio(samples, RATE_64, Side.PEER)
        found.insert(2, Figure("speed", "requests/s, 64 clients, to the peer's", 20, True, "x", rate))
    if litellm:
        rate = _ratio(samples, RATE_64, Side.LITELLM)
        found.insert(-4, Figure("speed", "requests/s, 64 clients, to LiteLLM's", 50, True, "x", rate))
    return [figure for figure in found if figure.part in only]


def tables(samples: Samples) -> list[tuple[str, Table]]:
    """Medians by side, and ours by case with the spread of its ratios."""
    return [
        table
        for table in (
            ("Gateway: measured", _by_side(samples)),
            ("Gateway: Steelyard to the others", _ratios(samples)),
            ("Gateway: what else Steelyard does", _by_case(samples)),
        )
        if len(table[1]) > 1
    ]


def _by_side(samples: Samples) -> Table:
    rows = [["measured (median)", *(side.value for side in _SIDES)]]
    for measure in _MEASURES:
        row = [_median(_value(samples, measure, side)) for side in _SIDES]
        if any(row):
            rows.append([measure, *row])
    return rows


def _ratios(samples: Samples) -> Table:
    others = [side for side in _SIDES if side is not Side.OURS]
    rows = [["Steelyard to", *(side.value for side in others)]]
    for measure in (ADDED, RATE_64, CPU_REQUEST, FIRST, CPU, HELD):
        row = [
            _spread(_added_ratio(samples, side) if measure is ADDED else _ratio(samples, measure, side))
            for side in others
        ]
        if any(row):
            rows.append([measure.partition(",")[0] if measure != HELD else HELD, *row])
    return rows


def _by_case(samples: Samples) -> Table:
    rows = [["case", RATE_64, "cost per request to plain", CPU_REQUEST, FIRST, CPU, "to plain"]]
    for case in Case:
        rate, used, first, cpu = (
            _median(samples.figure(Key(measure, Side.OURS, case))) for measure in (RATE_64, CPU_REQUEST, FIRST, CPU)
        )
        if rate or cpu:
            more = samples.of(_divide, Key(CPU, Side.OURS, case), Key(CPU, Side.OURS))
            rows.append([case.value, rate, _spread(_case_cost(samples, case)), used, first, cpu, _spread(more)])
    return rows


def _value(samples: Samples, measure: str, side: Side) -> Spread | None:
    if measure is not ADDED:
        return samples.figure(Key(measure, side))
    if side is Side.DIRECT:
        return None
    return samples.of(lambda with_it, without: with_it - without, Key(P50_1, side), Key(P50_1, Side.DIRECT))


def _added_ratio(samples: Samples, other: Side, *, turned: bool = False) -> Spread | None:
    def ratio(ours: float, theirs: float, direct: float) -> float | None:
        over, under = (theirs, ours) if turned else (ours, theirs)
        return _divide(over - direct, under - direct)

    if other is Side.DIRECT:
        return None
    return samples.of(ratio, *(Key(P50_1, side) for side in (Side.OURS, other, Side.DIRECT)))


def _ratio(samples: Samples, measure: str, other: Side = Side.NGINX) -> Spread | None:
    return samples.of(_divide, Key(measure, Side.OURS), Key(measure, other))


def _case_cost(samples: Samples, case: Case) -> Spread | None:
    return samples.of(_divide, Key(RATE_64, Side.OURS), Key(RATE_64, Side.OURS, case))


def _divide(over: float, under: float) -> float | None:
    return over / under if under > 0 else None


def _median(found: Spread | None) -> str:
    return number(found.median) if found else ""


def _spread(found: Spread | None) -> str:
    return f"{number(found.median)}x ({number(found.low)}..{number(found.high)})" if found else ""
