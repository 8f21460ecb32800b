"""A real identity provider for tests (node-oidc-provider), and a browser that is just enough to sign in to it.

It needs Node.js, and what `make .venv-oidc/.ready` installs.
"""

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from queue import Empty, Queue
from urllib.parse import urljoin

import httpx

from tests.needs import lacking

_HERE = Path(__file__).parent
_MODULES = Path(__file__).parents[2] / ".venv-oidc" / "node_modules"
CLIENT, AUDIENCE = "steelyard-cli", "steelyard"
JOB, OTHER_JOB = "repo:acme/models:ref:refs/heads/main", "repo:evil/models:ref:refs/heads/main"
_JOB_SECRET = "ci-secret-ci-secret-ci-secret-ci"
_START_SECONDS = 30


class Provider:
    """A running provider; `issuer` is its URL."""

    def __init__(self, keys: Path | None = None, port: int = 0, lifetime: int = 3600) -> None:
        node = shutil.which("node")
        if node is None or not (_MODULES / "oidc-provider").is_dir():
            lacking("Node.js and `make .venv-oidc/.ready`, for an identity provider")
        environ = {"OIDC_MODULES": str(_MODULES), "OIDC_PORT": str(port), "OIDC_TTL": str(lifetime)}
        if keys is not None:
            environ["OIDC_KEYS"] = str(keys)
        self.process = subprocess.Popen(
            [node, str(_HERE / "provider.mjs")],
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said: Queue[str] = Queue()
        threading.Thread(target=self._read, args=(said,), daemon=True).start()
        self.issuer = ""
        while not self.issuer:
            try:
                line = said.get(timeout=_START_SECONDS)
            except Empty:
                line = ""
            if not line:
                self.stop()
                raise AssertionError("the identity provider did not start")
            self.issuer = line.strip() if line.startswith("http://") else ""

    @property
    def port(self) -> int:
        return int(self.issuer.rpartition(":")[2])

    def stop(self) -> None:
        """Ends it; whoever is signed in there is so no more."""
        self.process.kill()
        self.process.wait(20)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def job_token(self, job: str = JOB) -> str:
        """The token of a CI job."""
        form = {"grant_type": "client_credentials", "client_id": job, "client_secret": _JOB_SECRET}
        return str(_ok(httpx.post(f"{self.issuer}/token", data=form)).json()["access_token"])

    def sign_in(self, person: str, scope: str = "openid email profile offline_access") -> dict[str, str]:
        """The tokens of a person, by the device flow."""
        asked = _ok(httpx.post(f"{self.issuer}/device/auth", data={"client_id": CLIENT, "scope": scope})).json()
        approve(asked["verification_uri_complete"], person)
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "client_id": CLIENT,
            "device_code": asked["device_code"],
        }
        return dict(_ok(httpx.post(f"{self.issuer}/token", data=form)).json())

    def _read(self, said: "Queue[str]") -> None:
        assert self.process.stdout
        with contextlib.suppress(ValueError):
            for line in self.process.stdout:
                said.put(line)
        said.put("")


@contextlib.contextmanager
def providing(keys: Path | None = None, port: int = 0, lifetime: int = 3600) -> Iterator[Provider]:
    """A provider for the length of a `with`."""
    provider = Provider(keys, port, lifetime)
    try:
        yield provider
    finally:
        provider.stop()


def approve(url: str, person: str) -> None:
    """Goes to the page of a device's code, as a person would: confirms it, signs in, and consents."""
    with httpx.Client(follow_redirects=True) as browser:
        page = _ok(browser.get(url))
        for _ in range(8):
            form = _Form(page.text)
            if form.action is None:
                break
            values = {**form.fields, **({"login": person, "password": "any"} if form.asks_who else {})}
            page = _ok(browser.post(urljoin(str(page.url), form.action), data=values))
        assert re.search("sign-in success", page.text, re.IGNORECASE), page.text


class _Form(HTMLParser):
    """The first form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.asks_who = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action = found.get("action", "")
        elif tag == "input" and found.get("name") == "login":
            self.asks_who = True
        elif tag == "input" and found.get("type") != "submit" and found.get("name"):
            self.fields[found["name"]] = found.get("value", "")


def _ok(response: httpx.Response) -> httpx.Response:
    assert response.status_code < 400, response.text
    return response
