"""Small checkpoints in folders, and what it takes to have them on a server."""

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

FILESETS = "/apis/files/v2/workspaces/{workspace}/filesets"
MODELS = "/apis/models/v2/workspaces/{workspace}/models"
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
    "vocab_size": 32,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
}
PARAMETERS = 1704
"""Of the model that `tensors` are."""


class Runs:
    """Something whose unpickling would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os  # noqa: PLC0415

        return os.system, ("true",)


DANGEROUS = pickle.dumps(Runs())


def tensors() -> dict[str, list[int]]:
    """The shapes of a llama of two layers, 8 wide."""
    shapes = {"model.embed_tokens.weight": [32, 8], "model.norm.weight": [8], "lm_head.weight": [32, 8]}
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        shapes |= {f"{prefix}self_attn.{name}_proj.weight": [8, 8] for name in "qo"}
        shapes |= {f"{prefix}self_attn.{name}_proj.weight": [4, 8] for name in "kv"}
        shapes |= {f"{prefix}mlp.{name}_proj.weight": [16, 8] for name in ("gate", "up")}
        shapes[f"{prefix}mlp.down_proj.weight"] = [8, 16]
        shapes |= {f"{prefix}{name}_layernorm.weight": [8] for name in ("input", "post_attention")}
    return shapes


def safetensors(shapes: Mapping[str, list[int]]) -> bytes:
    """A whole file of zeros in BF16."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(end)


def tiny_files(**config: Any) -> dict[str, bytes]:
    """The files of the llama; `config` are other values of its config.json."""
    return {
        "config.json": json.dumps({**CONFIG, **config}).encode(),
        "model.safetensors": safetensors(tensors()),
        "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}).encode(),
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The files in a folder."""
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder


def make_fileset(http: httpx.Client, workspace: str, name: str, files: Mapping[str, bytes]) -> None:
    """A fileset with those files on a server."""
    home = FILESETS.format(workspace=workspace)
    http.post(home, json={"name": name}).raise_for_status()
    for path, body in files.items():
        http.put(f"{home}/{name}/-/{path}", content=body).raise_for_status()


def make_model(http: httpx.Client, workspace: str, name: str, **fields: Any) -> dict[str, Any]:
    """A model on a server."""
    answer = http.post(MODELS.format(workspace=workspace), json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    return record
