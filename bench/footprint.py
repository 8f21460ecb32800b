"""What a contestant costs before it does anything: start, memory, disk, dependencies."""

import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from bench import peer
from bench.server import Recipe, Server

_ROOT = Path(__file__).parent.parent
_IDLE_AFTER_S = 5.0


@dataclass
class Footprint:
    """Seconds, bytes and counts; None for what was not measured."""

    starts: list[float] = field(default_factory=list)
    rss: int | None = None
    pss: int | None = None
    installed: int | None = None
    packages: int | None = None
    direct: int | None = None


def start_and_idle(recipe: Recipe, home: Path, times: int, found: Footprint, *, core: int) -> None:
    """Fill in the cold starts, each with an empty data folder, and the memory some seconds after the last.

    One start before them is not counted: it brings the program's files into the machine's page cache.
    """
    for turn in range(times + 1):
        server = Server(recipe, home / f"start-{turn}", core)
        try:
            seconds = server.start()
            if turn > 0:
                found.starts.append(seconds)
            if turn == times:
                time.sleep(_IDLE_AFTER_S)
                found.rss, found.pss = server.resident_bytes()
        finally:
            server.stop()


def our_install(home: Path, found: Footprint) -> None:
    """Install the checkout into a fresh environment that has nothing, not even pip, and measure that.

    Raises subprocess.CalledProcessError when pip fails.
    """
    source, target = home / "source", home / "environment"
    # a copy, so that building leaves nothing in the checkout
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        if (_ROOT / name).exists():
            shutil.copy(_ROOT / name, source / name)
    shutil.copytree(_ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(target)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(target / "bin" / "python"), "install", "-qq"]
    subprocess.run([*pip, "--disable-pip-version-check", str(source)], check=True)
    found.direct = _direct_dependencies()
    found.installed, found.packages = _weigh(target)


def peer_install(found: Footprint) -> None:
    """Measure the environment that peer.py made."""
    found.installed, found.packages = _weigh(peer.environment_folder())


def _direct_dependencies() -> int:
    """How many packages pyproject.toml names as dependencies of the product."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    return len(project["dependencies"])


def _weigh(environment: Path) -> tuple[int, int]:
    """Bytes of all files in an environment, compiled modules included, and the number of packages in it."""
    total = sum(path.lstat().st_size for path in environment.rglob("*") if not path.is_dir())
    return total, len(list(environment.glob("lib/python*/site-packages/*.dist-info")))
