"""What an inspection says of a checkpoint, what it leaves open, and what it tells of files that lie or are broken."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from steelyard.inspect.layout import AttentionLayers, WeightBytes
from steelyard.inspect.version import INSPECTION_VERSION
from steelyard.records.spec import ModelSpec
from tests.inspect.checkpoints import LLAMA, Declared, Files, inspect, llama_tensors


def _spec(inspection: Inspection) -> dict[str, Any]:
    assert inspection.spec is not None
    return dict(inspection.spec)


def test_a_checkpoint_is_read_with_the_source_of_each_field() -> None:
    inspection = inspect(LLAMA, llama_tensors())

    spec = _spec(inspection)
    assert inspection.format == "safetensors"
    assert inspection.complete()
    assert inspection.faults == ()
    assert set(spec) == set(ModelSpec.model_fields)
    ModelSpec.model_validate(spec)
    assert spec["base_num_parameters"] == 1144
    assert spec["linear_layers"][1] == {"name": "model.layers.0.mlp.down_proj", "in_features": 12, "out_features": 8}
    assert inspection.sources["num_layers"] == "config.json: num_hidden_layers"
    assert inspection.sources["base_num_parameters"] == "safetensors headers (1 file)"
    assert inspection.sources["precision"] == "types of the weights (BF16)"
    assert inspection.missing == {"is_chat": "there are no tokenizer files"}


def test_the_layout_has_what_memory_is_computed_from() -> None:
    layout = inspect(LLAMA, llama_tensors()).layout

    assert layout is not None
    assert layout.weights == (WeightBytes(dtype="BF16", elements=1144, nbytes=2288),)
    assert layout.attention == (AttentionLayers(kind="full", count=2, num_kv_heads=2, key_dim=2, value_dim=2),)
    assert len(layout.linear_layers) == 15


def test_an_inspection_is_kept_as_json_and_read_again() -> None:
    inspection = inspect(LLAMA, llama_tensors(), generation_config__json={"eos_token_id": [1, 2], "top_p": 0.9})

    document = json.loads(json.dumps(inspection.as_document()))

    assert Inspection.from_document(document) == inspection
    assert Inspection.from_document({**document, "version": INSPECTION_VERSION + 1}) is None


def test_no_model_has_no_spec() -> None:
    inspection = inspect_checkpoint(Files({"README.md": "hello"}))

    assert inspection.spec is None
    assert inspection.format == "none"
    assert not inspection.complete()


def test_a_config_alone_leaves_open_what_only_weights_tell() -> None:
    inspection = inspect_checkpoint(Files({"config.json": {**LLAMA, "torch_dtype": "bfloat16"}}), "model")

    spec = _spec(inspection)
    assert spec["num_kv_heads"] == 2
    assert spec["precision"] == "bf16"
    assert "base_num_parameters" in inspection.missing
    assert "gated_mlp" in inspection.missing
    assert inspection.layout is None
    assert not inspection.complete()


def test_weights_alone_leave_open_what_only_a_config_tells() -> None:
    body = inspect({}, llama_tensors())

    spec = _spec(body)
    assert (spec["num_layers"], spec["hidden_size"], spec["vocab_size"]) == (2, 8, 10)
    assert spec["ffn_hidden_size"] == 12
    assert spec["gated_mlp"] is True
    assert spec["tied_embeddings"] is False
    assert set(body.missing) == {"family", "num_attention_heads", "num_kv_heads", "context_size", "is_chat"}


@pytest.mark.parametrize(
    ("change", "field", "value", "told"),
    [
        ({"num_hidden_layers": 3}, "num_layers", 2, "says 3 layers, but the weights have 2"),
        ({"hidden_size": 16}, "hidden_size", 8, "says 16 features"),
        ({"vocab_size": 11}, "vocab_size", 10, "says 11 tokens"),
        ({"intermediate_size": 13}, "ffn_hidden_size", 12, "says 13 features"),
        ({"num_key_value_heads": 4, "head_dim": 2}, "num_kv_heads", 2, "says 4 heads"),
        ({"num_attention_heads": 3, "head_dim": 2}, "num_kv_heads", 2, "says 3 heads"),
    ],
)
def test_weights_win_over_the_config_and_the_contradiction_is_told(
    change: dict[str, int], field: str, value: int, told: str
) -> None:
    inspection = inspect({**LLAMA, **change}, llama_tensors())

    assert _spec(inspection)[field] == value
    assert [fault.path for fault in inspection.faults] == ["config.json"]
    assert told in inspection.faults[0].message


def test_a_head_that_is_neither_there_nor_tied_is_told() -> None:
    tensors = llama_tensors()
    del tensors["lm_head.weight"]

    inspection = inspect(LLAMA, tensors)

    assert "no output head" in inspection.faults[0].message
    assert _spec(inspection)["tied_embeddings"] is False


def test_embeddings_are_tied_where_there_is_no_head_and_nothing_says_otherwise() -> None:
    tensors = llama_tensors()
    del tensors["lm_head.weight"]
    config = {**LLAMA, "model_type": "never-seen"}
    del config["tie_word_embeddings"]

    spec = _spec(inspect(config, tensors))

    assert spec["tied_embeddings"] is True
    assert {"name": "lm_head", "in_features": 8, "out_features": 10} in spec["linear_layers"]


def test_layers_that_predict_further_tokens_are_not_counted() -> None:
    config = {**LLAMA, "model_type": "deepseek_v3", "num_nextn_predict_layers": 1}

    inspection = inspect(config, llama_tensors(layers=3))

    spec = _spec(inspection)
    assert spec["num_layers"] == 2
    assert spec["base_num_parameters"] == 1144
    assert "further tokens" in inspection.sources["base_num_parameters"]
    assert not any("layers.2." in layer["name"] for layer in spec["linear_layers"])


def test_buffers_are_no_parameters() -> None:
    buffers: Declared = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", (1,)),
        "model.position_ids": ("I64", (1, 64)),
        "transformer.h.0.attn.bias": ("U8", (1, 1, 4, 4)),
    }

    assert _spec(inspect(LLAMA, {**llama_tensors(), **buffers}))["base_num_parameters"] == 1144


def test_a_path_of_the_makers_machine_is_not_the_models_name() -> None:
    for path in ("/data/models/x", "./x", "C:\\models\\x", "~/x"):
        inspection = inspect({**LLAMA, "_name_or_path": path}, llama_tensors())
        assert _spec(inspection)["checkpoint_model_name"] == "model"

    named = inspect({**LLAMA, "_name_or_path": "meta-llama/Llama-3.1-8B"}, llama_tensors())
    assert _spec(named)["checkpoint_model_name"] == "meta-llama/Llama-3.1-8B"


def test_what_pools_is_an_embedding_model() -> None:
    modules = [{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Pooling"}]

    assert _spec(inspect(LLAMA, llama_tensors(), modules__json=modules))["is_embedding_model"] is True
    assert _spec(inspect(LLAMA, llama_tensors()))["is_embedding_model"] is False


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "not JSON"),
        ("[]", "JSON object"),
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested deeper"),
        ('{"a":1,"a":2}', "twice"),
        ('{"hidden_size":' + "9" * 5000 + "}", "digits"),
        (b'{"a":"\xff"}', "UTF-8"),
        (" " * ((1 << 20) + 1), "at most"),
        ({**LLAMA, "num_hidden_layers": "two"}, "whole number"),
        ({**LLAMA, "num_hidden_layers": True}, "whole number"),
        ({**LLAMA, "num_hidden_layers": 10**15}, "10000 are the most"),
        ({**LLAMA, "num_hidden_layers": -1}, "whole number"),
        ({**LLAMA, "num_attention_heads": 0}, "at least 1"),
        ({**LLAMA, "vocab_size": 10**30}, "whole number"),
        ('{"model_type":"llama","hidden_size":NaN}', "whole number"),
        ({**LLAMA, "tie_word_embeddings": "no"}, "true or false"),
    ],
)
def test_a_config_that_is_broken_is_a_fault_of_its_file(config: object, message: str) -> None:
    inspection = inspect(config, llama_tensors())

    faults = [fault for fault in inspection.faults if message in fault.message]
    assert faults
    assert {fault.path for fault in inspection.faults} == {"config.json"}
    json.dumps(inspection.as_document(), allow_nan=False)


def test_numbers_that_are_none_are_taken_where_they_mean_nothing_to_us() -> None:
    config = json.dumps(LLAMA)[:-1] + ', "time_step_limit": [0.0, Infinity], "x": NaN}'

    assert inspect(config, llama_tensors()).faults == ()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_KEYS = (
    *LLAMA,
    *("head_dim", "layer_types", "text_config", "sliding_window", "auto_map", "quantization_config", "num_experts"),
    *(
        "num_experts_per_tok",
        "hybrid_override_pattern",
        "ssm_state_size",
        "conv_kernel",
        "_name_or_path",
        "torch_dtype",
    ),
    *("kv_lora_rank", "num_nextn_predict_layers", "cross_attention_layers", "attn_layer_indices", "multi_query"),
)
_FAMILIES = st.sampled_from(["llama", "mamba2", "nemotron_h", "jamba", "gpt2", "falcon", "gemma3", "t5", "modernbert"])


@given(st.dictionaries(st.sampled_from(_KEYS), _JSON | st.integers(0, 5), max_size=6), _FAMILIES)
def test_no_config_does_anything_but_be_described(change: dict[str, Any], family: str) -> None:
    inspection = inspect({**LLAMA, "model_type": family, **change}, llama_tensors())

    document = json.loads(json.dumps(inspection.as_document(), allow_nan=False))
    assert Inspection.from_document(document) == inspection
    if inspection.complete():
        ModelSpec.model_validate(inspection.spec)
