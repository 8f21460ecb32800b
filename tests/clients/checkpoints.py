"""Checkpoints of a few hundred bytes, as files by path. Here is only what the clients' environment has."""

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

SHAPES = {
    "model.embed_tokens": (10, 8),
    "model.layers.0.input_layernorm": (8,),
    "model.layers.0.self_attn.q_proj": (8, 8),
    "model.layers.0.self_attn.k_proj": (4, 8),
    "model.layers.0.self_attn.v_proj": (4, 8),
    "model.layers.0.self_attn.o_proj": (8, 8),
    "model.layers.0.post_attention_layernorm": (8,),
    "model.layers.0.mlp.gate_proj": (12, 8),
    "model.layers.0.mlp.up_proj": (12, 8),
    "model.layers.0.mlp.down_proj": (8, 12),
    "model.norm": (8,),
    "lm_head": (10, 8),
}
PARAMETERS = sum(map(prod, SHAPES.values()))
"""How many parameters that Llama of one layer has."""


def llama() -> dict[str, bytes]:
    """A Llama of one layer."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "vocab_size": 10,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    tensors = {f"{name}.weight": shape for name, shape in SHAPES.items()}
    return {"config.json": json.dumps(config).encode(), "model.safetensors": _safetensors(tensors)}


def lora(rank: int = 4, out_features: int = 8) -> dict[str, bytes]:
    """A LoRA on one module of that Llama; it fits where `out_features` is 8."""
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {f"{module}.lora_A.weight": (rank, 8), f"{module}.lora_B.weight": (out_features, rank)}
    return {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": _safetensors(tensors)}


def written(folder: Path, files: dict[str, bytes]) -> str:
    """The files in a folder, whose path is answered with a `/` at its end: to the clients, its content."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return f"{folder}/"


def read(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _safetensors(tensors: Mapping[str, tuple[int, ...]]) -> bytes:
    head, offset = {}, 0
    for name, shape in tensors.items():
        stop = offset + 2 * prod(shape)
        head[name] = {"dtype": "BF16", "shape": shape, "data_offsets": (offset, stop)}
        offset = stop
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)
