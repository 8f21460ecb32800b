"""`apply` and `drift`: a server made what manifests say."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from steelyard.cli import gitops
from steelyard.cli.output import Output

from .conftest import RunCli, Steelyard, done

MANIFESTS = """
kind: model
name: child
record: {base_model: base, project: bot, description: "first\\nsecond\\n"}
---
kind: model
name: base
---
kind: alias
name: child@prod
record: {model: child}
---
kind: prompt
name: greet
record: {messages: [{role: system, content: Be brief.}]}
---
kind: project
name: bot
record: {description: Answers tickets}
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the manifest file of the test, and answers its path."""

    def write(text: str) -> str:
        file = tmp_path / "manifests.yaml"
        file.write_text(text)
        return str(file)

    return write


def test_apply_makes_it_so_and_then_does_nothing(steelyard: Steelyard, write: Write, workspace: str) -> None:
    file = write(MANIFESTS)
    text = done(steelyard("apply", "-f", file, "--yes", "--reason", "release 1"))
    assert text.splitlines() == [
        f"workspace {workspace}",
        *("  + project bot", "  + prompt greet", "  + model base", "  + model child", "  + alias child@prod"),
        *("5 to create, 0 unchanged", "applied"),
    ]
    assert done(steelyard("apply", "-f", file)) == "5 unchanged\n"
    assert done(steelyard("drift", "-f", file)) == "no drift\n"
    history = done(steelyard("models", "history", "child")).splitlines()
    assert len(history) == 2
    assert history[1].endswith("steelyard apply: release 1")


def test_what_a_manifest_does_not_say_gets_its_default(steelyard: Steelyard, write: Write) -> None:
    done(steelyard("models", "create", "m", "--description", "by hand", "--custom-fields", '{"a": 1}'))
    text = done(steelyard("apply", "-y", write("kind: model\nname: m\nrecord: {finetuning_type: lora}\n")))
    assert '  ~ model m\n      description\n        - "by hand"\n' in text
    record = json.loads(done(steelyard("models", "get", "m", "--json")))
    assert (record["description"], record["custom_fields"], record["finetuning_type"]) == (None, {}, "lora")


def test_drift_has_an_exit_code_of_its_own(steelyard: Steelyard, write: Write) -> None:
    file = write(MANIFESTS)
    assert steelyard("drift", file).returncode == 8
    done(steelyard("apply", file, "-y"))
    done(steelyard("models", "update", "child", "--description", "first\nchanged\n"))
    run = steelyard("drift", "-f", file)
    assert run.returncode == 8
    assert run.stdout.splitlines()[1:] == [
        *("  ~ model child", "      description", "          first", "        - changed", "        + second")
    ]
    run = steelyard("drift", "-f", file, "--json")
    assert run.returncode == 8
    found = json.loads(run.stdout)
    assert [(step["kind"], step["name"], step["action"]) for step in found["steps"]] == [("model", "child", "change")]
    assert found["steps"][0]["diff"][0]["path"] == "description"
    assert steelyard("drift", file, "--quiet").stdout == ""
    done(steelyard("apply", file, "-y"))
    assert json.loads(done(steelyard("drift", file, "--json"))) == {"drift": False, "steps": []}


def test_without_a_person_or_a_yes_nothing_is_applied(steelyard: Steelyard, write: Write) -> None:
    file = write(MANIFESTS)
    run = steelyard("apply", file)
    assert run.returncode == 2
    assert "+ model child" in run.stdout
    assert "--yes" in run.stderr
    assert "5 to create" in done(steelyard("apply", file, "--dry-run"))
    assert steelyard("apply", file, "--json").returncode == 2
    program = json.loads(done(steelyard("apply", file, "--dry-run", "--json")))
    assert program["applied"] is False
    assert {step["action"] for step in program["steps"]} == {"create"}
    assert done(steelyard("models", "list", "-q")) == ""
    assert json.loads(done(steelyard("apply", file, "--yes", "--json")))["applied"] is True


def test_it_is_all_or_nothing_and_the_place_is_named(steelyard: Steelyard, write: Write) -> None:
    file = write(f"{MANIFESTS}---\nkind: model\nname: wrong\nrecord: {{descripton: d}}\n")
    run = steelyard("apply", file, "--yes")
    assert run.returncode == 4
    assert f"{file}:21: model wrong: " in run.stderr
    assert "did you mean 'description'" in run.stderr
    assert run.stderr.count("\n") == 1
    assert done(steelyard("models", "list", "-q")) == ""
    run = steelyard("apply", write("kind: model\nname: m\nworkspace: no-such\n"), "--yes")
    assert run.returncode == 5


@pytest.mark.parametrize("there", [True, False])
def test_a_change_in_between_is_a_conflict_and_nothing_is_applied(
    steelyard: Steelyard, write: Write, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        done(steelyard("models", "create", "child"))
    carry_out = gitops._carry_out

    def slowly(*arguments: Any) -> None:
        verb = "update" if there else "create"
        done(steelyard("models", verb, "child", "--description", "of another writer"))
        carry_out(*arguments)

    monkeypatch.setattr(gitops, "_carry_out", slowly)
    run = steelyard("apply", write(MANIFESTS), "--yes")
    assert run.returncode == 6
    assert "was changed" in run.stderr
    assert "model child" in run.stderr
    assert done(steelyard("models", "list", "-q")) == "child\n"
    assert json.loads(done(steelyard("models", "get", "child", "--json")))["description"] == "of another writer"


def test_a_workspace_is_made_with_what_is_in_it(steelyard: Steelyard, write: Write, workspace: str) -> None:
    name = f"{workspace}-new"
    text = f"kind: workspace\nname: {name}\nrecord: {{description: d}}\n---\nkind: model\nname: m\nworkspace: {name}\n"
    done(steelyard("apply", write(text), "--yes"))
    assert done(steelyard("models", "list", "-q", "-w", name)) == "m\n"
    assert "2 unchanged" in done(steelyard("apply", write(text), "--yes"))
    text = done(steelyard("apply", write(text.replace("description: d", "description: e")), "--yes"))
    assert f"~ workspace {name}" in text
    assert json.loads(done(steelyard("workspaces", "get", name, "--json")))["description"] == "e"


def test_prune_takes_what_was_applied_and_nothing_else(steelyard: Steelyard, write: Write) -> None:
    done(steelyard("apply", write(MANIFESTS), "--yes"))
    done(steelyard("apply", write("kind: model\nname: theirs\n"), "--yes", "--manager", "other-team"))
    done(steelyard("models", "create", "by-hand"))
    left = write("kind: model\nname: base\n")
    assert done(steelyard("apply", left, "--yes")) == "1 unchanged\n"
    assert steelyard("apply", left, "--prune").returncode == 2
    assert steelyard("drift", left, "--prune").returncode == 8
    text = done(steelyard("apply", left, "--prune", "--yes", "--reason", "less"))
    assert "  - model child\n      these would name what is gone" in text
    assert "1 to delete, 1 unchanged" in text
    assert sorted(done(steelyard("models", "list", "-q")).split()) == ["base", "by-hand", "theirs"]
    # Kinds of which there is no manifest are left alone.
    assert done(steelyard("prompts", "list", "-q")) == "greet\n"
    assert "steelyard apply: less" in done(steelyard("models", "history", "child"))
    assert done(steelyard("apply", left, "--prune", "--yes")) == "1 unchanged\n"
    assert steelyard("apply", left, "--manager", "a b").returncode == 2


def test_an_export_can_be_applied(steelyard: Steelyard, write: Write, tmp_path: Path, workspace: str) -> None:
    done(steelyard("apply", write(MANIFESTS), "--yes"))
    file = tmp_path / "export.ndjson"
    done(steelyard("export", "-o", str(file)))
    assert done(steelyard("drift", str(file))) == "no drift\n"
    done(steelyard("workspaces", "create", f"{workspace}-copy"))
    done(steelyard("apply", "-", "-w", f"{workspace}-copy", "--yes", input=file.read_text()))
    copy = done(steelyard("export", "-w", f"{workspace}-copy"))
    assert copy == file.read_text()


def test_a_key_is_kept_that_the_manifest_does_not_say(steelyard: Steelyard, write: Write) -> None:
    text = "kind: model\nname: m\nrecord:\n  api_endpoint: {url: 'https://e.example/v1', model_id: m, api_key: KEY}\n"
    runs = [steelyard("apply", write(text.replace("KEY", "s3cret-key")), "--yes")]
    runs.append(steelyard("apply", write(text.replace("KEY", "s4cret-key")), "--yes"))
    runs.append(steelyard("apply", write(text.replace("api_key: KEY", "api_key_set: true")), "--yes"))
    assert "a secret, which is another one" in done(runs[1])
    assert done(runs[2]) == "1 unchanged\n"
    assert not any("cret-key" in run.stdout + run.stderr for run in runs)


def test_nothing_to_read_is_a_usage_error(cli: RunCli, tmp_path: Path) -> None:
    assert cli("apply").code == 2
    assert cli("apply", "-f", str(tmp_path)).code == 2
    assert cli("apply", "-f", "-", "--yes", input="kind: nothing\n").code == 2
    assert cli("drift", "-f", str(tmp_path / "gone")).code == 2


def test_more_than_a_batch_takes_is_said_before_anything_is_written(cli: RunCli, write: Write) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"name": "default"})
        count = len(json.loads(request.content)["operations"])
        assert count <= 1000
        return httpx.Response(200, json={"results": [{"status": 404, "error": {}}] * count})

    text = "---\n".join(f"kind: model\nname: m{number}\n" for number in range(1001))
    run = cli("apply", write(text), "--yes", handler=server)
    assert run.code == 2
    assert "1,001 records for the workspace default" in run.err


def test_a_record_that_moves_while_it_is_planned_is_looked_at_again(cli: RunCli, write: Write) -> None:
    batches: list[dict[str, Any]] = []

    def server(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"name": "default"}, headers={"etag": '"w.1"'})
        body = json.loads(request.content)
        batches.append(body)
        if body.get("atomic") is False:
            return httpx.Response(200, json={"results": [{"status": 200, "etag": f'"m.{len(batches)}"'}]})
        if len(batches) < 4:
            return httpx.Response(412, json={"detail": "changed", "operation": 0})
        return httpx.Response(200, json={"results": [{"status": 200, "dry_run": {"diff": []}}]})

    run = cli("apply", "-f", write("kind: model\nname: m\n"), handler=server)
    assert (run.code, run.out) == (0, "1 unchanged\n")
    assert [batch["operations"][0].get("if_match") for batch in batches] == [None, '"m.1"', None, '"m.3"']


def test_a_record_that_keeps_moving_is_a_conflict(cli: RunCli, write: Write) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if b'"atomic": false' in request.content:
            return httpx.Response(200, json={"results": [{"status": 200, "etag": '"m.1"'}]})
        return httpx.Response(200 if request.method == "GET" else 412, json={"detail": "changed", "operation": 0})

    run = cli("apply", "-f", write("kind: model\nname: m\n"), "--yes", handler=server)
    assert (run.code, run.out) == (6, "")
    assert "manifests.yaml:1: model m: changed (412)" in run.err


@pytest.mark.parametrize(("typed", "code", "left"), [("n\n", 1, ""), ("y\n", 0, "m\n")])
def test_a_person_is_asked(
    server_url: str, workspace: str, write: Write, typed: str, code: int, left: str, steelyard: Steelyard
) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    environ |= {"STEELYARD_URL": server_url, "STEELYARD_WORKSPACE": workspace}
    keyboard, terminal = os.openpty()
    try:
        os.write(keyboard, typed.encode())
        command = [sys.executable, "-m", "steelyard", "apply", write("kind: model\nname: m\n")]
        run = subprocess.run(command, stdin=terminal, capture_output=True, env=environ, check=False, timeout=60)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert run.returncode == code, run.stderr
    assert b"Apply this?" in run.stderr
    assert done(steelyard("models", "list", "-q")) == left


def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    Output(json=False, quiet=False).line("+ \x1bmodel", "green")
    assert capsys.readouterr().out == "\x1b[32m+ \\x1bmodel\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    Output(json=False, quiet=False).line("+ model", "green")
    assert capsys.readouterr().out == "+ model\n"
