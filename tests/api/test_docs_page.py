"""The page `/docs` in a real browser: it shows every operation, and asks nothing of any other server."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import lacking
from tests.servers import Server, running

_SECONDS = 120
_OPERATION_ID = 'id="operations-'


@pytest.fixture(scope="module")
def browser() -> str:
    """Chromium, as Debian and others package it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or lacking("there is no Chromium (Debian: apt-get install chromium)")


@pytest.fixture(params=["open", "asks who is there"])
def shown(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Server]:
    """A server. One with authentication shows its page to everybody too: a browser that opens it has no key."""
    if request.param == "open":
        yield server
    else:
        with running(tmp_path / "data", "--set", "auth.enabled=true") as closed:
            yield closed


def _asked_by_page(net_log: Path, origin: str) -> set[str]:
    """The addresses that the page has asked for; what the browser asks for by itself has another initiator."""
    events = json.loads(net_log.read_text())["events"]
    given = [event["params"] for event in events if "url" in event.get("params", {})]
    return {params["url"] for params in given if params.get("initiator") == origin}


def test_the_page_shows_every_operation_and_loads_nothing_from_elsewhere(
    shown: Server, browser: str, tmp_path: Path
) -> None:
    net_log = tmp_path / "net.json"
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
        # Nothing but our server can be reached: what the page needs from elsewhere is missing from it.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        *(f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={net_log}"),
        *("--virtual-time-budget=30000", "--dump-dom", f"{shown.url}/docs"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    asked = _asked_by_page(net_log, shown.url)
    assert f"{shown.url}/openapi.json" in asked, "the page reads the document"
    assert [url for url in asked if not url.startswith((f"{shown.url}/", "data:"))] == []
    assert done.stdout.count(_OPERATION_ID) > 50
    for path in ("/apis/models/v2/workspaces/{workspace}/models/{name}", "/health/ready"):
        assert f'data-path="{path}"' in done.stdout, f"{path} is missing from the page"
    assert 'class="btn authorize' in done.stdout, (
        "a key can be given on the page, for the requests that are tried there"
    )
