"""New keys for what is sealed: nothing is lost by it, whoever writes, reads or is killed meanwhile."""

import base64
import contextlib
import itertools
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from steelyard.actions.rotation import rotate_keys
from steelyard.auth.master_keys import LOCAL, WRAPPED, KeySources, MasterKey, open_master_keys
from tests.contexts import opened
from tests.secrets.test_secrets import secrets
from tests.servers import Server, running

CANARY = "sk-canary-5f1d"
ROTATE = "/apis/secrets/v2/rotate-encryption-keys"
BASE = secrets("default")
MODELS = "/apis/models/v2/workspaces/default/models"
OPEN = ("--set", "secrets.access=open")
_PLACES = {
    "platform-secret": "$.value",
    "model": "$.api_endpoint.api_key",
    "webhook": "$.signing.secret",
}


def tokens(data_dir: Path) -> dict[tuple[str, str, str], str]:
    """Every sealed secret of the database, by where it stands."""
    found: dict[tuple[str, str, str], str] = {}
    with contextlib.closing(sqlite3.connect(data_dir / "steelyard.db")) as database:
        for (kind, path), (table, key) in itertools.product(
            _PLACES.items(), [("records", "id"), ("deleted", "id"), ("revisions", "seq")]
        ):
            rows = database.execute(
                f"SELECT {key}, json_extract(fields, ?) FROM {table} WHERE kind = ? AND fields IS NOT NULL",
                (path, kind),
            )
            found |= {(table, kind, str(row)): token for row, token in rows if token}
    return found


def key_ids(data_dir: Path) -> set[str]:
    return {token.split(".")[1] for token in tokens(data_dir).values()}


def names(data_dir: Path) -> list[str]:
    return sorted(file.name for file in data_dir.iterdir() if file.name.startswith("master."))


def value(http: httpx.Client, name: str) -> Any:
    return http.get(f"{BASE}/{name}/access").json()["value"]


@contextlib.contextmanager
def serving(data_dir: Path, *arguments: str, **environ: str) -> Iterator[httpx.Client]:
    with (
        running(data_dir, *OPEN, *arguments, environ=environ) as server,
        httpx.Client(base_url=server.url, timeout=60) as http,
    ):
        yield http


def filled(http: httpx.Client) -> None:
    """Secrets of all kinds, some of them deleted, with a history of several values."""
    for name in ("kept", "deleted"):
        assert http.post(BASE, json={"name": name, "value": f"{CANARY}-1"}).status_code == 201
        assert http.patch(f"{BASE}/{name}", json={"value": f"{CANARY}-2"}).status_code == 200
    assert http.delete(f"{BASE}/deleted").status_code == 204
    endpoint = {"url": "https://a.example", "api_key": CANARY}
    assert http.post(MODELS, json={"name": "m", "api_endpoint": endpoint}).status_code == 201
    hook = {"name": "h", "url": "https://a.example/h", "enabled": False}
    assert http.post("/apis/steelyard/v1/workspaces/default/webhooks", json=hook).status_code == 201


def check_filled(http: httpx.Client) -> None:
    """What `filled` has made still opens, also what is in the history and what is deleted."""
    assert value(http, "kept") == f"{CANARY}-2"
    assert http.post(f"{BASE}/kept:revert", json={"revision": 1}).status_code == 200
    assert value(http, "kept") == f"{CANARY}-1"
    assert http.post(f"{BASE}/deleted:undelete").status_code == 200
    assert value(http, "deleted") == f"{CANARY}-2"
    assert http.post(f"{BASE}/deleted:revert", json={"revision": 1}).status_code == 200
    assert value(http, "deleted") == f"{CANARY}-1"
    same = {"api_endpoint": {"url": "https://a.example", "api_key": CANARY}}
    assert http.patch(f"{MODELS}/m", json=same).json()["revision"] == 1, "the same key is no change"


def test_data_keys_are_new_everywhere_the_past_too(data_dir: Path) -> None:
    with serving(data_dir) as http:
        filled(http)
        before = tokens(data_dir)
        assert {table for table, _, _ in before} == {"records", "deleted", "revisions"}
        answer = http.post(ROTATE)
        assert (answer.status_code, answer.json()) == (202, {"rotated_secrets": 3, "success": True})
        after = tokens(data_dir)
        assert before.keys() == after.keys()
        assert not set(before.values()) & set(after.values())
        check_filled(http)


