"""One server for the tests of this folder, with somebody of each kind."""

from collections.abc import Iterator

import httpx
import pytest

from tests.access.requests import FOLDER, REPOSITORY
from tests.access.worlds import OTHER, OWN, World, askers, world


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server, with a repository in each of its workspaces."""
    settings = ("secrets.access=open", "auth.attempts_per_minute=100000", "outbound.allowed_networks=127.0.0.0/8")
    with world(tmp_path_factory.mktemp("access"), *settings) as made:
        for workspace in (OWN, OTHER):
            made.workspace(workspace)
            filesets = f"/apis/files/v2/workspaces/{workspace}/filesets"
            assert made.root.post(filesets, json={"name": REPOSITORY}).status_code == 200
            for path in ("weights.bin", f"{FOLDER}/weights.bin"):
                assert made.root.put(f"{filesets}/{REPOSITORY}/-/{path}", content=b"x").status_code < 300
        yield made


@pytest.fixture(scope="session")
def people(asked: World) -> dict[str, httpx.Client]:
    """Somebody of each column of the matrix."""
    return askers(asked)
