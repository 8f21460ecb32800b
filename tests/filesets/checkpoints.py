"""Checkpoints of a few hundred bytes, put into filesets of a running server."""

import json
from typing import Any

import httpx

from tests.api.paths import models
from tests.inspect.checkpoints import LLAMA, llama_tensors, safetensors

Tensors = dict[str, tuple[str, tuple[int, ...]]]


def filesets(workspace: str) -> str:
    """The filesets of a workspace."""
    return f"/apis/files/v2/workspaces/{workspace}/filesets"


def adapters(workspace: str) -> str:
    """The adapters of a workspace."""
    return f"/apis/models/v2/workspaces/{workspace}/adapters"


def weights(tensors: Tensors) -> bytes:
    """A safetensors file of zeros."""
    head, size = safetensors(tensors)
    return head + bytes(size - len(head))


def llama(layers: int = 2, **config: Any) -> dict[str, bytes]:
    """The files of a Llama that is very small."""
    return {
        "config.json": json.dumps({**LLAMA, "num_hidden_layers": layers, **config}).encode(),
        "model.safetensors": weights(llama_tensors(layers)),
    }


def lora(rank: int = 4, alpha: int = 8, out_features: int = 8, module: str = "q_proj") -> dict[str, bytes]:
    """The files of a LoRA adapter on one module of the first layer of that Llama."""
    name = f"base_model.model.model.layers.0.self_attn.{module}"
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": [module], "task_type": "CAUSAL_LM"}
    tensors: Tensors = {
        f"{name}.lora_A.weight": ("F32", (rank, 8)),
        f"{name}.lora_B.weight": ("F32", (out_features, rank)),
    }
    return {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": weights(tensors)}


def put(http: httpx.Client, workspace: str, name: str, files: dict[str, bytes]) -> None:
    """Puts files into a fileset, which is made if it is not there."""
    http.post(filesets(workspace), json={"name": name})
    for path, content in files.items():
        answer = http.put(f"{filesets(workspace)}/{name}/-/{path}", content=content)
        assert answer.status_code == 200, answer.text


def get_model(http: httpx.Client, workspace: str, name: str) -> dict[str, Any]:
    """A model, with its linear layers."""
    answer = http.get(f"{models(workspace)}/{name}", params={"verbose": "true"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def revisions(http: httpx.Client, workspace: str, name: str) -> list[dict[str, Any]]:
    """The history of a model, newest first."""
    answer = http.get(f"{models(workspace)}/{name}/revisions")
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data
