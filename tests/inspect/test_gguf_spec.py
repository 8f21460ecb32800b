"""The spec of a GGUF file is in its own header."""

import struct
from collections.abc import Mapping
from typing import Any

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from steelyard.inspect.layout import AttentionLayers, StateLayers
from tests.inspect.checkpoints import Files

_TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_K": (12, 256, 144), "BF16": (30, 1, 2)}
_LLAMA = {
    "general.architecture": "llama",
    "general.name": "Tiny Llama",
    "llama.block_count": 2,
    "llama.embedding_length": 256,
    "llama.feed_forward_length": 512,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.context_length": 4096,
    "tokenizer.ggml.model": "llama",
    "tokenizer.chat_template": "{{ messages }}{{ tools }}",
}

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 4, len(value)) + b"".join(struct.pack("<I", item) for item in value)
    return struct.pack("<II", 4, value)


def _gguf(metadata: Mapping[str, Any], tensors: Shapes) -> tuple[bytes, int]:
    """The header of a file of version 3, and the size that it has with its tensors. Shapes are as in safetensors."""
    body = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    body += b"".join(_text(key) + _value(value) for key, value in metadata.items())
    offset = 0
    for name, (dtype, shape) in tensors.items():
        code, block, nbytes = _TYPES[dtype]
        elements = 1
        for size in shape:
            elements *= size
        body += _text(name) + struct.pack("<I", len(shape))
        body += b"".join(struct.pack("<Q", size) for size in reversed(shape)) + struct.pack("<IQ", code, offset)
        offset += -(-(elements // block * nbytes) // 32) * 32
    start = -(-len(body) // 32) * 32
    return body + bytes(start - len(body)), start + offset


def _layer(number: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    prefix = f"blk.{number}"
    return {
        f"{prefix}.attn_norm.weight": ("F32", (256,)),
        f"{prefix}.attn_q.weight": ("Q4_K", (256, 256)),
        f"{prefix}.attn_k.weight": ("Q4_K", (128, 256)),
        f"{prefix}.attn_v.weight": ("Q4_K", (128, 256)),
        f"{prefix}.attn_output.weight": ("Q4_K", (256, 256)),
        f"{prefix}.ffn_gate.weight": ("Q4_K", (512, 256)),
        f"{prefix}.ffn_up.weight": ("Q4_K", (512, 256)),
        f"{prefix}.ffn_down.weight": ("Q4_K", (256, 512)),
    }


_TENSORS = {"token_embd.weight": ("Q4_K", (100, 256)), "rope_freqs.weight": ("F32", (32,)), **_layer(0), **_layer(1)}


def _inspected(metadata: Mapping[str, Any], tensors: Shapes, name: str = "model.gguf", **more: bytes) -> Inspection:
    body, size = _gguf(metadata, tensors)
    return inspect_checkpoint(Files({name: body, **more}, {name: size}), "given")


def test_a_gguf_file_is_read_without_a_config() -> None:
    inspection = _inspected(_LLAMA, _TENSORS)

    assert inspection.format == "gguf"
    assert inspection.faults == ()
    assert inspection.complete()
    spec = dict(inspection.spec or {})
    layers = spec.pop("linear_layers")
    assert {key: value for key, value in spec.items() if value is not None} == {
        "checkpoint_model_name": "Tiny Llama",
        "family": "llama",
        "num_layers": 2,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "num_kv_heads": 2,
        "ffn_hidden_size": 512,
        "vocab_size": 100,
        "tied_embeddings": True,
        "gated_mlp": True,
        "base_num_parameters": 100 * 256 + 2 * (256 + 2 * 256 * 256 + 2 * 128 * 256 + 3 * 512 * 256),
        "precision": "Q4_K",
        "context_size": 4096,
        "is_chat": True,
        "is_embedding_model": False,
        "chat_template": "{{ messages }}{{ tools }}",
    }
    assert len(layers) == 14
    assert {"name": "blk.1.ffn_down", "in_features": 512, "out_features": 256} in layers
    assert inspection.sources["num_layers"] == "GGUF header: llama.block_count"
    assert inspection.chat.takes_tools


def test_the_layout_counts_blocks_as_they_are_kept() -> None:
    layout = _inspected(_LLAMA, _TENSORS).layout

    assert layout is not None
    assert layout.attention == (AttentionLayers(kind="full", count=2, num_kv_heads=2, key_dim=64, value_dim=64),)
    assert layout.weights[0].dtype == "Q4_K"
    assert layout.weights[0].nbytes == layout.weights[0].elements // 256 * 144


def test_tensors_win_over_the_metadata_and_the_contradiction_is_told() -> None:
    inspection = _inspected({**_LLAMA, "llama.block_count": 9}, _TENSORS)

    assert inspection.spec is not None
    assert inspection.spec["num_layers"] == 2
    assert "says 9 layers" in inspection.faults[0].message


def test_experts_are_described() -> None:
    experts = {
        "blk.1.ffn_gate_exps.weight": ("F16", (8, 64, 256)),
        "blk.1.ffn_up_exps.weight": ("F16", (8, 64, 256)),
        "blk.1.ffn_down_exps.weight": ("F16", (8, 256, 64)),
    }
    keys = {"llama.expert_count": 8, "llama.expert_used_count": 2, "llama.expert_feed_forward_length": 64}

    inspection = _inspected({**_LLAMA, **keys}, {**_TENSORS, **experts})

    assert inspection.spec is not None
    assert inspection.spec["moe_config"] == {
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_expert_layers": 1,
        "expert_ffn_size": 64,
        "num_shared_experts": 0,
    }


def test_state_space_layers_are_described() -> None:
    metadata = {
        "general.architecture": "mamba",
        "mamba.block_count": 1,
        "mamba.embedding_length": 64,
        "mamba.feed_forward_length": 0,
        "mamba.attention.head_count": 0,
        "mamba.context_length": 1_048_576,
        "mamba.ssm.state_size": 16,
        "mamba.ssm.conv_kernel": 4,
        "mamba.ssm.inner_size": 128,
    }
    tensors: Shapes = {
        "token_embd.weight": ("F16", (100, 64)),
        "blk.0.ssm_in.weight": ("F16", (256, 64)),
        "blk.0.ssm_a": ("F32", (128, 16)),
        "blk.0.ssm_conv1d.weight": ("F32", (128, 4)),
        "blk.0.ssm_out.weight": ("F16", (64, 128)),
    }

    inspection = _inspected(metadata, tensors)

    assert inspection.complete()
    assert inspection.spec is not None
    assert inspection.spec["checkpoint_model_name"] == "given"
    assert inspection.spec["mamba_config"]["num_mamba_layers"] == 1
    assert not inspection.spec["mamba_config"]["is_hybrid"]
    assert [layer["name"] for layer in inspection.spec["linear_layers"]] == ["blk.0.ssm_in", "blk.0.ssm_out"]
    assert inspection.layout is not None
    assert inspection.layout.state == (StateLayers(count=1, conv_elements=512, state_elements=2048),)


def test_layers_that_look_through_a_window_are_told_apart_where_the_family_says_which() -> None:
    tensors = {**_TENSORS, **_layer(2), **_layer(3)}
    metadata = {key.replace("llama.", "gemma2."): value for key, value in _LLAMA.items()}
    metadata |= {"general.architecture": "gemma2", "gemma2.block_count": 4, "gemma2.attention.sliding_window": 128}

    layout = _inspected(metadata, tensors).layout

    assert layout is not None
    assert [(one.kind, one.count, one.window) for one in layout.attention] == [("full", 2, None), ("sliding", 2, 128)]


def test_a_broken_file_is_a_fault_and_everything_is_open() -> None:
    inspection = inspect_checkpoint(Files({"model.gguf": b"GGUF" + bytes(100)}))

    assert [fault.path for fault in inspection.faults] == ["model.gguf"]
    assert not inspection.complete()
    assert "base_num_parameters" in inspection.missing


def test_of_several_files_one_is_read_and_that_is_told() -> None:
    inspection = _inspected(_LLAMA, _TENSORS, name="a.gguf", **{"b.gguf": b"", "mmproj-c.gguf": b""})

    assert "one of 2 models" in inspection.faults[0].message
    assert inspection.complete()
