"""A layout made of a spec alone: what the spec says is taken, what it does not say is assumed and told."""

from typing import Any

import pytest

from steelyard.inspect.layout import AttentionLayers, StateLayers, WeightBytes
from steelyard.inspect.spec_layout import layout_of_spec

SPEC: dict[str, Any] = {
    "checkpoint_model_name": "meta-llama/Meta-Llama-3-8B",
    "family": "llama",
    "num_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_kv_heads": 8,
    "ffn_hidden_size": 14336,
    "vocab_size": 128256,
    "tied_embeddings": False,
    "gated_mlp": True,
    "base_num_parameters": 8_030_261_248,
    "precision": "bf16",
    "linear_layers": None,
    "mamba_config": None,
    "sliding_window_config": None,
}
HEADS = AttentionLayers(kind="full", count=32, num_kv_heads=8, key_dim=128, value_dim=128)


def test_a_spec_gives_its_numbers_and_what_was_assumed() -> None:
    found = layout_of_spec(SPEC)

    assert (found.hidden_size, found.ffn_hidden_size, found.vocab_size, found.num_layers) == (4096, 14336, 128256, 32)
    assert found.weights == (WeightBytes(dtype="BF16", elements=8_030_261_248, nbytes=16_060_522_496),)
    assert found.attention == (HEADS,)
    assert found.assumed == ("Heads are assumed to be of hidden_size / num_attention_heads features.",)


def test_linear_layers_tell_the_true_size_of_heads() -> None:
    layers = [
        {"name": "model.layers.0.self_attn.k_proj", "in_features": 4096, "out_features": 8 * 256},
        {"name": "model.layers.0.self_attn.v_proj", "in_features": 4096, "out_features": 8 * 64},
    ]

    found = layout_of_spec({**SPEC, "linear_layers": layers})

    assert [(group.key_dim, group.value_dim) for group in found.attention] == [(256, 64)]
    assert found.linear_layers[0] == ("model.layers.0.self_attn.k_proj", 4096, 2048)
    assert found.assumed == ()


def test_latent_attention_shows_in_its_linear_layers() -> None:
    layers = [
        {"name": "model.layers.0.self_attn.kv_a_proj_with_mqa", "in_features": 7168, "out_features": 576},
        {"name": "model.layers.0.self_attn.kv_b_proj", "in_features": 512, "out_features": 32768},
    ]

    found = layout_of_spec({**SPEC, "num_layers": 61, "linear_layers": layers})

    assert found.attention == (AttentionLayers(kind="latent", count=61, latent_dim=512, rope_dim=64),)


@pytest.mark.parametrize(
    ("family", "groups"),
    [
        ("mistral", [("sliding", 32, 4096)]),
        ("gemma2", [("full", 16, None), ("sliding", 16, 4096)]),
        ("gemma3_text", [("full", 6, None), ("sliding", 26, 4096)]),
    ],
)
def test_how_many_layers_slide_is_assumed_by_family(family: str, groups: list[tuple[str, int, int | None]]) -> None:
    found = layout_of_spec({**SPEC, "family": family, "sliding_window_config": {"window_size": 4096}})

    assert [(group.kind, group.count, group.window) for group in found.attention] == groups
    assert any("slide" in sentence for sentence in found.assumed)


def test_mamba_layers_have_a_state_and_only_hybrids_have_attention() -> None:
    mamba = {"is_hybrid": False, "num_mamba_layers": 64, "state_size": 16, "conv_kernel": 4, "num_attention_layers": 0}
    alone = layout_of_spec({**SPEC, "num_layers": 64, "hidden_size": 2560, "mamba_config": mamba})
    hybrid = layout_of_spec({**SPEC, "mamba_config": {**mamba, "num_attention_layers": 4, "num_mamba_layers": 28}})

    assert alone.state == (StateLayers(count=64, conv_elements=5120 * 4, state_elements=5120 * 16),)
    assert alone.attention == ()
    assert [group.count for group in hybrid.attention] == [4]
    assert hybrid.state[0].count == 28
    assert any("Mamba" in sentence for sentence in hybrid.assumed)


@pytest.mark.parametrize(
    ("precision", "nbytes"),
    [("bf16", 2), ("torch.bfloat16", 2), ("fp32", 4), ("float8_e4m3fn", 1), ("BF16", 2), ("bf16-mixed", 2)],
)
def test_precisions_are_understood_however_they_are_spelled(precision: str, nbytes: int) -> None:
    (weights,) = layout_of_spec({**SPEC, "precision": precision, "base_num_parameters": 10}).weights

    assert weights.nbytes == 10 * nbytes


def test_a_precision_that_is_not_known_is_assumed_and_told() -> None:
    found = layout_of_spec({**SPEC, "precision": "exotic"})

    assert found.weights[0].dtype == "BF16"
    assert any("'exotic'" in sentence for sentence in found.assumed)


@pytest.mark.parametrize("spec", [{}, dict.fromkeys(SPEC), dict.fromkeys(SPEC, "text"), {"linear_layers": [1]}])
def test_a_spec_that_says_nothing_gives_an_empty_layout(spec: dict[str, Any]) -> None:
    found = layout_of_spec(spec)

    assert (found.weights, found.attention, found.state) == ((), (), ())
