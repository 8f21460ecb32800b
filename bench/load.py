"""Creates the models that a contestant holds, through its API, over connections that stay open."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from bench.records import MODELS_PATH, model

_TRIES = 3


class LoadError(Exception):
    """A model could not be created, or a request was not answered as it should be."""


def create_models(url: str, first: int, end: int, *, workers: int, seconds: float) -> int:
    """Create models `first` to `end` (exclusive) until `seconds` have passed; the end of what was created.

    Raises LoadError when a model is refused, also after some tries for a 5xx.
    """
    numbers, lock = iter(range(first, end)), threading.Lock()
    until = time.monotonic() + seconds

    def work() -> int:
        connection = _connect(url)
        reached = first
        while time.monotonic() < until:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            _create(connection, number)
            reached = number + 1
        connection.close()
        return reached

    # numbers are given out in order and each that was given out is created: no gap below the highest
    with ThreadPoolExecutor(workers) as pool:
        return max(done.result() for done in [pool.submit(work) for _ in range(workers)])


def fetch(url: str, path: str) -> dict[str, object]:
    """The JSON object that GET answers. Raises LoadError when the status is not 200."""
    connection = _connect(url)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise LoadError(f"GET {path}: {response.status} {body[:200]!r}")
    answer: dict[str, object] = json.loads(body)
    return answer


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)


def _create(connection: http.client.HTTPConnection, number: int) -> None:
    body = json.dumps(model(number))
    for _ in range(_TRIES):
        connection.request("POST", MODELS_PATH, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        said = response.read()
        # 409: an earlier try was answered with an error and had been kept all the same
        if response.status in (201, 409):
            return
        if response.status < 500:
            break
        connection.close()
    raise LoadError(f"creating model {number}: {response.status} {said[:200]!r}")
