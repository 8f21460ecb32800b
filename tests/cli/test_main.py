import os
import subprocess
import sys
from pathlib import Path

import pytest

import steelyard
from steelyard.cli.errors import EXIT_CODES

from .conftest import RunCli

DOCS = Path(__file__).parents[2] / "docs"
GROUPS = ["models", "adapters", "filesets", "prompts", "aliases", "projects", "workspaces"]
VERBS = ["list", "get", "create", "update", "delete", "undelete", "history", "diff", "revert"]
WHOLE = ["push", "pull", "inspect", "memory", "files", "apply", "drift", "export", "import", "events", "fsck"]


def python(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STEELYARD_")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, **environ},
    )


def test_without_arguments_it_helps(cli: RunCli) -> None:
    run = cli()
    text = run.out + run.err
    for group in [*GROUPS, *WHOLE, "serve", "settings", "version"]:
        assert group in text
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in text


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version(cli: RunCli, arguments: list[str]) -> None:
    assert cli(*arguments).out == f"steelyard {steelyard.__version__}\n"


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_for_every_option(cli: RunCli, group: str, verb: str) -> None:
    run = cli(group, verb, "--help")
    assert run.code == 0
    for option in ("--url", "--workspace", "--token", "--json", "--quiet"):
        assert option in run.out
    if verb in ("create", "update"):
        assert "Examples:" in run.out
        assert "  steelyard " + group in run.out


def test_unknown_commands_and_options_are_usage_errors(cli: RunCli) -> None:
    assert cli("modles").code == 2
    assert cli("models", "list", "--nope").code == 2
    assert cli("models", "get").code == 2


def test_a_start_does_not_load_what_it_does_not_need() -> None:
    code = "import sys; from steelyard.cli import build; build(); print(*sys.modules)"
    loaded = set(python("-c", code).stdout.split())
    assert "steelyard.cli.verbs" in loaded
    assert not loaded & {"httpx", "rich.table", "pydantic", "fastapi", "steelyard.settings", "sqlite3", "yaml"}


def test_it_runs_as_a_module_with_its_own_name() -> None:
    done = python("-m", "steelyard", "models", "get")
    assert done.returncode == 2
    assert "Usage: steelyard models get" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("steelyard mod", "models"),
        ("steelyard models up", "update"),
        ("steelyard models update x --base", "--base-model"),
        ("steelyard models create x --finetuning-type lora_m", "lora_merged"),
        ("steelyard models create x --backend-format A", "ANTHROPIC_MESSAGES"),
    ],
)
def test_bash_completes(words: str, expected: str) -> None:
    done = python(
        *("-m", "steelyard"),
        _STEELYARD_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert expected in done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_there(shell: str) -> None:
    done = python("-m", "steelyard", _STEELYARD_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert "_STEELYARD_COMPLETE" in done.stdout


def test_the_exit_codes_are_documented() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page
    for group in [*GROUPS, *WHOLE]:
        assert f"steelyard {group}" in page
    for verb in VERBS:
        assert verb in page
