"""Each family, saved by transformers and inspected by us, says of itself what the live module says."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from steelyard.inspect.files import FolderFiles
from steelyard.records.spec import ModelSpec
from tests.models_env import live
from tests.models_env.families import FAMILIES

# Their checkpoints keep the names of older classes, which the live module no longer has.
_RENAMED = {"gpt_neox", "phimoe", "granitemoe", "llava", "llava-tied", "gemma3", "mistral3", "mllama"}
_RENAMED |= {"qwen2_vl", "qwen2_5_vl", "nemotron_h", "nemotron_h-moe"}
_TOKENS = 8


def _saved(name: str, folder: Path) -> tuple[Any, Inspection]:
    """A model as it is once it has been saved and loaded, and the inspection of what was saved."""
    model = FAMILIES[name]()
    model.save_pretrained(folder)
    return type(model).from_pretrained(folder), inspect_checkpoint(FolderFiles(folder), name)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_read_as_its_module_is(name: str, tmp_path: Path) -> None:
    model, inspection = _saved(name, tmp_path)

    assert inspection.spec is not None
    expected = {**live.sizes(model), "gated_mlp": live.is_gated(model)}
    assert {field: inspection.spec[field] for field in expected} == expected
    assert inspection.faults == ()
    assert inspection.complete()
    assert ModelSpec.model_validate(inspection.spec).family == model.config.model_type
    assert Inspection.from_document(inspection.as_document()) == inspection
    _same_linear_layers(name, model, inspection.spec["linear_layers"])


def _same_linear_layers(name: str, model: Any, found: list[dict[str, Any]]) -> None:
    layers = live.linear_layers(model)
    features = Counter(layers.values()) + Counter(live.fused_layers(model))
    assert Counter((layer["in_features"], layer["out_features"]) for layer in found) == features
    if name not in _RENAMED:
        ours = {layer["name"]: (layer["in_features"], layer["out_features"]) for layer in found}
        assert {name: ours.get(name) for name in layers} == layers


# An encoder alone does not take the question; transformers keeps the keys of Falcon's grouped heads once for each head,
# which engines do not.
_CACHED = [name for name in FAMILIES if name not in {"t5-encoder", "falcon-new"}]


@pytest.mark.parametrize("name", _CACHED)
def test_the_layout_keeps_as_many_numbers_as_the_live_cache(name: str, tmp_path: Path) -> None:
    model, inspection = _saved(name, tmp_path)

    assert inspection.layout is not None
    kept = sum(
        layers.count * _TOKENS * (layers.num_kv_heads * (layers.key_dim + layers.value_dim))
        if layers.kind != "latent"
        else layers.count * _TOKENS * (layers.latent_dim + layers.rope_dim)
        for layers in inspection.layout.attention
    )
    kept += sum(layers.count * (layers.conv_elements + layers.state_elements) for layers in inspection.layout.state)
    assert kept == live.cache_elements(model, _TOKENS)


_MIXTURES = {
    "mixtral": (4, 2, 3, 96, 0),
    "qwen2_moe": (4, 2, 2, 40, 1),
    "qwen3_moe": (4, 2, 3, 40, 0),
    "qwen3_next": (4, 2, 4, 40, 1),
    "gpt_oss": (4, 2, 3, 96, 0),
    "deepseek_v2": (4, 2, 2, 40, 1),
    "deepseek_v3": (4, 2, 2, 40, 1),
    "nemotron_h-moe": (4, 2, 2, 40, 1),
    "jamba": (4, 2, 2, 96, 0),
    "olmoe": (4, 2, 3, 96, 0),
    "granitemoe": (4, 2, 3, 96, 0),
    "glm4_moe": (4, 2, 2, 40, 1),
    "phimoe": (4, 2, 3, 96, 0),
    "llama4_text": (4, 1, 1, 96, 1),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_mixture_of_experts_is_described(name: str, tmp_path: Path) -> None:
    FAMILIES[name]().save_pretrained(tmp_path)
    spec = inspect_checkpoint(FolderFiles(tmp_path)).spec

    assert spec is not None
    found = spec["moe_config"]
    keys = ("num_experts", "num_experts_per_tok", "num_expert_layers", "expert_ffn_size", "num_shared_experts")
    assert (None if found is None else tuple(found[key] for key in keys)) == _MIXTURES.get(name)


_MAMBAS = {
    "mamba": (False, 3, 0, 0, 8, 4),
    "mamba2": (False, 3, 0, 0, 16, 4),
    "falcon_mamba": (False, 3, 0, 0, 8, 4),
    "falcon_h1": (True, 3, 3, 0, 16, 4),
    "jamba": (True, 3, 1, 0, 16, 4),
    "nemotron_h": (True, 2, 1, 1, 16, 4),
    "nemotron_h-moe": (True, 1, 1, 2, 16, 4),
}


@pytest.mark.parametrize("name", _MAMBAS)
def test_state_space_layers_are_described(name: str, tmp_path: Path) -> None:
    FAMILIES[name]().save_pretrained(tmp_path)
    spec = inspect_checkpoint(FolderFiles(tmp_path)).spec

    assert spec is not None
    found = spec["mamba_config"]
    keys = ("is_hybrid", "num_mamba_layers", "num_attention_layers", "num_mlp_layers", "state_size", "conv_kernel")
    assert tuple(found[key] for key in keys) == _MAMBAS[name]
