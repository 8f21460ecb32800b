"""A server that asks everybody who they are, for those who try what they may not."""

from collections.abc import Iterator

import pytest

from tests.access.worlds import World, world


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server."""
    settings = (
        *("auth.attempts_per_minute=100000", "limits.head_seconds=1", "limits.body_seconds=1"),
        *("limits.body_bytes_per_second=5", "limits.connections=400"),
    )
    with world(tmp_path_factory.mktemp("attack"), *settings) as made:
        yield made
