"""A quantized checkpoint is the model that its packed tensors stand for."""

from typing import Any

import pytest

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from tests.inspect.checkpoints import LLAMA, Declared, Files, inspect, llama_tensors, safetensors

_MODULE = "model.layers.0.mlp.gate_proj"
_WIDE = {**LLAMA, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "vocab_size": 10}


def _tensors(packed: Declared) -> dict[str, tuple[str, tuple[int, ...]]]:
    """One layer whose gate (128 outputs, 64 inputs) is `packed`."""
    return {
        "model.embed_tokens.weight": ("BF16", (10, 64)),
        "lm_head.weight": ("BF16", (10, 64)),
        "model.layers.0.input_layernorm.weight": ("BF16", (64,)),
        "model.layers.0.mlp.up_proj.weight": ("BF16", (128, 64)),
        "model.layers.0.mlp.down_proj.weight": ("BF16", (64, 128)),
        **packed,
    }


_PLAIN = 2 * 640 + 64 + 3 * 128 * 64

_COMPRESSED = {
    "quant_method": "compressed-tensors",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}},
}


@pytest.mark.parametrize(
    ("config", "packed", "precision"),
    [
        (
            {"quant_method": "gptq", "bits": 4},
            {
                f"{_MODULE}.qweight": ("I32", (8, 128)),
                f"{_MODULE}.qzeros": ("I32", (1, 16)),
                f"{_MODULE}.scales": ("F16", (1, 128)),
                f"{_MODULE}.g_idx": ("I32", (64,)),
            },
            "int4",
        ),
        ({"quant_method": "gptq", "bits": 3}, {f"{_MODULE}.qweight": ("I32", (6, 128))}, "int3"),
        (
            {"quant_method": "awq", "bits": 4},
            {
                f"{_MODULE}.qweight": ("I32", (64, 16)),
                f"{_MODULE}.qzeros": ("I32", (1, 16)),
                f"{_MODULE}.scales": ("F16", (1, 128)),
            },
            "int4",
        ),
        (
            {"quant_method": "fp8", "weight_block_size": [128, 128]},
            {f"{_MODULE}.weight": ("F8_E4M3", (128, 64)), f"{_MODULE}.weight_scale_inv": ("F32", (1, 1))},
            "fp8",
        ),
        (
            {"quant_method": "bitsandbytes", "load_in_8bit": True},
            {f"{_MODULE}.weight": ("I8", (128, 64)), f"{_MODULE}.SCB": ("F32", (128,))},
            "int8",
        ),
        (
            _COMPRESSED,
            {
                f"{_MODULE}.weight_packed": ("I32", (128, 8)),
                f"{_MODULE}.weight_scale": ("BF16", (128, 1)),
                f"{_MODULE}.weight_shape": ("I64", (2,)),
            },
            "int4",
        ),
        (
            {"quant_method": "modelopt", "quant_algo": "NVFP4"},
            {
                f"{_MODULE}.weight": ("U8", (128, 32)),
                f"{_MODULE}.weight_scale": ("F8_E4M3", (128, 4)),
                f"{_MODULE}.weight_scale_2": ("F32", ()),
                f"{_MODULE}.input_scale": ("F32", ()),
            },
            "nvfp4",
        ),
    ],
    ids=["gptq", "gptq-3bit", "awq", "fp8", "bnb-int8", "compressed-tensors", "nvfp4"],
)
def test_packed_weights_count_as_what_they_stand_for(config: Any, packed: Declared, precision: str) -> None:
    inspection = inspect({**_WIDE, "quantization_config": config}, _tensors(packed))

    assert inspection.spec is not None
    assert inspection.spec["base_num_parameters"] == _PLAIN
    assert inspection.spec["precision"] == precision
    assert {"name": _MODULE, "in_features": 64, "out_features": 128} in inspection.spec["linear_layers"]
    assert inspection.faults == ()


_BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


def _four_bits(note: bytes) -> Inspection:
    """A gate in four bits, whose shape only the note beside it tells."""
    packed: Declared = {
        f"{_MODULE}.weight.quant_state.bitsandbytes__nf4": ("U8", (len(note),)),
        **_tensors({f"{_MODULE}.weight": ("U8", (128 * 64 // 2, 1)), f"{_MODULE}.weight.absmax": ("U8", (128,))}),
    }
    head, size = safetensors(packed)
    files = {"config.json": {**_WIDE, "quantization_config": _BNB}, "model.safetensors": head + note}
    return inspect_checkpoint(Files(files, {"model.safetensors": size}))


def test_weights_of_bitsandbytes_have_the_shapes_that_are_noted_beside_them() -> None:
    inspection = _four_bits(b'{"blocksize": 64, "dtype": "bfloat16", "shape": [128, 64]}')

    assert inspection.spec is not None
    assert inspection.faults == ()
    assert inspection.spec["base_num_parameters"] == _PLAIN
    assert inspection.spec["precision"] == "nf4"
    assert {"name": _MODULE, "in_features": 64, "out_features": 128} in inspection.spec["linear_layers"]


@pytest.mark.parametrize("note", [b"{", b"[]", b'{"shape": [128, 65]}', b'{"shape": [-1]}', b"x" * 5000])
def test_a_note_that_cannot_be_is_a_fault_and_the_weights_stay_unknown(note: bytes) -> None:
    inspection = _four_bits(note)

    assert inspection.spec is not None
    assert "does not tell a shape" in inspection.faults[0].message
    assert inspection.spec["base_num_parameters"] is None
    assert inspection.spec["linear_layers"] is None


def test_experts_in_blocks_count_as_what_they_stand_for() -> None:
    config = {"model_type": "gpt_oss", "num_local_experts": 2, "quantization_config": {"quant_method": "mxfp4"}}
    block = "model.layers.0.mlp.experts"
    packed: Declared = {
        f"{block}.gate_up_proj_blocks": ("U8", (2, 64, 2, 16)),
        f"{block}.gate_up_proj_scales": ("U8", (2, 64, 2)),
        f"{block}.gate_up_proj_bias": ("BF16", (2, 64)),
        f"{block}.down_proj_blocks": ("U8", (2, 64, 1, 16)),
        f"{block}.down_proj_scales": ("U8", (2, 64, 1)),
        f"{block}.down_proj_bias": ("BF16", (2, 64)),
    }

    inspection = inspect(config, packed)

    assert inspection.spec is not None
    assert inspection.spec["base_num_parameters"] == 2 * 64 * 64 + 2 * 64 * 32 + 4 * 64
    assert inspection.spec["precision"] == "mxfp4"
    assert inspection.spec["gated_mlp"] is True


@pytest.mark.parametrize("config", [{"quant_method": "aqlm"}, {"quant_method": 4}, {"x": 1}])
def test_a_method_that_is_not_known_here_leaves_the_count_open(config: Any) -> None:
    inspection = inspect({**LLAMA, "quantization_config": config}, llama_tensors())

    assert inspection.spec is not None
    assert inspection.spec["base_num_parameters"] is None
    assert "not known here" in inspection.missing["base_num_parameters"]


def test_a_quantization_may_stand_in_a_file_of_its_own() -> None:
    side = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": None}}

    inspection = inspect(LLAMA, llama_tensors(dtype="F8_E4M3"), hf_quant_config__json=side)

    assert inspection.spec is not None
    assert inspection.spec["precision"] == "fp8"
    assert inspection.sources["precision"] == "quantization_config (fp8)"
