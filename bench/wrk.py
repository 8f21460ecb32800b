"""Runs wrk, pinned to its own core, and reads what its scripts here print."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SCRIPTS = Path(__file__).parent / "lua"
_MARK = "BENCH "
# Slow answers are slow answers, not errors.
_ANSWER_LIMIT_S = 60


class WrkError(Exception):
    """wrk is missing or did not run."""


@dataclass(frozen=True)
class Sample:
    """One run: counts, seconds and milliseconds. Latencies are of all answers, also of refusals."""

    clients: int
    answers: int
    refusals: int
    socket_errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    mean_ms: float

    @property
    def rate(self) -> float:
        """Answers a second that were not errors."""
        return (self.answers - self.refusals) / self.seconds

    @property
    def generous_rate(self) -> float:
        """The rate, or what it would be if the requests under way at the end had been counted in part.

        With N clients that always wait, N over the mean latency is the rate of a long run (Little's law). It
        differs where a run is only a few latencies long, and would wrong a slow server.
        """
        if self.answers == 0:
            return 0.0
        good = (self.answers - self.refusals) / self.answers
        return max(self.rate, good * self.clients / (self.mean_ms / 1e3))

    @property
    def failures(self) -> int:
        """Requests that were refused or whose connection broke."""
        return self.refusals + self.socket_errors

    @property
    def failure_share(self) -> float:
        """Failures among all requests, 0..1."""
        return self.failures / max(1, self.answers + self.socket_errors)


def find_wrk() -> str:
    """Where wrk is; WrkError says how to install it."""
    found = shutil.which("wrk")
    if found is None:
        raise WrkError("wrk is not installed: apt-get update && apt-get install wrk")
    return found


def run_wrk(url: str, script: str, arguments: list[str], *, clients: int, seconds: int, core: int) -> Sample:
    """One run of `script` (a file of lua/ without its ending) with `clients` connections.

    Raises WrkError when wrk fails or its answer cannot be read.
    """
    command = ["taskset", "-c", str(core), find_wrk(), "-t1", f"-c{clients}", f"-d{seconds}s"]
    command += ["--timeout", f"{_ANSWER_LIMIT_S}s", "-s", f"{script}.lua", url, "--", *arguments]
    limit = seconds + 1.5 * _ANSWER_LIMIT_S
    done = subprocess.run(command, cwd=_SCRIPTS, capture_output=True, text=True, timeout=limit, check=False)
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            return _sample(clients, json.loads(line.removeprefix(_MARK)))
    raise WrkError(f"wrk printed no result: {(done.stderr or done.stdout).strip()[-300:]}")


def _sample(clients: int, raw: dict[str, float]) -> Sample:
    return Sample(
        clients=clients,
        answers=int(raw["requests"]),
        refusals=int(raw["status_errors"]),
        socket_errors=int(raw["socket_errors"]),
        seconds=raw["duration_us"] / 1e6,
        p50_ms=raw["p50_us"] / 1e3,
        p99_ms=raw["p99_us"] / 1e3,
        mean_ms=raw["mean_us"] / 1e3,
    )
