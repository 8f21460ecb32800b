"""Checkpoints made by hand, in memory: files by path, and safetensors of zeros with any header."""

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import Any

from steelyard.errors import BadCheckpoint
from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from steelyard.inspect.safetensors import BITS

Declared = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape of each tensor, by name."""


class Files:
    """A checkpoint in memory. `longer` claims that a file has more bytes than it has: zeros that nobody may read."""

    def __init__(self, files: Mapping[str, bytes | str | object], longer: Mapping[str, int] | None = None) -> None:
        self._files = {path: _bytes(content) for path, content in files.items()}
        self._longer = longer or {}
        self.read_bytes = 0

    def sizes(self) -> Mapping[str, int]:
        return {path: self._longer.get(path, len(body)) for path, body in self._files.items()}

    def read(self, path: str, offset: int, length: int) -> bytes:
        if path not in self._files:
            raise BadCheckpoint(f"{path}: there is no such file", file=path)
        body = self._files[path][offset : offset + length]
        self.read_bytes += len(body)
        return body


def _bytes(content: bytes | str | object) -> bytes:
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else json.dumps(content)).encode()


def header(entries: object, length: int | None = None) -> bytes:
    """A header of any JSON, under the length that it has or another one."""
    text = _bytes(entries)
    return struct.pack("<Q", len(text) if length is None else length) + text


def safetensors(tensors: Declared) -> tuple[bytes, int]:
    """A header that declares these tensors, and the size that the file would have with their bytes."""
    entries: dict[str, Any] = {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + prod(shape) * BITS[dtype] // 8
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    head = header(entries)
    return head, len(head) + end


def checkpoint(config: object, tensors: Declared, **others: object) -> Files:
    """A model of a config and one file of weights; `others` are more files, with `__` for the dot of their names."""
    body, size = safetensors(tensors)
    more = {name.replace("__", "."): content for name, content in others.items()}
    files = {"config.json": config, "model.safetensors": body, **more}
    return Files(files, longer={"model.safetensors": size})


def inspect(config: object, tensors: Declared, **others: object) -> Inspection:
    """The inspection of such a checkpoint."""
    return inspect_checkpoint(checkpoint(config, tensors, **others), "model")


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 12,
    "vocab_size": 10,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}


def llama_tensors(layers: int = 2, dtype: str = "BF16") -> dict[str, tuple[str, tuple[int, ...]]]:
    """The tensors of LLAMA."""
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {
        "model.embed_tokens.weight": (dtype, (10, 8)),
        "model.norm.weight": (dtype, (8,)),
        "lm_head.weight": (dtype, (10, 8)),
    }
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        tensors |= {
            f"{prefix}.input_layernorm.weight": (dtype, (8,)),
            f"{prefix}.self_attn.q_proj.weight": (dtype, (8, 8)),
            f"{prefix}.self_attn.k_proj.weight": (dtype, (4, 8)),
            f"{prefix}.self_attn.v_proj.weight": (dtype, (4, 8)),
            f"{prefix}.self_attn.o_proj.weight": (dtype, (8, 8)),
            f"{prefix}.mlp.gate_proj.weight": (dtype, (12, 8)),
            f"{prefix}.mlp.up_proj.weight": (dtype, (12, 8)),
            f"{prefix}.mlp.down_proj.weight": (dtype, (8, 12)),
        }
    return tensors
