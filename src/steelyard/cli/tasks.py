"""Many small jobs on a few threads: the first error stops the rest, and Ctrl-C stops them all."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Annotated, TypeVar

import typer

from steelyard.cli.errors import CliError

T = TypeVar("T")

Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="How many files or parts at once.")]
_AHEAD = 4


class StoppedError(CliError):
    """The other jobs were stopped because one failed."""


class Stop:
    """Whether the jobs shall end; they look here between pieces."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def now(self) -> None:
        """Ask all jobs to end."""
        self._event.set()

    def check(self) -> None:
        """Raises `StoppedError` if the jobs shall end."""
        if self._event.is_set():
            raise StoppedError("stopped")

    def wait(self, seconds: float) -> None:
        """Waits, unless the jobs shall end: then it raises `StoppedError` at once."""
        self._event.wait(seconds)
        self.check()


def run_all(work: Iterable[Callable[[], T]], jobs: int, stop: Stop) -> list[T]:
    """What the jobs answer, in no order. Raises what the first one that fails raises, when all have ended."""
    results: list[T] = []
    running: set[Future[T]] = set()
    with ThreadPoolExecutor(jobs, thread_name_prefix="steelyard") as threads:
        try:
            for one in work:
                running.add(threads.submit(one))
                # So that a hundred thousand jobs are not all in memory.
                if len(running) >= jobs * _AHEAD:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    results += [future.result() for future in done]
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                results += [future.result() for future in done]
        except BaseException:
            stop.now()
            for future in running:
                future.cancel()
            raise
    return results
