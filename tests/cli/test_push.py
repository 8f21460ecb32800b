"""`steelyard push` against real servers: what is sent, what is made, and what a cut or a kill costs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.insight.checkpoints import MODELS, safetensors, tiny_files, write_folder

from .conftest import Steelyard, done
from .relays import relay

MIB = 1 << 20


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache that no other test has."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """The folder of a small llama."""
    return str(write_folder(tmp_path / "tiny", tiny_files()))


def listed(steelyard: Steelyard, name: str) -> dict[str, str]:
    found = json.loads(done(steelyard("files", "ls", name, "--json")))
    return {record["path"]: record["sha256"] for record in found["data"]}


def test_a_folder_becomes_a_fileset_and_a_model(
    steelyard: Steelyard, http: httpx.Client, workspace: str, tiny: str
) -> None:
    result = steelyard("push", tiny, f"{workspace}/tiny", "-m", "first")

    assert "3 put" in done(result)
    assert "config.json: num_hidden_layers" in result.stdout
    assert set(listed(steelyard, "tiny")) == set(tiny_files())
    model = http.get(f"{MODELS.format(workspace=workspace)}/tiny").json()
    assert (model["fileset"], model["spec"]["num_layers"]) == (f"{workspace}/tiny", 2)
    log = json.loads(done(steelyard("files", "log", "tiny", "--json")))
    assert [commit["message"] for commit in log] == ["first", None]


def test_again_it_is_up_to_date_and_one_change_is_one_file(steelyard: Steelyard, tiny: str) -> None:
    done(steelyard("push", tiny, "tiny"))
    assert "up to date" in done(steelyard("push", tiny, "tiny"))

    Path(tiny, "notes.txt").write_text("new")
    assert "1 put, 3 bytes sent" in done(steelyard("push", tiny, "tiny"))


def test_bytes_that_the_workspace_has_are_not_sent(steelyard: Steelyard, tiny: str) -> None:
    done(steelyard("push", tiny, "one"))

    assert "3 put, 0 bytes sent" in done(steelyard("push", tiny, "two", "--no-model"))


def test_hidden_files_and_links_that_lead_out_stay_here(steelyard: Steelyard, tiny: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("not yours")
    Path(tiny, "out.txt").symlink_to(tmp_path / "secret.txt")
    Path(tiny, "in.json").symlink_to("config.json")
    write_folder(Path(tiny), {".env": b"KEY=1", ".git/config": b"x", "sub/a.txt": b"a", "empty": b""})

    done(steelyard("push", tiny, "tiny", "--exclude", "*.safetensors"))

    assert set(listed(steelyard, "tiny")) == {"config.json", "in.json", "tokenizer_config.json", "sub/a.txt", "empty"}


def test_a_dry_run_writes_nothing(steelyard: Steelyard, tiny: str) -> None:
    assert "nothing was written" in done(steelyard("push", tiny, "tiny", "--dry-run"))
    assert steelyard("filesets", "get", "tiny").returncode == 5
    done(steelyard("push", tiny, "tiny", "--include", "*.json"))

    plan = json.loads(done(steelyard("push", tiny, "tiny", "--dry-run", "--json")))

    assert (plan["new"], plan["put"], plan["same"]) == (False, ["model.safetensors"], 2)


def test_delete_makes_the_fileset_as_the_folder(steelyard: Steelyard, tiny: str) -> None:
    done(steelyard("push", tiny, "tiny"))
    Path(tiny, "tokenizer_config.json").unlink()

    done(steelyard("push", tiny, "tiny"))
    assert "tokenizer_config.json" in listed(steelyard, "tiny")
    assert "1 removed" in done(steelyard("push", tiny, "tiny", "--delete"))
    assert "tokenizer_config.json" not in listed(steelyard, "tiny")


def test_trust_is_given_anew_to_the_bytes_that_are_there(
    steelyard: Steelyard, http: httpx.Client, workspace: str, tiny: str
) -> None:
    def model() -> dict[str, Any]:
        found: dict[str, Any] = http.get(f"{MODELS.format(workspace=workspace)}/tiny").json()
        return found

    Path(tiny, "own.py").write_text("x = 1\n")
    done(steelyard("push", tiny, "tiny", "--trust", "--base-model", "org/base", "--finetuning-type", "dpo"))
    first = model()
    assert (first["trust_remote_code"], first["base_model"], first["finetuning_type"]) == (True, "org/base", "dpo")

    Path(tiny, "own.py").write_text("x = 2\n")
    done(steelyard("push", tiny, "tiny"))
    assert model()["trust_remote_code"] is False
    done(steelyard("push", tiny, "tiny", "--trust"))
    assert model()["trust_decision"]["files"] != first["trust_decision"]["files"]


def test_an_adapter(steelyard: Steelyard, tiny: str, tmp_path: Path) -> None:
    done(steelyard("push", tiny, "base"))
    prefix = "base_model.model.model.layers.0.self_attn.q_proj"
    weights = safetensors({f"{prefix}.lora_A.weight": [2, 8], f"{prefix}.lora_B.weight": [8, 2]})
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    files = {"adapter_model.safetensors": weights, "adapter_config.json": json.dumps(config).encode()}
    folder = write_folder(tmp_path / "polite", files)

    done(steelyard("push", str(folder), "polite", "--adapter-of", "base"))
    assert "up to date" in done(steelyard("push", str(folder), "polite", "--adapter-of", "base"))

    found = json.loads(done(steelyard("adapters", "get", "polite", "--json")))
    assert (found["finetuning_type"], found["lora_config"]) == ("lora", {"rank": 2, "alpha": 4})
    assert steelyard("models", "get", "polite").returncode == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-model", "--trust"],
        ["--no-model", "--base-model", "b"],
        ["--adapter-of", "a", "--base-model", "b"],
        ["--include", "*.nothing"],
    ],
)
def test_what_makes_no_sense(steelyard: Steelyard, tiny: str, arguments: list[str]) -> None:
    assert steelyard("push", tiny, "tiny", *arguments).returncode == 2
    assert steelyard("filesets", "get", "tiny").returncode == 5


def test_a_folder_that_is_none(steelyard: Steelyard, tmp_path: Path) -> None:
    assert steelyard("push", str(tmp_path / "nowhere"), "tiny").returncode == 2


def test_names_that_would_drive_a_terminal_are_refused(steelyard: Steelyard, tiny: str) -> None:
    Path(tiny, "a\x1b[2Jb").write_text("x")

    result = steelyard("push", tiny, "tiny")

    assert result.returncode == 2
    assert "\x1b" not in result.stderr


def _big(tmp_path: Path, size: int) -> Path:
    folder = tmp_path / "big"
    folder.mkdir()
    # No two of its pieces are the same, so that what is out of its place is noticed.
    Path(folder, "weights.bin").write_bytes(b"".join(number.to_bytes(8, "big") for number in range(size // 8)))
    return folder


def test_a_cut_connection_costs_what_was_on_its_way(steelyard: Steelyard, server_url: str, tmp_path: Path) -> None:
    size = 24 * MIB
    folder = _big(tmp_path, size)
    with relay(server_url) as wire:
        wire.limit = 10 * MIB
        done(steelyard("push", str(folder), "big", "--no-model", "--url", wire.url))
        passed = wire.passed

    assert wire.reached.is_set()
    assert passed < size + 4 * MIB
    assert set(listed(steelyard, "big")) == {"weights.bin"}
    done(steelyard("pull", "big", str(tmp_path / "out")))
    assert (tmp_path / "out/weights.bin").read_bytes() == (folder / "weights.bin").read_bytes()


def test_a_killed_push_goes_on_where_it_was(
    steelyard: Steelyard, server_url: str, workspace: str, tmp_path: Path
) -> None:
    size = 24 * MIB
    folder = _big(tmp_path, size)
    with relay(server_url) as wire:
        wire.limit, wire.holds = 14 * MIB, True
        command = [sys.executable, "-m", "steelyard", "push", str(folder), f"{workspace}/big", "--no-model"]
        process = subprocess.Popen([*command, "--url", wire.url], env=dict(os.environ), stderr=subprocess.DEVNULL)
        assert wire.reached.wait(60)
        process.kill()
        process.wait(60)
        wire.drop()
        before, wire.limit = wire.passed, None
        done(steelyard("push", str(folder), "big", "--no-model", "--url", wire.url))
        again = wire.passed - before

    assert again < size - 8 * MIB
    assert set(listed(steelyard, "big")) == {"weights.bin"}
