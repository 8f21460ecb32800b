"""The peer: NeMo Platform from PyPI, in an environment of its own outside the repository.

Everything here is its public surface: the extra that its package page recommends, `nemo services run --help`,
and documented environment variables. Its core services run in one process without Docker, with auth off.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.records import model
from bench.server import Recipe

# The version whose API Steelyard speaks, with the extra that its package page recommends.
REQUIREMENT = "nemo-platform[all]==0.3.0"


def cache_folder() -> Path:
    """Where the environment and the loaded data are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "steelyard-bench"


def environment_folder() -> Path:
    """The peer's virtual environment."""
    return cache_folder() / "peer"


def install() -> None:
    """Make the peer's environment unless it is there: over a gigabyte, but no GPU libraries.

    Raises subprocess.CalledProcessError when that fails.
    """
    make_environment(environment_folder(), REQUIREMENT)


def make_environment(target: Path, requirement: str) -> None:
    """A virtual environment with `requirement` in it, made anew unless it has been made for the same.

    Raises subprocess.CalledProcessError when that fails.
    """
    done = target / "installed.txt"
    if done.exists() and done.read_text() == requirement:
        return
    shutil.rmtree(target, ignore_errors=True)
    python = target / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(target)], check=True)
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    if Path(uv).exists():
        command = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), requirement]
    else:
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", requirement]
    subprocess.run(command, check=True)
    done.write_text(requirement)


def recipe() -> Recipe:
    """How the peer is started: its core services only, no controllers, so that it does the least it can."""

    def command(port: int, _data: Path) -> list[str]:
        program = str(environment_folder() / "bin" / "nemo")
        services = ["services", "run", "--service-group", "core"]
        return [program, *services, "--host", "127.0.0.1", "--port", str(port), "--instance", f"bench-{port}"]

    def environment(data: Path, _models: int) -> dict[str, str]:
        kinds = ("CONFIG", "DATA", "STATE", "CACHE")
        folders = {f"XDG_{kind}_HOME": str(data / kind.lower()) for kind in kinds}
        return {**folders, "HOME": str(data), "NMP_AUTH_ENABLED": "false"}

    return Recipe("peer", command, environment)


def loaded_data() -> Path:
    """Where a peer's data folder with models in it is kept between runs.

    It creates some twenty models a second, so that each run adds as many as its time allows to what the last
    one has left. The folder's name changes with the version and with the models.
    """
    version = hashlib.sha256(json.dumps([REQUIREMENT, model(1), model(2)]).encode()).hexdigest()[:12]
    return cache_folder() / f"peer-data-{version}"
