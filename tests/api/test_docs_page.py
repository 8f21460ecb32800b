"""The page `/docs` in a real browser: it shows every operation, and asks nothing of any other server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.needs import lacking
from tests.servers import Server

_SECONDS = 120
_OPERATION_ID = 'id="operations-'


@pytest.fixture(scope="module")
def browser() -> str:
    """Chromium, as Debian and others package it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or lacking("there is no Chromium (Debian: apt-get install chromium)")


def _asked_by_page(net_log: Path, origin: str) -> set[str]:
    """The addresses that the page has asked for; what the browser asks for by itself has another initiator."""
    events = json.loads(net_log.read_text())["events"]
    given = [event["params"] for event in events if "url" in event.get("params", {})]
    return {params["url"] for params in given if params.get("initiator") == origin}


def test_the_page_shows_every_operation_and_loads_nothing_from_elsewhere(
    server: Server, browser: str, tmp_path: Path
) -> None:
    net_log = tmp_path / "net.json"
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
        # Nothing but our server can be reached: what the page needs from elsewhere is missing from it.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        *(f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={net_log}"),
        *("--virtual-time-budget=30000", "--dump-dom", f"{server.url}/docs"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    asked = _asked_by_page(net_log, server.url)
    assert f"{server.url}/openapi.json" in asked, "the page reads the document"
    assert [url for url in asked if not url.startswith((f"{server.url}/", "data:"))] == []
    assert done.stdout.count(_OPERATION_ID) > 50
    for path in ("/apis/models/v2/workspaces/{workspace}/models/{name}", "/health/ready"):
        assert f'data-path="{path}"' in done.stdout, f"{path} is missing from the page"
