"""What is measured: the cells of the tables, who takes part in each, for how long and in how many rounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

SMALL, MIDDLE, LARGE = 100, 1_000, 10_000


class Side(Enum):
    """A contestant."""

    OURS = "Steelyard"
    PEER = "NeMo Platform"
    ASGI = "bare ASGI"
    SQLITE = "raw SQLite"


@dataclass(frozen=True)
class Cell:
    """One operation on a registry of `size` models with a number of clients."""

    operation: str
    size: int
    clients: int

    @property
    def key(self) -> str:
        """Its name in the raw results."""
        return f"{self.operation}/{self.size}/{self.clients}"


@dataclass(frozen=True)
class Step:
    """One side measured in one cell, in each of the first `rounds` rounds, for `seconds` each time."""

    cell: Cell
    side: Side
    rounds: int
    seconds: int


def place_of(step: Step) -> tuple[Side, int]:
    """Which server a step needs: its side, and its size, which is 0 for one that holds no models."""
    return step.side, 0 if step.side is Side.ASGI else step.cell.size


# What the required figures are made of.
GET_64 = Cell("get", LARGE, 64)
GET_1_SMALL, GET_1_LARGE = Cell("get", SMALL, 1), Cell("get", LARGE, 1)
LIST_1_MIDDLE, LIST_1_LARGE = Cell("list", MIDDLE, 1), Cell("list", LARGE, 1)
PATCH_16_MIDDLE, PATCH_16_LARGE = Cell("patch", MIDDLE, 16), Cell("patch", LARGE, 16)
HOT_64 = Cell("hot", LARGE, 64)

_REQUIRED = (
    GET_64,
    GET_1_SMALL,
    GET_1_LARGE,
    LIST_1_MIDDLE,
    LIST_1_LARGE,
    PATCH_16_MIDDLE,
    PATCH_16_LARGE,
    HOT_64,
)
_FILTERS = ("like", "type", "base", "text")
_LIMITS = {"get": Side.ASGI, "patch": Side.SQLITE}
# Creating comes last: it makes the registries larger.
OPERATIONS = ("get", "patch", "hot", "list", "like", "type", "base", "text", "create")


def quick(rounds: int) -> list[Step]:
    """The required figures only."""
    return [step for cell in _REQUIRED for step in _required(cell, rounds, 2)]


def full(rounds: int) -> list[Step]:
    """The required figures in all rounds; the rest of the tables in the first two, and the peer's share of
    that, which takes longer to measure, in the first."""
    steps: list[Step] = []
    for cell in _REQUIRED:
        steps += _required(cell, rounds, 3)
        if cell not in (PATCH_16_MIDDLE, GET_1_SMALL):
            steps.append(_peer(cell, 1, 3))
    for operation in (name for name in OPERATIONS if name != "hot"):
        for size in (MIDDLE, LARGE):
            for clients in (1, 16, 64):
                cell = Cell(operation, size, clients)
                if cell not in _REQUIRED:
                    steps += _rest(cell, min(2, rounds))
    return steps


def _required(cell: Cell, rounds: int, seconds: int) -> Iterator[Step]:
    if cell in (GET_64, PATCH_16_MIDDLE, PATCH_16_LARGE):
        yield Step(cell, _LIMITS[cell.operation], rounds, seconds)
    yield Step(cell, Side.OURS, rounds, seconds)
    if cell == PATCH_16_MIDDLE:
        yield _peer(cell, rounds, seconds)


def _rest(cell: Cell, rounds: int) -> Iterator[Step]:
    if cell.operation in _LIMITS:
        yield Step(cell, _LIMITS[cell.operation], rounds, 2)
    yield Step(cell, Side.OURS, rounds, 2)
    # more clients do not make the peer faster: one read and one write with 64 show that
    most = 64 if cell.operation == "patch" and cell.size == LARGE else 1 if cell.operation in _FILTERS else 16
    if cell.clients <= most:
        yield _peer(cell, 1, 2)


def _peer(cell: Cell, rounds: int, seconds: int) -> Step:
    """The peer is measured long enough that each client gets several answers: it gives some fifteen a second,
    and in a shorter run most of its work would still be under way at the end, and not counted."""
    return Step(cell, Side.PEER, rounds, max(seconds, {1: 3, 16: 8}.get(cell.clients, 16)))
