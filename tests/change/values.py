"""The values of the fields of records, and parts of them, for property tests of changes.

Keys of a caller's own objects are few, so that a change often meets what is there.
"""

from typing import Any

from hypothesis import strategies as st

from tests.api.paths import LAYERS, SPEC

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
keys = st.sampled_from(["a", "b", "c"])
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from([0, 1, 1.0, 0.5]) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(keys, json_values, max_size=3)
_gpus = st.integers(0, 3)
_moe = dict.fromkeys(("num_experts", "num_experts_per_tok", "num_expert_layers"), _gpus)
_layers = st.sampled_from([[], LAYERS, LAYERS * 2])
_sampling = {"temperature": st.sampled_from([0, 0.5, 1.5]), "stop": st.lists(texts, max_size=2), "min_p": scalars}
_tokens = st.integers(1, 9)

MODEL_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "description": texts,
    "spec": st.fixed_dictionaries(
        {key: st.just(value) for key, value in SPEC.items()} | {"num_layers": _gpus},
        optional={
            "context_size": _gpus,
            "is_chat": st.booleans(),
            "moe_config": st.fixed_dictionaries(dict(_moe)),
            "linear_layers": _layers,
        },
    ),
    "finetuning_type": st.sampled_from(["lora", "dora"]),
    "trust_remote_code": st.booleans(),
    "base_model": st.sampled_from(["other/a", "other/b"]),
    "api_endpoint": st.fixed_dictionaries(
        {}, optional={"url": st.sampled_from(["https://a", "https://b"]), "model_id": texts, "format": texts}
    ),
    "backend_format": st.sampled_from(["OPENAI_CHAT", "ANTHROPIC_MESSAGES"]),
    "prompt": st.fixed_dictionaries(
        {},
        optional={"system_prompt": texts, "inference_params": st.fixed_dictionaries({}, optional=dict(_sampling))},
    ),
    "custom_fields": objects,
    "ownership": objects,
    "model_providers": st.lists(st.sampled_from(["other/p", "other/q"]), unique=True, max_size=2),
}

PROMPT_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "description": texts,
    "messages": st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": texts}), max_size=2
    ),
    "input_variables": st.lists(texts, max_size=2),
    "tool_choice": st.sampled_from(["auto", "none"]) | st.just({"type": "function"}),
    "response_format": objects,
    "tags": st.lists(texts, max_size=2),
}

PARTS: dict[str, st.SearchStrategy[Any]] = {
    "spec": st.fixed_dictionaries(
        {},
        optional={
            "context_size": st.none() | _gpus,
            "is_chat": st.none() | st.booleans(),
            "moe_config": st.none() | st.fixed_dictionaries({}, optional=dict(_moe)),
            "linear_layers": st.none() | _layers,
        },
    ),
    "api_endpoint": st.fixed_dictionaries({}, optional={"model_id": st.none() | texts, "format": st.none() | texts}),
    "prompt": st.fixed_dictionaries(
        {},
        optional={
            "system_prompt": st.none() | texts,
            "inference_params": st.none()
            | st.fixed_dictionaries({}, optional={key: st.none() | value for key, value in _sampling.items()}),
        },
    ),
}
"""Parts of the objects of a model, as a merge patch names them; null clears."""
