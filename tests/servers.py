"""Real Steelyard servers for tests: processes of their own, on ports of their own, over folders of their own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

_READY = re.compile(r"listens on (http://\S+)")
_START_SECONDS = 30


class Server:
    """A running `steelyard serve`. `url` is where it listens; `log` is what it has written so far."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str], arguments: tuple[str, ...]) -> None:
        self.data_dir = data_dir
        self._lines: list[str] = []
        self._ready = threading.Event()
        self.url = ""
        # Client tests run in an environment of their own, which has the clients but not the server.
        python = os.environ.get("STEELYARD_PYTHON", sys.executable)
        command = [python, "-m", "steelyard", "serve", "--port", "0", "--data-dir", str(data_dir), *arguments]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("STEELYARD_")}
        self.process = subprocess.Popen(
            command, env={**inherited, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(_START_SECONDS) or not self.url:
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.log}")

    @property
    def log(self) -> str:
        return "".join(self._lines)

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.append(line)
            if not self.url and (found := _READY.search(line)):
                self.url = found[1]
                self._ready.set()
        self._ready.set()

    def stop(self) -> int:
        """Asks the server to stop, as an operator would, and answers its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended(20)

    def kill(self) -> None:
        """Ends the server as a power failure would end the process: without a word."""
        self.process.kill()
        self._ended(20)

    def _ended(self, seconds: int) -> int:
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        if self.process.stderr:
            self.process.stderr.close()
        return code


@contextlib.contextmanager
def running(data_dir: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server that runs for the length of a `with`."""
    server = Server(data_dir, environ or {}, arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
