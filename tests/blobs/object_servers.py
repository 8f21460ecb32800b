"""Real S3 servers for tests, from the environment `.venv-storage`: `make .venv-storage/.ready` makes it.

moto knows ranges, parts and conditional writes, and lets everybody in. rclone checks signatures, and answers ranges in
a way that our client refuses. So each is asked for what it does well.
"""

import contextlib
import queue
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.needs import lacking

BUCKET = "weights"
KEY_ID = "key-of-the-tests"
SECRET = "secret-of-the-tests"

_ENVIRONMENT = Path(__file__).parents[2] / ".venv-storage" / "bin"
_START_SECONDS = 30


def moto() -> contextlib.AbstractContextManager[str]:
    """A server with an empty bucket; gives its URL."""
    return _serving([str(_ENVIRONMENT / "moto_server"), "-H", "127.0.0.1", "-p", "0"])


def rclone(folder: Path) -> contextlib.AbstractContextManager[str]:
    """A server over a folder, whose only user is `KEY_ID` with `SECRET`; gives its URL."""
    (folder / BUCKET).mkdir(parents=True)
    command = [str(_ENVIRONMENT / "rclone"), "serve", "s3", str(folder), "--addr", "127.0.0.1:0", "--config", ""]
    return _serving([*command, "--auth-key", f"{KEY_ID},{SECRET}"], create=False)


def options(url: str, **others: str) -> dict[str, str]:
    """The options of an object store that reach one of these servers."""
    return {
        "endpoint": url,
        "region": "us-east-1",
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        **others,
    }


@contextlib.contextmanager
def _serving(command: list[str], *, create: bool = True) -> Iterator[str]:
    if not Path(command[0]).exists():
        lacking("there is no object store to test against: run `make .venv-storage/.ready`")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    urls: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stderr
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                urls.put(found[0])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        url = urls.get(timeout=_START_SECONDS)
        if create:
            with urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT"), timeout=10) as answer:
                assert answer.status == 200
        yield url
    finally:
        process.kill()
        process.wait(20)
        reader.join(20)
        assert process.stderr
        process.stderr.close()