def test_a_new_master_key_takes_the_place_of_the_old_while_the_server_runs(data_dir: Path) -> None:
    with serving(data_dir) as http:
        filled(http)
        [old], events = key_ids(data_dir), http.get("/apis/steelyard/v1/events?workspace=default").json()["data"]
        answer = http.post(ROTATE, params={"master_key": "true"})
        assert (answer.status_code, answer.json()) == (202, {"rotated_secrets": 3, "success": True})
        [new] = key_ids(data_dir)
        assert new != old
        assert names(data_dir) == [LOCAL], "nothing needs the old one"
        assert http.get("/apis/steelyard/v1/events?workspace=default").json()["data"] == events
        assert value(http, "kept") == f"{CANARY}-2"
    with serving(data_dir) as http:
        check_filled(http)


def test_a_key_of_the_settings_is_replaced_with_the_old_one_named(data_dir: Path) -> None:
    first, second = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    with serving(data_dir, STEELYARD_MASTER_KEY=first) as http:
        filled(http)
        answer = http.post(ROTATE, params={"master_key": "true"})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "master_key_previous" in answer.json()["detail"]
    with serving(data_dir, STEELYARD_MASTER_KEY=second, STEELYARD_MASTER_KEY_PREVIOUS=first) as http:
        assert value(http, "kept") == f"{CANARY}-2"
        assert http.post(BASE, json={"name": "new", "value": CANARY}).status_code == 201
        assert len(key_ids(data_dir)) == 2
        assert http.post(ROTATE).json() == {"rotated_secrets": 4, "success": True}
        assert key_ids(data_dir) == {MasterKey(base64.b64decode(second)).id}
    with serving(data_dir, STEELYARD_MASTER_KEY=second) as http:
        check_filled(http)
    assert names(data_dir) == []


