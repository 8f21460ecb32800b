"""The command line against a real server.

`server_url`, `http` and `workspace` come from `tests/conftest.py`. The command runs within the test's process, which
saves a second for each; that it starts as a process of its own is tested once here and in `test_main.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from .conftest import Steelyard, done


def test_a_model_from_its_making_to_its_end(steelyard: Steelyard) -> None:
    text = done(steelyard("models", "create", "Llama-3", "--description", "old", "--trust-remote-code"))
    assert "Llama-3 created" in text
    record = json.loads(done(steelyard("models", "get", "Llama-3", "--json")))
    assert (record["description"], record["trust_remote_code"]) == ("old", True)

    text = done(steelyard("models", "update", "Llama-3", "--description", "new", "--custom-fields", '{"a": 1}'))
    assert 'description: "old" -> "new"' in text
    assert 'custom_fields: {} -> {"a": 1}' in text
    assert "new" in done(steelyard("models", "get", "Llama-3"))

    refused = steelyard("models", "delete", "Llama-3")
    assert refused.returncode == 2
    done(steelyard("models", "delete", "Llama-3", "--yes"))
    assert steelyard("models", "get", "Llama-3", "--quiet").returncode == 5


def test_a_key_goes_in_by_stdin_and_never_comes_out(steelyard: Steelyard) -> None:
    endpoint = '{"url": "https://engine.example/v1", "model_id": "m", "api_key": "s3cret-key"}'
    results = [
        steelyard("models", "create", "m", "--api-endpoint", "-", input=endpoint),
        steelyard("models", "get", "m"),
        steelyard("models", "get", "m", "--json"),
        steelyard("models", "update", "m", "--api-endpoint", "-", "--json", input=endpoint),
        steelyard("models", "list", "--json"),
    ]
    for result in results:
        assert "s3cret-key" not in done(result) + result.stderr


def test_unset_clears(steelyard: Steelyard) -> None:
    done(steelyard("projects", "create", "bot"))
    fields = ["--base-model", "b", "--project", "bot", "--backend-format", "OPENAI_CHAT", "--ownership", '{"a": 1}']
    fields += ["--custom-fields", '{"a": 1}', "--model-provider", "p", "--description", "d", "--tags", '{"a": "b"}']
    fields += ["--finetuning-type", "lora", "--prompt", '{"system_prompt": "s"}']
    fields += ["--api-endpoint", '{"url": "https://engine.example/v1", "model_id": "m", "api_key": "k"}']
    done(steelyard("models", "create", "m", *fields))
    names = ["base_model", "project", "backend_format", "ownership", "custom_fields", "model_providers"]
    names += ["description", "tags", "finetuning_type", "prompt", "api_endpoint"]
    before = json.loads(done(steelyard("models", "get", "m", "--json")))
    assert all(before[name] for name in names)
    done(steelyard("models", "update", "m", *(word for name in names for word in ("--unset", name))))
    after = json.loads(done(steelyard("models", "get", "m", "--json")))
    assert not any(after[name] for name in names)
    done(steelyard("projects", "update", "bot", "--description", "d"))
    done(steelyard("projects", "update", "bot", "--unset", "description"))
    assert json.loads(done(steelyard("projects", "get", "bot", "--json")))["description"] is None


def test_unset_beside_values_replaces_objects_whole(steelyard: Steelyard, tmp_path: Path) -> None:
    done(steelyard("models", "create", "m", "--custom-fields", '{"a": 1}', "--description", "d", "--project", ""))
    file = tmp_path / "model.json"
    file.write_text(done(steelyard("models", "get", "m", "--json")))
    options = ["--custom-fields", '{"b": 2}', "--unset", "description", "--file", str(file)]
    assert steelyard("models", "update", "m", *options).returncode == 2
    record = {key: value for key, value in json.loads(file.read_text()).items() if key != "description"}
    file.write_text(json.dumps(record))
    done(steelyard("models", "update", "m", *options))
    after = json.loads(done(steelyard("models", "get", "m", "--json")))
    assert (after["custom_fields"], after["description"]) == ({"b": 2}, None)


def test_an_etag_guards_update_and_delete(steelyard: Steelyard) -> None:
    done(steelyard("models", "create", "m"))
    etag = done(steelyard("models", "get", "m", "--etag")).strip()
    assert etag.startswith('"')
    done(steelyard("models", "update", "m", "--description", "1", "--if-match", etag))
    late = steelyard("models", "update", "m", "--description", "2", "--if-match", etag)
    assert late.returncode == 6
    assert "ETag" in late.stderr
    assert steelyard("models", "delete", "m", "--yes", "--if-match", etag).returncode == 6
    now = done(steelyard("models", "get", "m", "--etag")).strip()
    # As a shell passes it on when the quotes are forgotten.
    done(steelyard("models", "delete", "m", "--yes", "--if-match", now.strip('"')))


def test_refusals_have_their_exit_codes(steelyard: Steelyard) -> None:
    done(steelyard("models", "create", "m"))
    expected = [
        (("models", "create", "m"), 6),
        (("models", "get", "nobody"), 5),
        (("models", "list", "-w", "no-such-workspace-here"), None),
        (("models", "create", "a b"), 4),
        (("models", "create", "n", "--finetuning-type", "loar"), 4),
        (("models", "update", "m", "--spec", "{}"), 4),
        (("models", "list", "--filter", "nonsense =="), 4),
        (("models", "list", "--sort", "colour"), 4),
        (("workspaces", "get", "no-such-workspace-here"), 5),
        (("workspaces", "delete", "default", "--yes"), 6),
    ]
    for arguments, code in expected:
        result = steelyard(*arguments)
        if code is not None:
            assert result.returncode == code, (arguments, result.stderr)
        assert "Traceback" not in result.stderr
        assert result.stderr.count("\n") <= 1, (arguments, result.stderr)


def test_a_misspelt_field_of_a_file_is_named(steelyard: Steelyard, tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_text('{"name": "m", "descripton": "d"}')
    result = steelyard("models", "create", "--file", str(file))
    assert result.returncode == 4
    assert "descripton" in result.stderr
    file.write_text('{"name": "m", "description": "d", "ownership": {"team": "a"}}')
    done(steelyard("models", "create", "--file", str(file)))
    assert json.loads(done(steelyard("models", "get", "m", "--json")))["ownership"] == {"team": "a"}


def test_lists_filter_sort_and_walk(steelyard: Steelyard, http: httpx.Client, workspace: str) -> None:
    names = [f"m{number:02}" for number in range(7)]
    for name in names:
        http.post(f"/apis/models/v2/workspaces/{workspace}/models", json={"name": name}).raise_for_status()
    every = ["models", "list", "--all", "--page-size", "2", "--quiet"]
    assert done(steelyard(*every)).split() == names
    assert done(steelyard(*every, "--sort", "-name")).split() == names[::-1]
    assert done(steelyard(*every, "--sort", "updated_at")).split() == names
    assert done(steelyard(*every, "--filter", 'name~"m0" AND name>"m03"')).split() == names[4:]
    assert done(steelyard(*every, "--filter", '{"name": {"$in": ["m01", "m05"]}}')).split() == ["m01", "m05"]
    first = steelyard("models", "list", "--page-size", "3", "--json")
    assert [record["name"] for record in json.loads(done(first))] == names[:3]
    assert "3 of 7 shown" in first.stderr
    table = done(steelyard("models", "list", "-w", "-", "--filter", 'name:"m06"'))
    assert "m06" in table
    assert "WORKSPACE" in table


def test_workspaces_and_projects(steelyard: Steelyard) -> None:
    assert "default" in done(steelyard("workspaces", "list", "--all", "--quiet")).split()
    done(steelyard("projects", "create", "bot", "--description", "old"))
    assert '"old" -> "new"' in done(steelyard("projects", "update", "bot", "--description", "new"))
    assert "bot" in done(steelyard("projects", "list"))
    done(steelyard("models", "create", "m", "--project", "bot"))
    done(steelyard("projects", "delete", "bot", "--yes"))
    assert steelyard("projects", "get", "bot").returncode == 5


def test_prompts_keep_what_an_update_does_not_name(steelyard: Steelyard) -> None:
    messages = '[{"role": "system", "content": "Be brief."}]'
    done(steelyard("prompts", "create", "p", "--messages", "-", "--tag", "a", "--tag", "b", input=messages))
    text = done(steelyard("prompts", "update", "p", "--description", "d", "--tool-choice", "auto"))
    assert "description" in text
    record = json.loads(done(steelyard("prompts", "get", "p", "--json")))
    assert record["messages"][0]["content"] == "Be brief."
    assert (record["tags"], record["description"], record["tool_choice"]) == (["a", "b"], "d", "auto")
    done(steelyard("projects", "create", "bot"))
    done(steelyard("prompts", "update", "p", "--project", "bot"))
    done(steelyard("prompts", "update", "p", "--unset", "description", "--unset", "project"))
    record = json.loads(done(steelyard("prompts", "get", "p", "--json")))
    assert (record["tags"], record["description"], record["project"]) == (["a", "b"], None, None)
    done(steelyard("prompts", "delete", "p", "--yes"))


def test_it_is_a_process_like_any_other(server_url: str, workspace: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    environ |= {"STEELYARD_URL": server_url, "STEELYARD_WORKSPACE": workspace}
    command = [sys.executable, "-m", "steelyard", "models"]
    for arguments, code in [(["create", "m"], 0), (["create", "m"], 6), (["list", "--quiet"], 0)]:
        result = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, timeout=60, env=environ
        )
        assert result.returncode == code, result.stderr
    assert result.stdout == "m\n"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    result = subprocess.run(
        [sys.executable, "-m", "steelyard", "serve", "--port", "0", "--data-dir", str(file / "data")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert str(file) in result.stderr


@pytest.mark.parametrize(("typed", "code", "left"), [("n\n", 1, "m\n"), ("y\n", 0, "")])
def test_delete_asks_at_a_terminal(server_url: str, workspace: str, typed: str, code: int, left: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    environ |= {"STEELYARD_URL": server_url, "STEELYARD_WORKSPACE": workspace}
    command = [sys.executable, "-m", "steelyard", "models"]
    subprocess.run([*command, "create", "m", "-q"], env=environ, check=True, timeout=60)
    keyboard, terminal = os.openpty()
    try:
        os.write(keyboard, typed.encode())
        result = subprocess.run(
            [*command, "delete", "m"], stdin=terminal, capture_output=True, env=environ, check=False, timeout=60
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert result.returncode == code, result.stderr
    assert b"Delete model" in result.stderr
    listed = subprocess.run(
        [*command, "list", "-q"], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert listed.stdout == left
