"""Bodies of Update Model, and the values of its fields, for property tests."""

from typing import Any

from hypothesis import strategies as st

from tests.api.paths import SPEC

Body = dict[str, Any]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, 0.0, 1.0, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(texts, json_values, max_size=3)

layers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["q", "k", "v"]), "in_features": st.integers(0, 9), "out_features": st.integers(0, 9)}
    ),
    max_size=3,
)
specs = st.fixed_dictionaries(
    {key: st.just(value) for key, value in SPEC.items()} | {"num_layers": st.integers(0, 3)},
    optional={
        "context_size": st.integers(0, 3) | st.none(),
        "is_chat": st.booleans(),
        "moe_config": st.fixed_dictionaries(
            {key: st.integers(0, 2) for key in ("num_experts", "num_experts_per_tok", "num_expert_layers")}
        ),
        "linear_layers": layers | st.none(),
        "minimum_gpus_lora": st.integers(0, 3),
    },
)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "description": texts,
    "spec": specs,
    "finetuning_type": st.sampled_from(["lora", "dora", "grpo"]),
    "trust_remote_code": st.booleans(),
    "base_model": st.sampled_from(["other/a", "other/b", ""]),
    "api_endpoint": st.fixed_dictionaries(
        {},
        optional={
            "url": st.sampled_from(["https://a", "https://b"]) | st.none(),
            "model_id": texts | st.none(),
            "format": texts,
        },
    ),
    "backend_format": st.sampled_from(["OPENAI_CHAT", "ANTHROPIC_MESSAGES"]),
    "prompt": st.fixed_dictionaries(
        {},
        optional={
            "system_prompt": texts | st.none(),
            "inference_params": st.fixed_dictionaries(
                {}, optional={"temperature": st.floats(0, 2), "stop": st.lists(texts, max_size=2), "min_p": scalars}
            ),
        },
    ),
    "custom_fields": objects,
    "ownership": objects,
    "model_providers": st.lists(st.sampled_from(["other/p", "other/q", "other/r"]), unique=True, max_size=3),
}

bodies = st.fixed_dictionaries({}, optional={key: value | st.none() for key, value in FIELDS.items()})
"""A change of any fields, some of them null."""

records = bodies.map(lambda body: {key: value for key, value in body.items() if value is not None})
"""What a new model may be made of, but for its name."""


@st.composite
def disjoint_pairs(draw: st.DrawFn) -> tuple[Body, Body]:
    """Two changes that have no field in common."""
    whole: Body = draw(bodies)
    first = draw(st.sets(st.sampled_from(sorted(FIELDS))))
    left = {key: value for key, value in whole.items() if key in first}
    return left, {key: value for key, value in whole.items() if key not in first}


WRONG: list[Body] = [
    {"description": 5},
    {"description": "x" * 1001},
    {"spec": {}},
    {"spec": "spec"},
    {"finetuning_type": "lorra"},
    {"trust_remote_code": "perhaps"},
    {"base_model": "a/b/c"},
    {"api_endpoint": {"url": "file:///etc/passwd"}},
    {"api_endpoint": []},
    {"backend_format": ""},
    {"prompt": {"inference_params": {"top_p": 2}}},
    {"custom_fields": []},
    {"ownership": "me"},
    {"model_providers": ["other/p", "other/p"]},
    {"model_providers": ["a b"]},
    {"descripton": "a typo"},
    {"name": "another"},
    {"id": "model-1"},
    {"revision": 10_000},
    {"created_at": "2020-01-01T00:00:00.000000Z"},
]
"""Parts of a body, each of which makes it one that is refused."""
