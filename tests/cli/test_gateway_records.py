"""`steelyard providers`, `virtual-models` and `limits`, and their manifests, against a real server."""

import json
from pathlib import Path
from typing import Any

import httpx

from tests.api.paths import made, providers, secrets

from .conftest import Steelyard, done

URL = "https://api.example.com/v1"


def _shown(steelyard: Steelyard, *arguments: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(done(steelyard(*arguments, "--json")))
    return shown


def test_a_provider_by_its_options(steelyard: Steelyard, http: httpx.Client, workspace: str) -> None:
    made(http, secrets(workspace), name="key", value="s3cret")
    text = done(
        steelyard(
            *("providers", "create", "vllm", "--host-url", URL, "--api-key-secret", "key", "--no-discover"),
            *("--auth-header", "X-Api-Key: {{ auth_secret }}", "--weight", "0", "--enabled-model", "a"),
            *("--enabled-model", "b", "--limits", '{"max_concurrency": 8}', "--default-extra-headers", '{"X-A": "1"}'),
            *("--served-models", '[{"model_entity_id": "m", "served_model_name": "org/m"}]', "--deployment", "d"),
        )
    )
    assert text == f"provider {workspace}/vllm created\n"
    shown = _shown(steelyard, "providers", "get", "vllm")
    assert (shown["api_key_secret_name"], shown["auth_header_format"]) == ("key", "X-Api-Key: {{ auth_secret }}")
    assert (shown["weight"], shown["discover"], shown["enabled_models"]) == (0, False, ["a", "b"])
    assert shown["served_models"][0]["model_entity_id"] == f"{workspace}/m"

    text = done(steelyard("providers", "update", "vllm", "--weight", "3", "--unset", "api-key-secret"))
    assert "weight: 0 -> 3" in text
    shown = _shown(steelyard, "providers", "get", "vllm")
    assert (shown["api_key_secret_name"], shown["weight"], shown["limits"]["max_concurrency"]) == (None, 3, 8)
    assert "vllm" in done(steelyard("providers", "list", "--filter", 'host_url~"example"', "--sort", "-status"))
    refused = steelyard("providers", "create", "near", "--host-url", "http://127.0.0.1:8000")
    assert refused.returncode == 4
    assert "outbound.allowed_hosts" in refused.stderr
    assert steelyard("providers", "update", "vllm", "--unset", "host-url").returncode == 2
    done(steelyard("providers", "delete", "vllm", "--yes"))
    done(steelyard("providers", "undelete", "vllm"))
    assert len(done(steelyard("providers", "history", "vllm")).splitlines()) == 5


def test_a_virtual_model_by_its_options(steelyard: Steelyard, workspace: str) -> None:
    text = done(
        steelyard("virtual-models", "create", "chat", "--model", "m", "--fallback", "f", "--sticky", '{"by": "user"}')
    )
    assert text == f"virtual model {workspace}/chat created\n"
    models = '[{"model": "a", "weight": 9}, {"model": "b", "weight": 1}]'
    done(steelyard("virtual-models", "update", "chat", "--models", models, "--unset", "model", "--unset", "sticky"))
    shown = _shown(steelyard, "virtual-models", "get", "chat")
    assert [(one["model"], one["weight"]) for one in shown["models"]] == [(f"{workspace}/a", 9), (f"{workspace}/b", 1)]
    assert (shown["default_model_entity"], shown["sticky"]) == (None, None)
    assert "chat" in done(steelyard("virtual-models", "list"))
    assert steelyard("virtual-models", "create", "Chat").returncode == 4


def test_a_limit_by_its_options(steelyard: Steelyard, workspace: str) -> None:
    refused = steelyard("limits", "create", "month", "--model", "m")
    assert refused.returncode == 4
    assert "requests_per_minute" in refused.stderr
    budget = '{"amount": 500, "period": "month"}'
    text = done(steelyard("limits", "create", "month", "--budget", budget, "--per-key"))
    assert text == f"limit {workspace}/month created\n"
    done(steelyard("limits", "update", "month", "--requests-per-minute", "60", "--unset", "budget", "--no-enabled"))
    shown = _shown(steelyard, "limits", "get", "month")
    assert (shown["requests_per_minute"], shown["budget"], shown["enabled"], shown["per_key"]) == (
        60,
        None,
        False,
        True,
    )


def test_models_and_workspaces_have_the_options_of_the_gateway(steelyard: Steelyard, workspace: str) -> None:
    done(steelyard("models", "create", "m", "--pricing", '{"input": 1}', "--routing", '{"retries": 2}'))
    shown = _shown(steelyard, "models", "get", "m")
    assert (shown["pricing"]["input"], shown["routing"]["retries"]) == (1, 2)
    done(steelyard("workspaces", "update", workspace, "--recording", '{"enabled": true}'))
    assert _shown(steelyard, "workspaces", "get", workspace)["recording"]["enabled"] is True
    done(steelyard("workspaces", "update", workspace, "--unset", "recording"))
    assert _shown(steelyard, "workspaces", "get", workspace)["recording"] is None


MANIFESTS = """
kind: limit
name: lim
record: {model: m, requests_per_minute: 60}
---
kind: virtual-model
name: chat
record: {models: [{model: m, weight: 1}]}
---
kind: model
name: m
record: {}
---
kind: model-provider
name: vllm
record: {host_url: "https://api.example.com/v1", discover: false}
"""


def test_manifests_are_applied_and_leave_alone_what_is_observed(
    steelyard: Steelyard, http: httpx.Client, workspace: str, tmp_path: Path
) -> None:
    file = tmp_path / "manifests.yaml"
    file.write_text(MANIFESTS)
    text = done(steelyard("apply", "-f", str(file), "--yes"))
    assert text.splitlines()[1:5] == [
        *("  + model-provider vllm", "  + model m", "  + virtual-model chat", "  + limit lim"),
    ]
    assert done(steelyard("drift", "-f", str(file))) == "no drift\n"

    served = [{"model_entity_id": "m", "served_model_name": "org/m"}]
    told = http.put(f"{providers(workspace)}/vllm/status", json={"status": "READY", "served_models": served}).json()
    assert done(steelyard("drift", "-f", str(file))) == "no drift\n"
    assert done(steelyard("apply", "-f", str(file), "--yes")) == "4 unchanged\n"
    assert http.get(f"{providers(workspace)}/vllm").json() == told

    http.patch(f"{providers(workspace)}/vllm", json={"weight": 9})
    assert steelyard("drift", "-f", str(file)).returncode == 8
    done(steelyard("apply", "-f", str(file), "--yes"))
    after = http.get(f"{providers(workspace)}/vllm").json()
    assert (after["weight"], after["status"], after["served_models"]) == (1, "READY", told["served_models"])

    file.write_text(MANIFESTS.partition("---")[0])
    done(steelyard("apply", "-f", str(file), "--yes"))
    only_limit = tmp_path / "rest.yaml"
    only_limit.write_text("kind: limit\nname: other\nrecord: {tokens_per_minute: 5}\n")
    text = done(steelyard("apply", "-f", str(only_limit), "--prune", "--yes"))
    assert "- limit lim" in text
