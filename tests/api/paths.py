"""Where the records of the API stand, and bodies that many tests send."""

from typing import Any

import httpx

WORKSPACES = "/apis/entities/v2/workspaces"
JSON = {"Content-Type": "application/json"}

SPEC: dict[str, Any] = {
    "checkpoint_model_name": "meta/llama",
    "family": "llama",
    "num_layers": 2,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_kv_heads": 1,
    "ffn_hidden_size": 16,
    "vocab_size": 100,
    "tied_embeddings": False,
    "gated_mlp": True,
    "base_num_parameters": 1000,
    "precision": "bf16",
}
LAYERS: list[dict[str, Any]] = [{"name": "q_proj", "in_features": 8, "out_features": 8}]


def models(workspace: str) -> str:
    """The models of a workspace."""
    return f"/apis/models/v2/workspaces/{workspace}/models"


def prompts(workspace: str) -> str:
    """The prompts of a workspace."""
    return f"/apis/models/v2/workspaces/{workspace}/prompts"


def projects(workspace: str) -> str:
    """The projects of a workspace."""
    return f"{WORKSPACES}/{workspace}/projects"


def providers(workspace: str) -> str:
    """The model providers of a workspace."""
    return f"/apis/models/v2/workspaces/{workspace}/providers"


def virtual_models(workspace: str) -> str:
    """The virtual models of a workspace."""
    return f"/apis/inference-gateway/v2/workspaces/{workspace}/virtual-models"


def limits(workspace: str) -> str:
    """The limits of a workspace."""
    return f"/apis/steelyard/v1/workspaces/{workspace}/limits"


def secrets(workspace: str) -> str:
    """The secrets of a workspace."""
    return f"/apis/secrets/v2/workspaces/{workspace}/secrets"


def made(http: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    """A new record, as it was answered."""
    answer = http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    return record


def faults(answer: httpx.Response) -> list[tuple[tuple[str | int, ...], str]]:
    """Place and type of each fault of a 422."""
    assert answer.status_code == 422, answer.text
    return [(tuple(fault["loc"]), fault["type"]) for fault in answer.json()["detail"]]
