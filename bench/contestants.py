"""How the servers of our own are started; the peer is in peer.py."""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.server import Recipe

_ROOT = Path(__file__).parent.parent


def copy_source(home: Path) -> Path:
    """A copy of Steelyard's source under `home`, so that work that goes on in the checkout changes no run."""
    return Path(shutil.copytree(_ROOT / "src", home / "src", ignore=shutil.ignore_patterns("__pycache__")))


def steelyard(source: Path, settings: Sequence[str] = ()) -> Recipe:
    """Steelyard as anybody would start it: no settings but where to listen and where to keep the data, and `settings`.

    Its code is that of the folder `source`, and what it needs is that of this environment.
    """

    def command(port: int, data: Path) -> list[str]:
        program = str(Path(sys.executable).parent / "steelyard")
        listen = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data)]
        return [program, "serve", *listen, *(part for setting in settings for part in ("--set", setting))]

    return Recipe("steelyard", command, lambda _data, _models: {"PYTHONPATH": str(source)})


def asgi_limit() -> Recipe:
    """Bare ASGI with a ready answer."""
    return Recipe("asgi", _uvicorn("bench.limit_asgi:make_app"), lambda _data, _models: _python_path())


def sqlite_limit() -> Recipe:
    """Bare ASGI before one SQLite writer with group commit."""

    def environment(data: Path, models: int) -> dict[str, str]:
        database = data / "limit.sqlite3"
        database.unlink(missing_ok=True)
        return {**_python_path(), "BENCH_DATABASE": str(database), "BENCH_MODELS": str(models)}

    return Recipe("sqlite", _uvicorn("bench.limit_sqlite:make_app"), environment)


def _uvicorn(factory: str) -> Callable[[int, Path], list[str]]:
    """The same server with the same event loop and parser as Steelyard's, less its access log."""
    settings = ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--no-access-log"]

    def command(port: int, _data: Path) -> list[str]:
        listen = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        return [sys.executable, "-m", "uvicorn", "--factory", factory, *listen, *settings]

    return command


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT)}
