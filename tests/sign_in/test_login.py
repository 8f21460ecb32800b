"""`steelyard login` as a person or a job uses it: against a real provider, the command in processes of its own."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.oidc.provider import OTHER_JOB, Provider, approve, providing
from tests.servers import Server, running
from tests.sign_in.conftest import believing, first_key, write_keys


class Home:
    """A home of its own, from which commands are run."""

    def __init__(self, folder: Path, url: str) -> None:
        self.file = folder / "config" / "steelyard" / "credentials.json"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
        self.environ = {**kept, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "STEELYARD_URL": url}

    def run(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "steelyard", *arguments]
        return subprocess.run(
            command, env={**self.environ, **environ}, capture_output=True, text=True, check=False, timeout=60
        )

    def keep(self, tokens: dict[str, str]) -> None:
        """As if `login` had been run before."""
        self.file.parent.mkdir(mode=0o700, parents=True)
        kept = {"token": tokens["access_token"], "expires_at": time.time() + 3600}
        self.file.write_text(json.dumps({"servers": {self.environ["STEELYARD_URL"]: kept}}))
        self.file.chmod(0o600)

    def login(self, person: str, *arguments: str) -> tuple[int, str, str]:
        """Runs `login`, and does in the meantime what it asks the person to do."""
        with subprocess.Popen(
            [sys.executable, "-m", "steelyard", "login", *arguments],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr
            line = process.stderr.readline()
            found = re.search(r"http\S+", line)
            assert found, line
            approve(found[0], person)
            out, error = process.communicate(timeout=60)
        return process.returncode, out, line + error


@pytest.fixture
def home(tmp_path: Path, server: Server) -> Home:
    return Home(tmp_path, server.url)


def test_a_person_signs_in_and_out(home: Home) -> None:
    assert home.run("whoami").returncode == 7

    code, out, error = home.login("alice")
    assert (code, out.splitlines()[0].split(" (")[0]) == (0, "signed in as alice"), error
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.file.parent.stat().st_mode) == 0o700
    said = json.loads(home.run("whoami", "--json").stdout)
    assert (said["subject"], said["groups"]) == ("alice", ["everyone", "ml-team"])

    token = json.loads(home.file.read_text())["servers"][home.environ["STEELYARD_URL"]]["token"]
    assert token not in out + error
    assert home.run("logout").returncode == 0
    assert token not in home.file.read_text()
    assert home.run("whoami").returncode == 7


def test_a_key_goes_before_the_sign_in(home: Home, server: Server, alice: dict[str, str]) -> None:
    home.keep(alice)

    assert home.run("whoami", STEELYARD_API_KEY=first_key(server)).stdout.startswith("admin")
    assert home.run("whoami", STEELYARD_TOKEN=first_key(server)).stdout.startswith("admin")


def test_a_token_that_others_can_read_is_not_used(home: Home, alice: dict[str, str]) -> None:
    home.keep(alice)
    home.file.chmod(0o644)

    refused = home.run("whoami")

    assert (refused.returncode, "chmod 600" in refused.stderr) == (2, True)


@pytest.fixture
def short(tmp_path: Path) -> Iterator[tuple[Provider, Server]]:
    """A provider whose tokens live for three seconds, and a server that believes it."""
    keys = write_keys(tmp_path / "keys.json", "p256")
    with (
        providing(keys, lifetime=3) as provider,
        running(tmp_path / "data", environ=believing(provider.issuer)) as server,
    ):
        yield provider, server


def test_tokens_are_renewed_in_silence(short: tuple[Provider, Server], tmp_path: Path) -> None:
    provider, server = short
    home = Home(tmp_path, server.url)
    home.login("alice", "--scope", "models:read")
    before = json.loads(home.file.read_text())["servers"][server.url]
    time.sleep(3.1)

    old = httpx.get(f"{server.url}/apis/auth/v2/me", headers={"authorization": f"Bearer {before['token']}"})
    assert (old.status_code, "expired" in old.text) == (401, True)
    said = home.run("whoami")

    assert (said.returncode, said.stdout.split(" ")[0], said.stderr) == (0, "alice", "")
    after = json.loads(home.file.read_text())["servers"][server.url]
    assert after["token"] != before["token"]
    assert "models:read" in jwt.decode(after["token"], options={"verify_signature": False})["scope"].split()
    provider.stop()
    time.sleep(3.1)
    gone = home.run("whoami")
    assert (gone.returncode, "steelyard login" in gone.stderr) == (7, True)


def test_a_job_signs_in_with_its_token(home: Home, provider: Provider, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(provider.job_token() + "\n")

    done = home.run("login", "--workload", str(file))

    assert (done.returncode, done.stdout.split(" (")[0]) == (0, "signed in as ci-models"), done.stderr
    kept = json.loads(home.file.read_text())["servers"][home.environ["STEELYARD_URL"]]
    assert kept["workload"] == str(file)
    # When the token ends, the file is read again: whoever runs the job has a new one in it by then.
    kept["expires_at"] = time.time() - 1
    home.file.write_text(json.dumps({"servers": {home.environ["STEELYARD_URL"]: kept}}))
    file.write_text(provider.job_token())
    assert home.run("whoami").stdout.startswith("ci-models")


@pytest.mark.parametrize("content", ["other job", None])
def test_a_token_that_is_not_taken_signs_nobody_in(
    home: Home, provider: Provider, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(provider.job_token(OTHER_JOB))

    refused = home.run("login", "--workload", str(file))

    assert refused.returncode == (7 if content is not None else 2), refused.stderr
    assert not home.file.exists()


def test_where_nobody_is_asked_there_is_nothing_to_do(open_server: Server, tmp_path: Path) -> None:
    home = Home(tmp_path, open_server.url)

    assert home.run("login").returncode == 0
    assert home.run("whoami").stdout.startswith("nobody")
    assert not home.file.exists()