def test_a_file_of_keys_is_rotated_while_the_server_runs(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys"

    def write(*keys: bytes) -> None:
        other = file.with_suffix(".new")
        other.write_text("".join(f"{base64.b64encode(key).decode()}\n" for key in keys))
        other.chmod(0o400)
        other.replace(file)

    first, second = os.urandom(32), os.urandom(32)
    write(first)
    with serving(data_dir, "--set", f"master_key_file={file}") as http:
        filled(http)
        write(second)
        assert http.post(ROTATE, params={"master_key": "true"}).status_code == 409
        write(second, first)
        answer = http.post(ROTATE, params={"master_key": "true"})
        assert (answer.status_code, answer.json()["success"]) == (202, True)
    write(second)
    with serving(data_dir, "--set", f"master_key_file={file}") as http:
        check_filled(http)


KMS = """
import base64, sys
data = base64.b64decode(sys.stdin.read())
if sys.argv[2] == "wrap":
    data = b"kms:" + bytes(byte ^ 0x5A for byte in data)
else:
    data = bytes(byte ^ 0x5A for byte in data.removeprefix(b"kms:"))
print(base64.b64encode(data).decode())
open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
"""


def test_a_server_moves_from_its_own_key_to_a_command(data_dir: Path, tmp_path: Path) -> None:
    script, log = tmp_path / "kms.py", tmp_path / "calls"
    script.write_text(KMS)
    command = f"{sys.executable} {script} {log}"
    with serving(data_dir) as http:
        filled(http)
    with serving(data_dir, STEELYARD_MASTER_KEY_COMMAND=command) as http:
        assert value(http, "kept") == f"{CANARY}-2"
        assert log.read_text().split() == ["wrap", "unwrap"]
        assert names(data_dir) == [LOCAL, WRAPPED]
        assert http.post(ROTATE).json() == {"rotated_secrets": 3, "success": True}
        assert names(data_dir) == [WRAPPED], "no key is left that opens anything by itself"
        assert log.read_text().split() == ["wrap", "unwrap"], "no call for a secret"
        answer = http.post(ROTATE, params={"master_key": "true"})
        assert (answer.status_code, answer.json()["success"]) == (202, True)
        assert names(data_dir) == [WRAPPED]
        script.write_text("import sys; print('AccessDenied', file=sys.stderr); sys.exit(7)")
        answer = http.post(ROTATE, params={"master_key": "true"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert "AccessDenied" not in answer.text, "what a command says is for the log"
        assert names(data_dir) == [WRAPPED]
    script.write_text(KMS)
    with serving(data_dir, STEELYARD_MASTER_KEY_COMMAND=command) as http:
        check_filled(http)


class Traffic(threading.Thread):
    """Makes, changes, deletes, undeletes and reverts secrets, and reads each back: the value has to be the last one."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.known: dict[str, str] = {}
        self.unsure: set[str] = set()
        self._url, self._prefix, self._ended = url, prefix, threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as http, contextlib.suppress(httpx.TransportError):
            for number in itertools.count():
                if self._ended.is_set():
                    return
                self._one(http, f"{self._prefix}-{number % 7}", number)

    def _one(self, http: httpx.Client, name: str, number: int) -> None:
        path, wanted = f"{BASE}/{name}", f"{CANARY}-{self._prefix}-{number}"
        before = self.known.get(name)
        self.unsure.add(name)  # until all answers are here
        if before is None:
            self._asked(http.post(BASE, json={"name": name, "value": wanted}))
        elif number % 3 == 0:
            self._asked(http.delete(path))
            self._asked(http.post(f"{path}:undelete"))
            wanted = before
        elif number % 3 == 1:
            revision = self._asked(http.get(path))["revision"]
            self._asked(http.patch(path, json={"value": wanted}))
            self._asked(http.post(f"{path}:revert", json={"revision": revision}))
            wanted = before
        else:
            self._asked(http.patch(path, json={"value": wanted}))
        self.known[name] = wanted
        found = self._asked(http.get(f"{path}/access"))["value"]
        if found != wanted:
            self.faults.append(f"{name}: {found} instead of {wanted}")
        self.unsure.discard(name)

    def _asked(self, answer: httpx.Response) -> Any:
        if not answer.is_success:
            self.faults.append(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
            return {"revision": 1, "value": None}
        return answer.json() if answer.content else None

    def end(self) -> None:
        self._ended.set()


@contextlib.contextmanager
def traffic(server: Server, prefix: str = "t") -> Iterator[list[Traffic]]:
    threads = [Traffic(server.url, f"{prefix}{number}") for number in range(3)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while any(len(thread.known) < 5 for thread in threads) and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield threads
    finally:
        for thread in threads:
            thread.end()
        for thread in threads:
            thread.join()


def test_rotations_under_load_lose_nothing(data_dir: Path) -> None:
    with running(data_dir, *OPEN) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        with traffic(server) as threads:
            for _ in range(6):
                answer = http.post(ROTATE, params={"master_key": "true"})
                assert (answer.status_code, answer.json()["success"]) == (202, True)
                http.post(ROTATE)
            # Two at once, too: one waits for the other.
            together = [
                threading.Thread(target=httpx.post, args=(f"{server.url}{ROTATE}?master_key=true",)) for _ in range(2)
            ]
            for thread in together:
                thread.start()
            for thread in together:
                thread.join()
        assert [fault for thread in threads for fault in thread.faults] == []
        assert sum(len(thread.known) for thread in threads) >= 15
        assert http.post(ROTATE, params={"master_key": "true"}).json()["success"] is True
        assert len(key_ids(data_dir)) == 1
        assert names(data_dir) == [LOCAL]
        known = {name: wanted for thread in threads for name, wanted in thread.known.items()}
    with serving(data_dir) as http:
        assert {name: value(http, name) for name in known} == known


def test_a_server_that_is_killed_in_the_middle_of_a_rotation_leaves_everything_openable(data_dir: Path) -> None:
    """Killed at different moments, each time under load; the next start opens all, and finishes what was begun."""
    known: dict[str, str] = {}
    unfinished = 0
    with serving(data_dir) as http:
        for number in range(400):  # more than a page
            assert http.post(BASE, json={"name": f"s{number}", "value": f"{CANARY}-{number}"}).status_code == 201
            known[f"s{number}"] = f"{CANARY}-{number}"
    for round_ in range(6):
        with running(data_dir, *OPEN) as server:
            with traffic(server, f"r{round_}") as threads:
                rotation = threading.Thread(target=_rotate, args=(server.url,))
                rotation.start()
                time.sleep(0.004 + 0.03 * round_)
                server.kill()
                rotation.join()
            assert server.process.returncode == -signal.SIGKILL
            assert [fault for thread in threads for fault in thread.faults] == []
            for thread in threads:
                known |= {name: wanted for name, wanted in thread.known.items() if name not in thread.unsure}
        unfinished += len(names(data_dir)) > 1
        with serving(data_dir) as http:
            for name in [*list(known)[:: 1 + len(known) // 60], *list(known)[-20:]]:
                assert value(http, name) == known[name]
            until = time.monotonic() + 30
            while len(names(data_dir)) > 1 and time.monotonic() < until:
                time.sleep(0.02)
            assert names(data_dir) == [LOCAL], "what was begun is finished by itself"
            assert len(key_ids(data_dir)) == 1
    assert unfinished, "no kill hit the middle: choose other moments"
    with serving(data_dir) as http:
        assert {name: value(http, name) for name in known} == known


def _rotate(url: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{url}{ROTATE}?master_key=true", timeout=60)


async def test_a_key_is_kept_as_long_as_something_damaged_was_sealed_with_it(tmp_path: Path) -> None:
    """What cannot be opened now may be mended out of a backup, and then needs its key."""
    async with opened(tmp_path) as context:
        keys = open_master_keys(KeySources(tmp_path))
        context.vault.keys = keys
        old = keys.present.id
        await _insert(context, "good", "s")
        await _insert(context, "bad", "s")
        with contextlib.closing(sqlite3.connect(tmp_path / "steelyard.db")) as database:
            database.execute("UPDATE records SET fields = replace(fields, '=\"', 'AA=\"') WHERE name = 'bad'")
            database.execute(
                "UPDATE records SET fields = json_set(fields, '$.value', 'v2." + old + ".AAAA') WHERE name = 'bad'"
            )
            database.commit()
        done = await rotate_keys(context, master_key=True)
        assert (done.rotated, done.unreadable) == (1, 1)
        assert (tmp_path / f"{LOCAL}.{old}").exists()


async def _insert(context: Any, name: str, secret: str) -> None:
    from steelyard.actions.context import Caller  # noqa: PLC0415
    from steelyard.actions.perform import perform  # noqa: PLC0415
    from steelyard.actions.secrets import create_secret  # noqa: PLC0415
    from steelyard.records.conditions import NONE  # noqa: PLC0415

    await perform(context, create_secret(context, Caller(), "default", {"name": name, "value": secret}, NONE))


def test_no_key_and_no_secret_is_said_by_a_rotation(data_dir: Path, tmp_path: Path) -> None:
    script, seen = tmp_path / "kms.py", tmp_path / "keys"
    script.write_text(KMS.replace("sys.argv[2] +", "base64.b64encode(data).decode() +"))
    environ = {"STEELYARD_MASTER_KEY_COMMAND": f"{sys.executable} {script} {seen}"}
    said: list[str] = []
    for _ in range(2):
        with (
            running(data_dir, *OPEN, "--set", "log.level=debug", environ=environ) as server,
            httpx.Client(base_url=server.url, timeout=60) as http,
        ):
            if not said:
                filled(http)
            for _ in range(2):
                said.append(http.post(ROTATE, params={"master_key": "true"}).text)
            for path in ("/metrics", "/status", "/apis/steelyard/v1/events", f"{BASE}/kept/revisions/1...2"):
                said.append(http.get(path).text)
            said.append(http.get("/apis/steelyard/v1/workspaces/default:export").text)
        said.append(server.log)
    keys = {line for line in seen.read_text().split() if len(base64.b64decode(line)) == 32}
    assert len(keys) == 5, "one of the first start, and one for each rotation"
    everything = "".join(said)
    assert CANARY not in everything
    assert [key for key in keys if key in everything or base64.b64decode(key).hex() in everything] == []
    wrapped = (data_dir / WRAPPED).read_text()
    database = b"".join(file.read_bytes() for file in data_dir.glob("steelyard.db*"))
    assert [key for key in keys if key in wrapped or base64.b64decode(key) in database] == []
