"""The Hub's own clients, unmodified, against a real server; in an empty home, and without any other network."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi, HfFileSystem, constants

HF = "/apis/files/v2/hf"


@pytest.fixture(params=["xet", "lfs"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the client sends large files: as it does by itself, and as with `HF_HUB_DISABLE_XET=1`."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", request.param == "lfs")
    return str(request.param)


@pytest.fixture
def api(server_url: str) -> HfApi:
    """The client."""
    return HfApi(endpoint=f"{server_url}{HF}")


@pytest.fixture
def fs(server_url: str) -> HfFileSystem:
    """The client as a file system; it remembers nothing of tests before."""
    HfFileSystem.clear_instance_cache()
    return HfFileSystem(endpoint=f"{server_url}{HF}")


@pytest.fixture
def repo(api: HfApi, workspace: str) -> str:
    """A new repository without files."""
    return str(api.create_repo(f"{workspace}/repo").repo_id)


Script = Callable[..., str]


@pytest.fixture
def script(server_url: str, tmp_path: Path) -> Script:
    """Runs Python in a process of its own, as a user would who has set `HF_ENDPOINT`, with an empty home."""

    def run(text: str, *arguments: str, **environ: str) -> str:
        home = tmp_path / f"home-{len(list(tmp_path.iterdir()))}"
        home.mkdir()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "STEELYARD_"))}
        done = subprocess.run(
            [sys.executable, "-c", text, *arguments],
            env={
                **inherited,
                **{"HF_ENDPOINT": f"{server_url}{HF}", "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"},
                **environ,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run
