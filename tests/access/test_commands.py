"""`steelyard keys` and `steelyard members` against a real server that asks who is there."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.access.worlds import KEYS, World, world
from tests.servers import running

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(asked: World) -> Command:
    """`command(*arguments, key=...)`: the command line as a process, with the administrator's key or another one."""

    def run(*arguments: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
        environ = {"STEELYARD_URL": asked.url, "STEELYARD_API_KEY": asked.root_key if key is None else key}
        return subprocess.run(
            [sys.executable, "-m", "steelyard", *arguments],
            capture_output=True,
            text=True,
            env=environ,
            timeout=60,
            check=False,
        )

    return run


def test_a_key_from_its_making_to_its_end(asked: World, command: Command) -> None:
    name, space = asked.name("app"), asked.workspace()
    made = command("keys", "create", name, "--scope", "models:read", "--only", space, "--days", "3")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert (made.stdout.count("\n"), key[:3]) == (1, "sy_"), "the key alone, for a script to keep"
    assert key not in made.stderr

    assert command("models", "list", "-w", space, key=key).returncode == 0
    refused = command("models", "create", "m", "-w", space, key=key)
    assert (refused.returncode, "models.create" in refused.stderr) == (7, True), "its scope is to read"
    assert command("models", "list", key=key).returncode != 0, "it is for one workspace"

    listed = json.loads(command("keys", "list", "--json").stdout)
    (found,) = [one for one in listed if one["name"] == name]
    assert (found["scopes"], found["workspaces"]) == (["models:read"], [space])
    assert key not in json.dumps(listed)
    assert found["id"] in command("keys", "list", "-q").stdout.splitlines(), "what revoke takes"

    ended = command("keys", "revoke", found["id"])
    assert f"key {found['id']} ({name})" in ended.stdout
    assert command("models", "list", "-w", space, key=key).returncode == 7
    assert command("keys", "revoke", "nothing").returncode == 5


@pytest.mark.parametrize(
    "who", ["ann@example.com", "group:ml/team", "repo:org/name:ref:refs/heads/main", "ann+ci@example.com"]
)
def test_a_member_from_first_to_last(asked: World, command: Command, who: str) -> None:
    space = asked.workspace()
    key = asked.key(who) if not who.startswith("group:") else None

    assert command("members", "add", who, "-w", space).stdout == f"{who} in {space}: Editor\n"
    assert key is None or command("models", "create", "m", "-w", space, key=key).returncode == 0
    done = command("members", "set", who, "--role", "Viewer", "--role", "Invoker", "-w", space)
    assert done.stdout in {f"{who} in {space}: Viewer, Invoker\n", f"{who} in {space}: Invoker, Viewer\n"}, done.stderr
    assert key is None or command("models", "create", "n", "-w", space, key=key).returncode == 7
    assert who in command("members", "list", "-q", "-w", space).stdout.splitlines()

    assert command("members", "remove", who, "-w", space).returncode == 0
    assert who not in command("members", "list", "-q", "-w", space).stdout
    assert key is None or command("models", "list", "-w", space, key=key).returncode != 0
    again = command("members", "remove", who, "-w", space)
    assert (again.returncode, who in again.stderr) == (5, True)


def test_when_a_key_was_used_last_is_kept(tmp_path: Path) -> None:
    """It is written down from time to time, and when the server stops."""
    with world(tmp_path) as asked:
        root, used = asked.root_key, asked.key("ann")
        asked.key("bob")
        assert asked.client(used).get(KEYS).status_code == 200
    with running(tmp_path / "data", "--set", "auth.enabled=true") as server:
        headers = {"Authorization": f"Bearer {root}"}
        answer = httpx.get(f"{server.url}{KEYS}", params={"owner": "*"}, headers=headers).json()
        last = {one["owner"]: one["last_used_at"] for one in answer["data"]}
    assert last["bob"] is None
    assert last["ann"] is not None
    assert last["admin"] is not None
