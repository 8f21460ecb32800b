"""`steelyard inspect` and `steelyard memory DIR`: a checkpoint in a folder, with nobody asked and nothing run."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.insight.checkpoints import (
    DANGEROUS,
    MODELS,
    PARAMETERS,
    make_fileset,
    make_model,
    tiny_files,
    write_folder,
)

from .conftest import RunCli, Steelyard, done


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The folder of a small llama."""
    return write_folder(tmp_path / "tiny", tiny_files())


def test_the_spec_with_its_sources(cli: RunCli, tiny: Path) -> None:
    run = cli("inspect", str(tiny))

    assert (run.code, run.requests) == (0, [])
    lines = {line.split()[0]: line for line in run.out.splitlines()}
    assert lines["num_layers"].split(maxsplit=2)[1:] == ["2", "config.json: num_hidden_layers"]
    assert str(PARAMETERS) in lines["base_num_parameters"]
    assert "nothing was run" in run.out


def test_it_says_what_a_server_says(
    cli: RunCli, steelyard: Steelyard, http: httpx.Client, workspace: str, tiny: Path
) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_model(http, workspace, "tiny", fileset="tiny")
    theirs = http.get(f"{MODELS.format(workspace=workspace)}/tiny/inspection?verbose=true").json()

    ours = json.loads(cli("inspect", str(tiny), "--json", "--verbose").out)

    named = {"checkpoint_model_name"}
    assert {name: field["value"] for name, field in ours["fields"].items() if name not in named} == {
        name: field["value"] for name, field in theirs["fields"].items() if name not in named
    }
    for part in ("format", "complete", "faults", "chat", "adapter", "pickles"):
        assert ours[part] == theirs[part]


def test_a_dangerous_pickle_has_an_exit_code_whatever_its_name(cli: RunCli, tiny: Path) -> None:
    (tiny / "notes.txt").write_bytes(DANGEROUS)

    run = cli("inspect", str(tiny))

    assert run.code == 9
    assert "pickle: notes.txt: dangerous" in run.out
    assert "notes.txt" in run.err
    assert cli("inspect", str(tiny), "--quiet").code == 9


def test_code_and_faults_and_what_is_missing(cli: RunCli, tiny: Path) -> None:
    files = {**tiny_files(model_type="own", auto_map={"AutoModel": "own.Own"}), "own.py": b"raise SystemExit(77)\n"}
    write_folder(tiny, {**files, "model.safetensors": b"\xff" * 64})

    run = cli("inspect", str(tiny))

    assert run.code == 0
    assert "code: own.py" in run.out
    assert "fault: model.safetensors: " in run.out
    assert "not known: base_num_parameters: " in run.out


def test_no_server_part_is_loaded(tiny: Path) -> None:
    code = (
        "import sys\n"
        "from steelyard.cli import main\n"
        "try:\n"
        "    main(['inspect', sys.argv[1], '--quiet'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print(*sorted({'steelyard.app', 'httpx', 'fastapi', 'sqlite3'} & set(sys.modules)))\n"
    )

    found = subprocess.run([sys.executable, "-c", code, str(tiny)], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == ""


def test_a_folder_that_is_none(cli: RunCli, tmp_path: Path) -> None:
    assert cli("inspect", str(tmp_path / "nowhere")).code == 2
    assert cli("memory", str(tmp_path / "nowhere")).code == 2


def test_the_memory_of_a_folder_is_that_of_the_model(
    cli: RunCli, steelyard: Steelyard, http: httpx.Client, workspace: str, tiny: Path
) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_model(http, workspace, "tiny", fileset="tiny")
    options = ["--batch", "3", "--gpus", "2", "--adapter-rank", "4", "--kv-dtype", "fp8", "--json"]

    here = json.loads(cli("memory", str(tiny), *options).out)
    there = json.loads(done(steelyard("memory", f"{workspace}/tiny", *options)))

    assert {**here, "model": ""} == {**there, "model": ""}


def test_memory_for_a_person(cli: RunCli, tiny: Path) -> None:
    run = cli("memory", str(tiny), "--context", "1000", "--gpus", "2")

    assert (run.code, run.requests) == (0, [])
    assert run.out.splitlines()[0].split() == ["PART", "GIB", "GIB", "PER", "GPU"]
    assert "runtime      1.500  0.750" in run.out
    assert "for 1 sequence of 1,000 tokens, on 2 GPUs" in run.out
    assert "4 GPUs: cannot be split so" in run.out
    assert "Megatron" not in run.out
    assert "Megatron" in cli("memory", str(tiny), "--gpus", "2", "--verbose").out
    assert "context_size" in cli("memory", str(tiny)).out


def test_memory_of_what_is_no_model(cli: RunCli, steelyard: Steelyard, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "text", {"readme.md": b"hello"})

    assert cli("memory", str(folder)).code == 1
    assert cli("memory", str(tmp_path), "--dtype", "float13").code == 1
    assert steelyard("memory", "nobody").returncode == 5


def test_a_type_that_nobody_knows(cli: RunCli, tiny: Path) -> None:
    run = cli("memory", str(tiny), "--dtype", "float13")

    assert run.code == 2
    assert "--dtype: 'float13' is no known type" in run.err
