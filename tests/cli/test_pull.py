"""`steelyard pull`: whole folders, and nothing outside them, whatever a server says."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.insight.checkpoints import make_fileset, make_model, tiny_files
from tests.servers import running

from .conftest import Handler, RunCli, Steelyard, done
from .relays import relay

MIB = 1 << 20
COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache that no other test has."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_fileset_comes_whole_and_only_once(
    steelyard: Steelyard, http: httpx.Client, workspace: str, tmp_path: Path
) -> None:
    files = {**tiny_files(), "sub/deep/ä b.txt": b"text", "empty": b""}
    make_fileset(http, workspace, "tiny", files)
    out = tmp_path / "out"

    assert "5 fetched" in done(steelyard("pull", f"{workspace}/tiny", str(out)))
    assert files_of(out) == files
    assert "up to date" in done(steelyard("pull", "tiny", str(out)))

    (out / "config.json").write_text("changed here")
    assert "1 fetched" in done(steelyard("pull", "tiny", str(out)))
    assert files_of(out) == files


def test_a_model_and_an_older_commit(steelyard: Steelyard, http: httpx.Client, workspace: str, tmp_path: Path) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_model(http, workspace, "support", fileset="tiny")
    old = json.loads(done(steelyard("files", "log", "tiny", "--json")))[0]["id"]
    done(steelyard("files", "rm", "tiny", "config.json"))

    done(steelyard("pull", "support", str(tmp_path / "now"), "--include", "*.json"))
    done(steelyard("pull", "support", str(tmp_path / "then"), "--revision", old, "--exclude", "*.safetensors"))

    assert set(files_of(tmp_path / "now")) == {"tokenizer_config.json"}
    assert set(files_of(tmp_path / "then")) == {"config.json", "tokenizer_config.json"}


def test_nothing_of_that_name(steelyard: Steelyard, http: httpx.Client, workspace: str, tmp_path: Path) -> None:
    make_model(http, workspace, "bare")

    assert steelyard("pull", "nobody", str(tmp_path / "out")).returncode == 5
    assert "has no fileset" in steelyard("pull", "bare", str(tmp_path / "out")).stderr
    assert not (tmp_path / "out").exists()


def serving(files: Mapping[str, bytes], digests: Mapping[str, str] | None = None) -> Handler:
    """A server that says to have those files, whatever their paths; `digests` are other ones than the true."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if "/-/" in path:
            body = files[path.partition("/-/")[2]]
            return httpx.Response(200, content=body)
        if path.endswith("/files"):
            data: list[dict[str, Any]] = [
                {
                    "path": name,
                    "size": len(body),
                    "sha256": (digests or {}).get(name, hashlib.sha256(body).hexdigest()),
                }
                for name, body in files.items()
            ]
            return httpx.Response(200, json={"data": data, "commit": COMMIT})
        return httpx.Response(200, json={"name": "evil", "workspace": "default"})

    return answer


HOSTILE = [
    "../evil.txt",
    "a/../../evil.txt",
    "/etc/evil.txt",
    "a//b",
    "./a",
    "..",
    "",
    "C:/evil.txt",
    "a\\..\\evil.txt",
    "a\x1b]0;x\x07",
    "a\nb",
    ".steelyard/x",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_elsewhere_stops_it_before_the_first_byte(cli: RunCli, tmp_path: Path, path: str) -> None:
    out = tmp_path / "in" / "out"
    before = files_of(tmp_path)

    run = cli("pull", "evil", str(out), handler=serving({"good.txt": b"good", path: b"evil"}))

    assert run.code == 1
    assert "must not be written" in run.err
    assert "\x1b" not in run.err
    assert files_of(tmp_path) == before


def test_a_link_in_the_folder_that_leads_out_is_not_followed(cli: RunCli, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "sub").symlink_to(elsewhere)

    run = cli("pull", "evil", str(out), handler=serving({"sub/evil.txt": b"evil"}))

    assert run.code == 1
    assert "link" in run.err
    assert files_of(elsewhere) == {}


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(cli: RunCli, tmp_path: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim.txt"
    out.mkdir()
    victim.write_text("mine")
    (out / "a.txt").symlink_to(victim)

    assert cli("pull", "evil", str(out), handler=serving({"a.txt": b"evil"})).code == 0

    assert victim.read_text() == "mine"
    assert (out / "a.txt").read_bytes() == b"evil"
    assert not (out / "a.txt").is_symlink()


def test_bytes_that_are_not_those_of_the_digest_get_no_name(cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "out"

    run = cli("pull", "evil", str(out), handler=serving({"a.txt": b"evil"}, {"a.txt": "0" * 64}))

    assert run.code == 1
    assert "sha256" in run.err
    assert files_of(out) == {}


def test_what_policy_keeps_back_is_told_and_left_out_only_on_demand(steelyard: Steelyard, tmp_path: Path) -> None:
    with running(tmp_path / "data", "--set", "files.untrusted_code=refuse") as server:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            make_fileset(http, "default", "code", {**tiny_files(), "own.py": b"x = 1\n"})
            make_model(http, "default", "code", fileset="code")
        options = ["--url", server.url, "-w", "default"]

        refused = steelyard("pull", "code", str(tmp_path / "out"), *options)
        assert refused.returncode == 7
        assert "own.py" in refused.stderr

        result = steelyard("pull", "code", str(tmp_path / "out"), "--skip-refused", *options)
        assert "1 left out" in done(result)
        assert files_of(tmp_path / "out") == tiny_files()


def test_a_killed_pull_goes_on_where_it_was(
    steelyard: Steelyard, http: httpx.Client, workspace: str, server_url: str, tmp_path: Path
) -> None:
    body = b"".join(number.to_bytes(8, "big") for number in range(8 * MIB))
    make_fileset(http, workspace, "big", {"weights.bin": body})
    out = tmp_path / "out"
    with relay(server_url) as wire:
        wire.back_limit, wire.holds = 40 * MIB, True
        command = [sys.executable, "-m", "steelyard", "pull", f"{workspace}/big", str(out), "--jobs", "1"]
        process = subprocess.Popen([*command, "--url", wire.url], env=dict(os.environ), stderr=subprocess.DEVNULL)
        assert wire.reached.wait(60)
        process.kill()
        process.wait(60)
        wire.drop()
        assert not (out / "weights.bin").exists()
        before, wire.back_limit = wire.back, None
        done(steelyard("pull", "big", str(out), "--url", wire.url))
        again = wire.back - before

    assert again < len(body) - 30 * MIB
    assert files_of(out) == {"weights.bin": body}


def test_a_cut_connection_is_taken_up_again(
    steelyard: Steelyard, http: httpx.Client, workspace: str, server_url: str, tmp_path: Path
) -> None:
    body = os.urandom(20 * MIB)
    make_fileset(http, workspace, "big", {"weights.bin": body})
    with relay(server_url) as wire:
        wire.back_limit = 9 * MIB
        done(steelyard("pull", "big", str(tmp_path / "out"), "--url", wire.url))

        assert wire.reached.is_set()
        assert wire.back < len(body) + 4 * MIB
    assert files_of(tmp_path / "out") == {"weights.bin": body}
