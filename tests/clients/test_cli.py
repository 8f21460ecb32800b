"""The `nemo` command works against a Steelyard by `--base-url` alone. (It takes seconds to start; so each test asks for
much at a time.)
"""

import csv
import io
import json

import httpx

from tests.clients.conftest import Nemo


def _made(http: httpx.Client, workspace: str, *names: str) -> None:
    for name in names:
        body = {"name": name, "description": f"The model {name}"}
        assert http.post(f"/apis/models/v2/workspaces/{workspace}/models", json=body).status_code == 201


def test_a_model_is_created_from_a_file_and_updated_by_options(nemo: Nemo, workspace: str) -> None:
    body = {"name": "llama", "description": "From the vendor", "custom_fields": {"a": 1}, "ownership": {"team": "t"}}
    created = nemo("models", "create", "--workspace", workspace, "--input-file", "-", input=json.dumps(body))
    assert created.returncode == 0, created.stderr
    model = json.loads(created.stdout)
    assert {key: model[key] for key in body} == body

    options = (
        *("--description", "Answers tickets", "--base-model", "other/base", "--finetuning-type", "lora"),
        *("--custom-fields", '{"languages": ["en"]}', "--model-providers", "other/a", "--model-providers", "other/b"),
        *("--backend-format", "ANTHROPIC_MESSAGES", "--prompt", '{"system_prompt": "Be kind."}'),
        *("--api-endpoint", '{"url": "https://models.example.org"}', "--trust-remote-code"),
    )
    updated = nemo("models", "update", "llama", "--workspace", workspace, *options, "-f", "json")

    assert updated.returncode == 0, updated.stderr
    after = json.loads(updated.stdout)
    assert (after["id"], after["revision"]) == (model["id"], 2)
    assert (after["description"], after["base_model"], after["finetuning_type"]) == (
        "Answers tickets",
        "other/base",
        "lora",
    )
    assert after["custom_fields"] == {"languages": ["en"]}
    assert after["model_providers"] == ["other/a", "other/b"]
    assert (after["backend_format"], after["prompt"]["system_prompt"]) == ("ANTHROPIC_MESSAGES", "Be kind.")
    assert (after["api_endpoint"]["url"], after["trust_remote_code"]) == ("https://models.example.org", True)
    assert after["ownership"] == {"team": "t"}


def test_a_model_is_read_as_yaml_and_deleted(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    _made(http, workspace, "llama")

    read = nemo("models", "get", "llama", "--workspace", workspace, "-f", "yaml")
    assert read.returncode == 0, read.stderr
    assert "description: The model llama\n" in read.stdout

    deleted = nemo("models", "delete", "llama", "--workspace", workspace)
    assert deleted.returncode == 0, deleted.stderr
    assert http.get(f"/apis/models/v2/workspaces/{workspace}/models/llama").status_code == 404

    missing = nemo("models", "get", "llama", "--workspace", workspace)
    assert missing.returncode == 1
    assert "Not found: (404) Model 'llama' not found" in missing.stdout + missing.stderr


def test_lists_walk_all_pages_and_are_filtered_and_sorted(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    _made(http, workspace, "llama-1", "llama-2", "llama-3", "qwen-1")
    models = ("models", "list", "--workspace", workspace, "--sort", "-name")

    pages = nemo(*models, "--all-pages", "--page-size", "1", "--filter", '{"name": {"$like": "llama"}}', "-f", "csv")
    assert pages.returncode == 0, pages.stderr
    rows = list(csv.DictReader(io.StringIO(pages.stdout.strip())))
    assert [row["name"] for row in rows] == ["llama-3", "llama-2", "llama-1"]

    page = nemo(*models, "--page-size", "3", "--page", "2", "-f", "json")
    assert page.returncode == 0, page.stderr
    answer = json.loads(page.stdout)
    assert [model["name"] for model in answer["data"]] == ["llama-1"]
    assert answer["pagination"]["total_results"] == 4

    table = nemo(*models, "--filter.name", "qwen-1", "-f", "markdown")
    assert table.returncode == 0, table.stderr
    assert "| qwen-1 | The model qwen-1 |" in table.stdout
    assert "llama" not in table.stdout


def test_a_conflict_is_told_and_exist_ok_accepts_it(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    _made(http, workspace, "llama")
    create = ("models", "create", "llama", "--workspace", workspace, "--description", "again")

    refused = nemo(*create)
    assert refused.returncode == 1
    assert "Conflict: (409)" in refused.stdout + refused.stderr

    accepted = nemo(*create, "--exist-ok")
    assert accepted.returncode == 0, accepted.stderr
    assert json.loads(accepted.stdout)["description"] == "The model llama"


def test_workspaces_are_created_updated_listed_and_deleted(nemo: Nemo, http: httpx.Client, workspace: str) -> None:
    name = f"{workspace}-b"

    created = nemo("workspaces", "create", name, "--description", "Models of the team")
    assert json.loads(created.stdout)["name"] == name
    updated = nemo("workspaces", "update", name, "--description", "Ours", "-f", "json")
    assert json.loads(updated.stdout)["description"] == "Ours"
    listed = nemo("workspaces", "list", "--filter", f'name:"{name}"', "-f", "json")
    assert [one["name"] for one in json.loads(listed.stdout)["data"]] == [name]
    deleted = nemo("workspaces", "delete", name)

    assert deleted.returncode == 0, deleted.stderr
    assert http.get(f"/apis/entities/v2/workspaces/{name}").status_code == 404


def test_projects_are_created_and_listed(nemo: Nemo, workspace: str) -> None:
    created = nemo("projects", "create", "tickets", "--workspace", workspace, "--description", "All tickets")
    assert json.loads(created.stdout)["workspace"] == workspace

    listed = nemo("projects", "list", "--workspace", workspace, "-f", "csv")

    assert [row["name"] for row in csv.DictReader(io.StringIO(listed.stdout.strip()))] == ["tickets"]
