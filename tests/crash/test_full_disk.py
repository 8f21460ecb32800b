"""A full disk: writes are refused with 507 and change nothing, reads go on, and writes go on when there is room."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.paths import models
from tests.servers import running

PATH = models("default")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB in memory. Needs the right to mount, as in a container that runs as root."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _fill(place: Path) -> Path:
    """A file that takes all the room that is left."""
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    return ballast


def test_a_full_disk(small_disk: Path) -> None:
    data_dir = small_disk / "data"
    kept: dict[str, str] = {}
    with running(data_dir) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        assert client.post(PATH, json={"name": "first", "description": "before"}).status_code == 201
        ballast = _fill(small_disk)
        refused = 0
        for number in range(200):
            name, description = f"m{number}", "d" * 900
            answer = client.post(PATH, json={"name": name, "description": description})
            if answer.status_code == 201:
                kept[name] = description
                continue
            assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
            assert client.get(f"{PATH}/{name}").status_code == 404
            refused += 1
        assert refused >= 100
        patched = client.patch(f"{PATH}/first", json={"custom_fields": {"a": "x" * 500_000}})
        assert (patched.status_code, patched.json()["code"]) == (507, "storage_full")
        first = client.get(f"{PATH}/first").json()
        assert (first["description"], first["revision"], first["custom_fields"]) == ("before", 1, {})
        assert client.get("/health/live").status_code == 200
        listed = client.get(PATH, params={"page_size": 1000})
        assert {row["name"] for row in listed.json()["data"]} == {"first", *kept}
        ballast.unlink()
        assert client.patch(f"{PATH}/first", json={"description": "after"}).json()["revision"] == 2
        assert client.post(PATH, json={"name": "last"}).status_code == 201
        assert server.stop() == 0
    with contextlib.closing(sqlite3.connect(data_dir / "steelyard.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = {name for (name,) in database.execute("SELECT name FROM records WHERE kind = 'model'")}
    assert names == {"first", "last", *kept}
