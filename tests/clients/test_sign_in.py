"""The SDK and the `nemo` command sign in: with a token of a real identity provider, by device flow, as a workload."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nemo_platform import (  # type: ignore[import-not-found,unused-ignore]
    AuthenticationError,
    NeMoPlatform,
    PermissionDeniedError,
)

from tests.oidc.provider import AUDIENCE, CLIENT, Provider, approve, providing
from tests.servers import Server, running

_NEMO = Path(sys.executable).with_name("nemo")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as provider:
        yield provider


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Server]:
    """A server that believes the provider, in which Alice edits, the job publishes, and Bob may do nothing."""
    environ = {
        "STEELYARD_AUTH__ENABLED": "true",
        "STEELYARD_AUTH__OIDC__ISSUER": provider.issuer,
        "STEELYARD_AUTH__OIDC__CLIENT_ID": CLIENT,
        "STEELYARD_AUTH__OIDC__AUDIENCE": AUDIENCE,
        "STEELYARD_AUTH__WORKLOADS": f"{provider.issuer}|repo:acme/models:*|ci-models",
    }
    with running(tmp_path_factory.mktemp("guarded") / "data", environ=environ) as server:
        found = re.search(r"sy_\w+", server.log)
        assert found
        for principal, role in (("group:ml-team", "Editor"), ("ci-models", "Publisher")):
            httpx.post(
                f"{server.url}/apis/auth/v2/iam/role-bindings",
                json={"principal": principal, "role": role, "workspace": "default"},
                headers={"authorization": f"Bearer {found[0]}"},
            ).raise_for_status()
        yield server


def _sdk(server: Server, token: str | None) -> NeMoPlatform:
    return NeMoPlatform(base_url=server.url, workspace="default", access_token=token)


def _who(client: NeMoPlatform) -> str:
    return str(client.get("/apis/auth/v2/me", cast_to=dict[str, Any])["subject"])


def test_the_sdk_works_with_a_token(guarded: Server, provider: Provider) -> None:
    with _sdk(guarded, provider.sign_in("alice")["access_token"]) as client:
        client.models.create(name="of-alice")
        assert client.models.retrieve("of-alice").name == "of-alice"
        assert _who(client) == "alice"


def test_the_sdk_is_told_why_not(guarded: Server, provider: Provider) -> None:
    with _sdk(guarded, provider.sign_in("bob")["access_token"]) as client, pytest.raises(PermissionDeniedError):
        client.models.create(name="of-bob")
    with _sdk(guarded, "e30.e30.e30") as client, pytest.raises(AuthenticationError):
        client.models.list()
    with _sdk(guarded, None) as client, pytest.raises(AuthenticationError):
        client.models.list()


def test_nemo_signs_in_by_the_device_flow(guarded: Server, home: Path) -> None:
    environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}

    def nemo(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(_NEMO), *arguments]
        return subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True, check=False, timeout=60)

    with subprocess.Popen(
        [str(_NEMO), "auth", "login", "--no-browser", "--base-url", guarded.url],
        env=environ,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        page = code = ""
        said = []
        for line in process.stdout:
            said.append(line)
            page = page or (found[0] if (found := re.search(r"http://\S+/device\b", line)) else "")
            code = code or (found[0] if (found := re.search(r"\b[A-Z]{4}-[A-Z]{4}\b", line)) else "")
            if page and code:
                break
        assert page and code, said
        approve(f"{page}?user_code={code}", "alice")
        rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0, rest
    assert "alice@example.com" in rest

    made = nemo("models", "create", "by-nemo", "--workspace", "default")
    assert made.returncode == 0, made.stdout + made.stderr
    assert nemo("auth", "refresh").returncode == 0


def test_the_sdk_trades_a_workloads_token(
    guarded: Server, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(provider.job_token())
    monkeypatch.setenv("NMP_WORKLOAD_IDENTITY_TOKEN_FILE", str(file))
    monkeypatch.setenv("NMP_BASE_URL", guarded.url)

    with NeMoPlatform(workspace="default") as client:
        client.models.create(name="by-ci")
        assert _who(client) == "ci-models"
