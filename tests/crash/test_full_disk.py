"""A full disk: writes are refused with 507 and change nothing, reads go on, and writes go on when there is room."""

import contextlib
import sqlite3
from pathlib import Path

import httpx

from tests.api.paths import models
from tests.disks import fill, small_disk
from tests.servers import running

PATH = models("default")


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as place:
        _fill_and_free(place)


def _fill_and_free(place: Path) -> None:
    data_dir = place / "data"
    kept: dict[str, str] = {}
    with running(data_dir) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        assert client.post(PATH, json={"name": "first", "description": "before"}).status_code == 201
        ballast = fill(place)
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
