"""An adapter is read from its own files, and told the first place where it does not fit a base."""

from typing import Any

import pytest

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from steelyard.inspect.peft import AdapterConfig, fits
from tests.inspect.checkpoints import LLAMA, Declared, Files, inspect, llama_tensors, safetensors

_LORA = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
_Q = "base_model.model.model.layers.0.self_attn.q_proj"


def _inspected(config: object, tensors: Declared) -> Inspection:
    body, size = safetensors(tensors)
    files = {"adapter_config.json": config, "adapter_model.safetensors": body}
    return inspect_checkpoint(Files(files, {"adapter_model.safetensors": size}))


def _adapter(tensors: Declared, **change: Any) -> AdapterConfig:
    adapter = _inspected({**_LORA, **change}, tensors).adapter
    assert adapter is not None
    return adapter


def _base() -> list[dict[str, Any]]:
    spec = inspect(LLAMA, llama_tensors()).spec
    assert spec is not None
    layers: list[dict[str, Any]] = spec["linear_layers"]
    return layers


def test_an_adapter_is_read_from_its_config_and_its_tensors() -> None:
    inspection = _inspected(
        {**_LORA, "base_model_name_or_path": "org/base", "use_dora": True, "task_type": "CAUSAL_LM"},
        {f"{_Q}.lora_A.weight": ("F32", (2, 8)), f"{_Q}.lora_B.weight": ("F32", (8, 2))},
    )

    adapter = inspection.adapter
    assert adapter is not None
    assert inspection.spec is None
    assert inspection.faults == ()
    assert (adapter.peft_type, adapter.rank, adapter.alpha, adapter.use_dora) == ("LORA", 2, 4.0, True)
    assert adapter.base_model_name_or_path == "org/base"
    assert adapter.num_parameters == 32
    assert fits(adapter, _base()) is None


@pytest.mark.parametrize(
    ("tensors", "module", "expected", "found"),
    [
        ({f"{_Q}.lora_A.weight": ("F32", (2, 9))}, "layers.0.self_attn.q_proj", (2, 8), (2, 9)),
        ({f"{_Q}.lora_B.weight": ("F32", (9, 2))}, "layers.0.self_attn.q_proj", (8, 2), (9, 2)),
        (
            {f"{_Q}.lora_A.weight": ("F32", (2, 8)), f"{_Q}.lora_B.weight": ("F32", (8, 3))},
            "layers.0.self_attn.q_proj",
            (8, 2),
            (8, 3),
        ),
        ({f"{_Q}.lora_magnitude_vector": ("F32", (7,))}, "layers.0.self_attn.q_proj", (8,), (7,)),
        (
            {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": ("F32", (2, 8))},
            "layers.9.self_attn.q_proj",
            None,
            (2, 8),
        ),
    ],
)
def test_the_first_misfit_is_named_with_its_shapes(
    tensors: Declared, module: str, expected: tuple[int, ...] | None, found: tuple[int, ...]
) -> None:
    misfit = fits(_adapter(tensors), _base())

    assert misfit is not None
    assert (misfit.module, misfit.expected, misfit.found) == (module, expected, found)
    assert module.rpartition(".")[2] in misfit.message


@pytest.mark.parametrize(
    ("targets", "fit"),
    [
        (["q_proj", "v_proj"], True),
        (["c_attn", "q_proj"], True),
        (["model.layers.1.mlp.up_proj"], True),
        (["embed_tokens"], True),
        (["c_attn"], False),
        (["proj"], False),
        ("(a+)+$", True),
        ("all-linear", True),
    ],
)
def test_without_tensors_the_names_of_the_modules_are_compared(targets: object, fit: bool) -> None:
    adapter = inspect_checkpoint(Files({"adapter_config.json": {**_LORA, "target_modules": targets}})).adapter

    assert adapter is not None
    assert (fits(adapter, _base()) is None) is fit


def test_what_cannot_be_judged_fits() -> None:
    adapter = _adapter({f"{_Q}.lora_A.weight": ("F32", (2, 9))})

    assert fits(adapter, []) is None
    assert fits(adapter, [{"name": "blk.0.attn_q", "in_features": 8, "out_features": 8}]) is None


def test_tensors_of_another_rank_than_the_config_says_are_told() -> None:
    inspection = _inspected({**_LORA, "r": 3}, {f"{_Q}.lora_A.weight": ("F32", (2, 8))})

    assert "r is 3" in inspection.faults[0].message


@pytest.mark.parametrize(
    "change",
    [
        {"r": 0},
        {"r": "8"},
        {"lora_alpha": True},
        {"lora_alpha": "x"},
        {"target_modules": [1]},
        {"peft_type": 7},
        {"target_modules": 3},
    ],
)
def test_a_value_of_the_wrong_type_is_a_fault(change: dict[str, object]) -> None:
    inspection = inspect_checkpoint(Files({"adapter_config.json": {**_LORA, **change}}))

    assert [fault.path for fault in inspection.faults] == ["adapter_config.json"]
    assert inspection.adapter is not None
