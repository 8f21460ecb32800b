"""Adapters saved by PEFT fit the base that they were made for, and no other."""

from math import prod
from pathlib import Path
from typing import Any

import peft
import pytest
import transformers as hf

from steelyard.inspect.checkpoint import inspect_checkpoint
from steelyard.inspect.files import FolderFiles
from steelyard.inspect.peft import AdapterConfig, fits
from tests.models_env.families import FAMILIES

# PEFT of today asks transformers of today by a name that the latter has given up.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`:UserWarning"),
]


def _adapter(name: str, folder: Path, **values: Any) -> AdapterConfig:
    model = FAMILIES[name]()
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**{"r": 4, "lora_alpha": 8, **values}))
    wrapped.save_pretrained(folder)
    inspection = inspect_checkpoint(FolderFiles(folder))
    assert inspection.adapter is not None
    assert inspection.spec is None
    assert inspection.faults == ()
    return inspection.adapter


def _base(name: str, folder: Path) -> dict[str, Any]:
    FAMILIES[name]().save_pretrained(folder)
    spec = inspect_checkpoint(FolderFiles(folder)).spec
    assert spec is not None
    return dict(spec)


_FITTING: dict[str, dict[str, Any]] = {
    "llama": {"target_modules": ["q_proj", "v_proj"]},
    "llama-tied": {"target_modules": "all-linear", "use_dora": True},
    "gpt2": {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True},
    "falcon": {"target_modules": ["query_key_value"]},
    "mamba": {"target_modules": ["in_proj", "x_proj"]},
    "phi3": {"target_modules": "all-linear", "use_rslora": True},
    "bert": {"target_modules": ["query", "value"]},
    "t5": {"target_modules": ["q", "v", "wi"]},
    "mixtral": {"target_modules": ["q_proj", "o_proj"]},
    "nemotron_h": {"target_modules": ["q_proj", "in_proj", "up_proj"]},
    "llava": {"target_modules": r".*(?:language_model).*\.(?:q_proj|v_proj)"},
    "gemma3": {"target_modules": ["q_proj", "down_proj"]},
    "llama-biased": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
    "qwen2": {"target_modules": ["q_proj", "embed_tokens"]},
    "mistral": {"target_modules": ["q_proj", "k_proj"], "rank_pattern": {"k_proj": 2}},
}


@pytest.mark.parametrize("name", _FITTING)
def test_an_adapter_fits_the_base_that_it_was_made_for(name: str, tmp_path: Path) -> None:
    adapter = _adapter(name, tmp_path / "adapter", **_FITTING[name])
    base = _base(name, tmp_path / "base")

    assert fits(adapter, base["linear_layers"], base["hidden_size"]) is None
    assert (adapter.peft_type, adapter.rank, adapter.alpha) == ("LORA", 4, 8)
    assert adapter.num_parameters == sum(map(prod, adapter.tensors.values()))


def test_an_adapter_of_a_wider_model_does_not_fit_and_the_first_misfit_is_named(tmp_path: Path) -> None:
    adapter = _adapter("llama-head-dim", tmp_path / "adapter", target_modules=["q_proj", "k_proj"])
    base = _base("llama", tmp_path / "base")

    misfit = fits(adapter, base["linear_layers"], base["hidden_size"])

    assert misfit is not None
    assert misfit.module == "layers.0.self_attn.k_proj"
    assert (misfit.expected, misfit.found) == ((32, 4), (64, 4))


def test_an_adapter_of_another_family_does_not_fit(tmp_path: Path) -> None:
    adapter = _adapter("gpt2", tmp_path / "adapter", target_modules=["c_attn"], fan_in_fan_out=True)
    base = _base("llama", tmp_path / "base")

    misfit = fits(adapter, base["linear_layers"])

    assert misfit is not None
    assert misfit.module == "h.0.attn.c_attn"
    assert "no linear layer" in misfit.message


def test_a_prompt_fits_models_of_its_width_alone(tmp_path: Path) -> None:
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    peft.get_peft_model(FAMILIES["llama"](), config).save_pretrained(tmp_path / "adapter")
    adapter = inspect_checkpoint(FolderFiles(tmp_path / "adapter")).adapter
    base = _base("llama", tmp_path / "base")

    assert adapter is not None
    assert adapter.num_virtual_tokens == 5
    assert fits(adapter, base["linear_layers"], 64) is None
    misfit = fits(adapter, base["linear_layers"], 128)
    assert misfit is not None
    assert misfit.expected == (5, 128)


def test_an_adapter_fits_a_base_that_was_saved_without_its_head(tmp_path: Path) -> None:
    adapter = _adapter("llama", tmp_path / "adapter", target_modules=["q_proj"])
    hf.LlamaModel(FAMILIES["llama"]().config).save_pretrained(tmp_path / "base")
    spec = inspect_checkpoint(FolderFiles(tmp_path / "base")).spec

    assert spec is not None
    assert fits(adapter, spec["linear_layers"]) is None
