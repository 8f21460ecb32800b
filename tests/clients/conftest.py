"""The real clients: the SDK in this process, the `nemo` command in processes of its own; both in an empty home."""

import os
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from nemo_platform import AsyncNeMoPlatform, NeMoPlatform  # type: ignore[import-not-found,unused-ignore]

from tests.servers import Server, running

_NEMO = Path(sys.executable).with_name("nemo")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that all tests here share; it may ask engines of this machine."""
    with running(tmp_path_factory.mktemp("shared") / "data", "--set", "outbound.allow_private=true") as server:
        yield server


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has no configuration of either client."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _no_configuration(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has configured for the clients is none of their business."""
    for name in [name for name in os.environ if name.startswith("NMP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    """What the SDK loads when its files are first asked for warns of its own dependencies; that is not our business."""
    with warnings.catch_warnings(), NeMoPlatform(base_url="http://127.0.0.1:9", workspace="none") as client:
        warnings.simplefilter("ignore")
        assert client.files.client


@pytest.fixture
def sdk(server_url: str, workspace: str) -> Iterator[NeMoPlatform]:
    """The SDK's client, in a new workspace of the shared server."""
    with NeMoPlatform(base_url=server_url, workspace=workspace) as client:
        yield client


@pytest.fixture
async def async_sdk(server_url: str, workspace: str) -> AsyncIterator[AsyncNeMoPlatform]:
    """The SDK's asynchronous client, in the same workspace as `sdk`."""
    async with AsyncNeMoPlatform(base_url=server_url, workspace=workspace) as client:
        yield client


Nemo = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def nemo(server_url: str, home: Path) -> Nemo:
    """Runs the `nemo` command against the shared server: `nemo("models", "list", ..., input=...)`."""

    def run(*arguments: str, input: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(_NEMO), "--base-url", server_url, *arguments],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
            cwd=home,
            check=False,
        )

    return run
