"""All servers of one run, started and filled with models."""

import shutil
from pathlib import Path

from bench import contestants, peer
from bench.load import create_models, fetch
from bench.plan import MIDDLE, Side, Step, place_of
from bench.records import MODELS_PATH
from bench.server import Recipe, Server

_OUR_LIMIT_S = 120.0


class Fleet:
    """Servers by side and size (a bare ASGI server has size 0), each asleep from when it is ready.

    `ours` is how Steelyard is started; `home` is a folder for their data; `core` is where all of them run;
    `peer_seconds` is how long each server of the peer may take to create models in this run.
    """

    def __init__(self, ours: Recipe, home: Path, core: int, peer_seconds: float) -> None:
        self.servers: dict[tuple[Side, int], Server] = {}
        self._recipes = {
            Side.OURS: ours,
            Side.PEER: peer.recipe(),
            Side.ASGI: contestants.asgi_limit(),
            Side.SQLITE: contestants.sqlite_limit(),
        }
        self._home = home
        self._core = core
        self._peer_seconds = peer_seconds

    def start(self, side: Side, size: int) -> None:
        """Start and fill one server. It is in `servers`, to be stopped, from before it starts.

        Raises ServerError, LoadError or OSError.
        """
        models = size if side is Side.SQLITE else 0
        home = self._home / f"{side.name.lower()}-{size}"
        server = Server(self._recipes[side], home, self._core, models)
        self.servers[side, size] = server
        if side is Side.PEER:
            self._start_peer(server, size)
        else:
            server.start()
        if side is Side.OURS:
            server.models = create_models(server.url, 0, size, workers=16, seconds=_OUR_LIMIT_S)
            server.take_snapshot()
        server.settle()
        server.freeze()

    def stop(self) -> None:
        """Stop every server."""
        for server in self.servers.values():
            server.stop()

    def _start_peer(self, server: Server, size: int) -> None:
        """Go on from what an earlier run has created, for as long as the time allows, and keep that."""
        kept = _kept(size)
        before = next((folder for folder in (kept, _kept(MIDDLE)) if folder.exists()), None)
        if before is not None:
            shutil.rmtree(server.data)
            shutil.copytree(before, server.data)
        server.start()
        first = _count(server.url)
        server.models = first
        if first < size:
            server.models = create_models(server.url, first, size, workers=4, seconds=self._peer_seconds)
            server.stop()
            _replace(kept, server.data)
            server.start()


def needed(steps: list[Step]) -> list[tuple[Side, int]]:
    """The servers that the steps ask for, the small ones first."""
    return sorted({place_of(step) for step in steps}, key=lambda place: (place[1], place[0].name))


def _kept(size: int) -> Path:
    folder = peer.loaded_data()
    return folder.with_name(f"{folder.name}-{size}")


def _replace(kept: Path, data: Path) -> None:
    """Put a copy of `data` in the place of `kept`, which is never half a copy."""
    fresh = kept.with_name(f"{kept.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(data, fresh, ignore_dangling_symlinks=True)
    shutil.rmtree(kept, ignore_errors=True)
    fresh.rename(kept)


def _count(url: str) -> int:
    page = fetch(url, f"{MODELS_PATH}?page_size=1")["pagination"]
    return int(page["total_results"]) if isinstance(page, dict) else 0
