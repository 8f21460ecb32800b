"""The `nemo` command keeps files, filesets, adapters and secrets. (As in `test_cli.py`, each test asks for much.)"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx

from tests.clients.checkpoints import PARAMETERS, llama, lora, read, written
from tests.clients.conftest import Nemo

TREE = {"a.txt": b"alpha", "a.txt.old": b"older", "sub/b.json": b"{}", "sub2/c.json": b"[]"}


def _answer(nemo: Nemo, *arguments: str, **more: Any) -> Any:
    done = nemo(*arguments, **more)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def _did(nemo: Nemo, *arguments: str) -> str:
    done = nemo(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def _put(http: httpx.Client, workspace: str, name: str, files: dict[str, bytes]) -> None:
    filesets = f"/apis/files/v2/workspaces/{workspace}/filesets"
    http.post(filesets, json={"name": name}).raise_for_status()
    for path, content in files.items():
        http.put(f"{filesets}/{name}/-/{path}", content=content).raise_for_status()


def test_a_folder_goes_up_and_comes_back_as_it_was(nemo: Nemo, workspace: str, tmp_path: Path) -> None:
    here = ("--workspace", workspace)
    _answer(nemo, "files", "filesets", "create", "data", *here, "--purpose", "dataset", "--description", "Rows")

    _did(nemo, "files", "upload", written(tmp_path / "tree", TREE), "data", *here)
    _did(nemo, "files", "download", "data", *here, "-o", str(tmp_path / "back"))
    _did(nemo, "files", "download", "data", *here, "--remote-path", "a.txt", "-o", str(tmp_path / "one.txt"))

    assert read(tmp_path / "back") == TREE
    assert (tmp_path / "one.txt").read_bytes() == b"alpha"


def test_files_are_listed_and_deleted(nemo: Nemo, workspace: str, tmp_path: Path) -> None:
    here = ("--workspace", workspace)
    uploaded = _did(nemo, "files", "upload", written(tmp_path / "tree", TREE), *here)
    fileset = uploaded.split()[-1]

    listed = _answer(nemo, "files", "list", fileset, *here, "--remote-path", "sub", "-f", "json")
    _did(nemo, "files", "delete", fileset, *here, "--remote-path", "sub/b.json")
    left = _answer(nemo, "files", "list", fileset, *here, "-f", "json")
    again = nemo("files", "delete", fileset, *here, "--remote-path", "sub/b.json")

    assert [(one["path"], one["size"]) for one in listed] == [("sub/b.json", 2)]
    assert [one["path"] for one in left] == ["a.txt", "a.txt.old", "sub2/c.json"]
    assert again.returncode == 1
    assert "sub/b.json" in again.stdout + again.stderr


def test_filesets_are_created_updated_listed_and_deleted(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    here = ("--workspace", workspace)
    filesets = ("files", "filesets")
    metadata = {"model": {"tool_calling": {"tool_call_parser": "hermes"}}}

    created = _answer(
        nemo, *filesets, "create", "weights", *here, "--purpose", "model", "--metadata", json.dumps(metadata)
    )
    updated = _answer(nemo, *filesets, "update", "weights", *here, "--description", "New", "-f", "json")
    listed = _did(nemo, *filesets, "list", *here, "--filter.purpose", "model", "-f", "csv")
    _did(nemo, *filesets, "delete", "weights", *here)

    assert created["metadata"]["model"]["tool_calling"]["tool_call_parser"] == "hermes"
    assert (updated["id"], updated["description"], updated["purpose"]) == (created["id"], "New", "model")
    assert [row["name"] for row in csv.DictReader(io.StringIO(listed.strip()))] == ["weights"]
    assert http.get(f"/apis/files/v2/workspaces/{workspace}/filesets/weights").status_code == 404


def test_a_model_gets_its_spec_and_an_adapter_from_files(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    here = ("--workspace", workspace)
    _put(http, workspace, "weights", llama())
    _put(http, workspace, "lora", lora())

    model = _answer(nemo, "models", "create", "llama", *here, "--fileset", "weights")
    options = ("--fileset", "lora", "--finetuning-type", "lora", "--description", "Says please")
    adapter = _answer(nemo, "models", "adapters", "create", "llama", "polite", *here, *options)
    updated = _answer(
        nemo,
        "models",
        "adapters",
        "update",
        "polite",
        *here,
        "--model-name",
        "llama",
        "--description",
        "Kind",
        "-f",
        "json",
    )
    read_back = _answer(nemo, "models", "get", "llama", *here, "-f", "json")
    _did(nemo, "models", "adapters", "delete", "polite", *here, "--model-name", "llama")

    assert model["spec"]["base_num_parameters"] == PARAMETERS
    assert (adapter["model"], adapter["lora_config"]) == (f"{workspace}/llama", {"rank": 4, "alpha": 8})
    assert updated["description"] == "Kind"
    assert [one["name"] for one in read_back["adapters"]] == ["polite"]


def test_adapters_by_their_own_names(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    here = ("--workspace", workspace)
    _put(http, workspace, "lora", lora())
    http.post(f"/apis/models/v2/workspaces/{workspace}/models", json={"name": "llama"}).raise_for_status()

    options = ("--fileset", "lora", "--finetuning-type", "lora", "--model", f"{workspace}/llama")
    _answer(nemo, "adapters", "create", "polite", *here, *options)
    patched = _answer(nemo, "adapters", "patch", "polite", *here, "--description", "Kind", "-f", "json")
    listed = _did(nemo, "adapters", "list", *here, "-f", "csv")
    _did(nemo, "adapters", "delete", "polite", *here)

    assert patched["description"] == "Kind"
    assert [row["name"] for row in csv.DictReader(io.StringIO(listed.strip()))] == ["polite"]
    assert http.get(f"/apis/models/v2/workspaces/{workspace}/adapters/polite").status_code == 404


def test_secrets_go_in_and_do_not_come_out(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    here = ("--workspace", workspace)

    created = nemo("secrets", "create", "hub", *here, "--from-file", "-", "--description", "Hub", input="hf_5ecret")
    updated = nemo("secrets", "update", "hub", *here, "--value", "hf_5ecret-2", "-f", "json")
    listed = nemo("secrets", "list", *here, "-f", "json")
    shown = nemo("secrets", "access", "hub", *here)
    deleted = nemo("secrets", "delete", "hub", *here)

    assert [done.returncode for done in (created, updated, listed, shown, deleted)] == [0, 0, 0, 1, 0], created.stderr
    assert json.loads(created.stdout)["description"] == "Hub"
    assert [one["name"] for one in json.loads(listed.stdout)["data"]] == ["hub"]
    assert "secrets.access" in shown.stdout + shown.stderr
    assert not any("hf_5ecret" in done.stdout + done.stderr for done in (created, updated, listed, shown, deleted))
    assert http.get(f"/apis/secrets/v2/workspaces/{workspace}/secrets/hub").status_code == 404
