"""A server whose gateway may send to loopback, and engines for it."""

from collections.abc import Iterator

import pytest

from tests.gateway.gates import Gate, gate
from tests.gateway.upstreams import Upstream, upstream


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("faults") / "data") as door:
        yield door


@pytest.fixture(scope="module")
def _engines() -> Iterator[tuple[Upstream, Upstream]]:
    with upstream() as first, upstream() as second:
        yield first, second


@pytest.fixture
def engine(_engines: tuple[Upstream, Upstream]) -> Upstream:
    _engines[0].settle()
    # Over a kept connection, the gateway sends a request once more where the engine ends it without a word.
    _engines[0].close_idle()
    return _engines[0]


@pytest.fixture
def other(_engines: tuple[Upstream, Upstream]) -> Upstream:
    _engines[1].settle()
    return _engines[1]


@pytest.fixture(scope="module")
def _three() -> Iterator[list[Upstream]]:
    with upstream() as one, upstream() as two, upstream() as three:
        yield [one, two, three]


@pytest.fixture
def engines(_three: list[Upstream]) -> list[Upstream]:
    for engine in _three:
        engine.settle()
        engine.close_idle()
    return _three
