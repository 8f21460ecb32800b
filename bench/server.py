"""One server under test: started on one core, stopped for sure, frozen while another is measured."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.processes import cpu_seconds, resident_bytes, tree

START_LIMIT_S = 180.0
_STOP_LIMIT_S = 15.0


class ServerError(Exception):
    """A server did not start, or died."""


@dataclass(frozen=True)
class Recipe:
    """How to start one kind of server: `command` gets the port and the data folder, `environment` the data
    folder and how many models to hold from the start. `ready` answers 200 once it can be used."""

    name: str
    command: Callable[[int, Path], list[str]]
    environment: Callable[[Path, int], Mapping[str, str]]
    ready: str = "/health/ready"


class Server:
    """A server process group with its own data folder under `home`, pinned to `core`.

    `models` is how many models it holds: m-00000 and on. It is raised by whoever loads them.
    """

    def __init__(self, recipe: Recipe, home: Path, core: int, models: int = 0) -> None:
        self.name = recipe.name
        self.models = models
        self.port = _free_port()
        self.data = home / "data"
        self._snapshot = home / "snapshot"
        self._log = home / "log.txt"
        self._recipe = recipe
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None
        self.data.mkdir(parents=True)

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start it; seconds from the spawn to the first 200 of its path for that.

        Raises ServerError when it ends before that, or is not ready within START_LIMIT_S.
        """
        environment = {**os.environ, **self._recipe.environment(self.data, self.models)}
        command = ["taskset", "-c", str(self._core), *self._recipe.command(self.port, self.data)]
        begun = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() - begun > START_LIMIT_S:
                self.stop()
                raise ServerError(f"{self.name} did not start; its last words: {self._last_words()}")
            time.sleep(0.005)
        return time.perf_counter() - begun

    def stop(self) -> None:
        """End the process group, politely at first; nothing happens when it does not run."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_LIMIT_S)
        # also when it has ended: a child of it may have outlived it
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop its processes where they are, so that its background work costs the others nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its processes run again."""
        self._signal(signal.SIGCONT)

    def settle(self, limit_s: float = 15.0) -> None:
        """Wait until it has finished what abandoned requests left behind: its CPU time stands still."""
        until = time.monotonic() + limit_s
        before = self.cpu_seconds()
        while time.monotonic() < until:
            time.sleep(0.15)
            now = self.cpu_seconds()
            if now - before <= 0.02:
                return
            before = now

    def take_snapshot(self) -> None:
        """Keep a copy of its data folder as it is now (it is stopped for that, and started again)."""
        self.stop()
        shutil.rmtree(self._snapshot, ignore_errors=True)
        shutil.copytree(self.data, self._snapshot)
        self.start()

    def restore_snapshot(self) -> None:
        """Start again from the copy that `take_snapshot` kept."""
        self.stop()
        shutil.rmtree(self.data)
        shutil.copytree(self._snapshot, self.data)
        self.start()

    def resident_bytes(self) -> tuple[int, int]:
        """RSS and PSS of all its processes, in bytes."""
        return resident_bytes(tree(self._pid))

    def cpu_seconds(self) -> float:
        """What all its processes have used so far."""
        return cpu_seconds(tree(self._pid))

    @property
    def _pid(self) -> int:
        if self._process is None:
            raise ServerError(f"{self.name} does not run")
        return self._process.pid

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self._recipe.ready)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "none"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
