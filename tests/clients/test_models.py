"""The SDK registers, reads, updates and deletes models. The heart is `models.update`, every field of it."""

from typing import Any

import pytest
from nemo_platform import NeMoPlatform, NotFoundError  # type: ignore[import-not-found,unused-ignore]

SPEC: dict[str, Any] = {
    "checkpoint_model_name": "meta/llama-3-8b",
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
    "context_size": 8192,
    "moe_config": {"num_experts": 8, "num_experts_per_tok": 2, "num_expert_layers": 32},
    "linear_layers": [{"name": "model.layers.0.self_attn.q_proj", "in_features": 4096, "out_features": 4096}],
    "minimum_gpus_lora": 1,
}
FIELDS: dict[str, Any] = {
    "description": "Answers tickets",
    "spec": SPEC,
    "finetuning_type": "lora",
    "trust_remote_code": True,
    "base_model": "other/llama-3-8b",
    "api_endpoint": {"url": "https://models.example.org/v1", "model_id": "m", "format": "openai"},
    "backend_format": "ANTHROPIC_MESSAGES",
    "prompt": {"system_prompt": "Be kind.", "inference_params": {"temperature": 0.5, "top_k": 40}},
    "custom_fields": {"languages": ["en", "de"], "nested": {"kept": None}},
    "ownership": {"team": "support"},
    "model_providers": ["other/one", "other/two"],
}


def _holds(actual: Any, sent: Any) -> bool:
    """Whether all that was sent is there, defaults that were added aside."""
    if isinstance(sent, dict):
        return all(key in actual and _holds(actual[key], value) for key, value in sent.items())
    if isinstance(sent, list):
        return len(actual) == len(sent) and all(map(_holds, actual, sent))
    return bool(actual == sent)


def _plain(model: Any, *, without: str = "") -> dict[str, Any]:
    moved = {without, "updated_at", "revision"} | ({"trust_decision"} if without == "trust_remote_code" else set())
    return {key: value for key, value in model.to_dict().items() if key not in moved}


def test_a_model_with_only_a_name_has_the_defaults_of_the_platform(sdk: NeMoPlatform) -> None:
    model = sdk.models.create(name="llama")

    assert model.id.startswith("model-")
    assert (model.name, model.workspace, model.project) == ("llama", sdk.workspace, None)
    assert (model.trust_remote_code, model.adapters, model.custom_fields, model.model_providers) == (False, [], {}, [])
    assert {getattr(model, field) for field in ("description", "spec", "base_model", "prompt", "ownership")} == {None}
    assert model.created_at == model.updated_at
    assert model.created_at.tzinfo is not None


def test_every_field_can_be_set_when_a_model_is_created(sdk: NeMoPlatform) -> None:
    sdk.projects.create(name="tickets")

    created = sdk.models.create(name="llama", project="tickets", **FIELDS)

    assert _holds(created.to_dict(), {**FIELDS, "project": "tickets"})
    assert sdk.models.retrieve("llama", verbose=True) == created


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_update_sets_one_field_and_leaves_the_others(sdk: NeMoPlatform, field: str) -> None:
    before = sdk.models.create(name="llama", description="As it was")

    after = sdk.models.update("llama", verbose=True, **{field: FIELDS[field]})

    assert _holds(after.to_dict()[field], FIELDS[field])
    assert _plain(after, without=field) == _plain(before, without=field)
    assert after.updated_at > before.updated_at
    assert sdk.models.retrieve("llama", verbose=True) == after


def test_trust_comes_with_the_decision_behind_it_and_goes_with_it(sdk: NeMoPlatform) -> None:
    created = sdk.models.create(name="llama", trust_remote_code=True)
    after = sdk.models.update("llama", trust_remote_code=False)

    assert (created.trust_decision["rule"], created.trust_decision["files"]) == ("caller", {})
    assert (after.trust_remote_code, after.trust_decision) == (False, None)


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"backend_format"}))
def test_an_explicit_none_keeps_a_field(sdk: NeMoPlatform, field: str) -> None:
    before = sdk.models.create(name="llama", **FIELDS)

    after = sdk.models.update("llama", verbose=True, **{field: None})

    assert after == before


def test_an_explicit_none_clears_the_backend_format(sdk: NeMoPlatform) -> None:
    before = sdk.models.create(name="llama", **FIELDS)

    after = sdk.models.update("llama", verbose=True, backend_format=None)

    assert after.backend_format is None
    assert _plain(after, without="backend_format") == _plain(before, without="backend_format")


def test_an_update_without_a_field_changes_nothing(sdk: NeMoPlatform) -> None:
    before = sdk.models.create(name="llama", **FIELDS)

    assert sdk.models.update("llama", verbose=True) == before


def test_an_empty_text_clears_the_base_model_and_stays_in_a_description(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="llama", **FIELDS)

    after = sdk.models.update("llama", base_model="", description="")

    assert (after.base_model, after.description) == (None, "")


def test_objects_and_lists_replace_whole(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="llama", **FIELDS)

    after = sdk.models.update(
        "llama",
        custom_fields={"new": 1},
        model_providers=[],
        ownership={},
        api_endpoint={"url": "https://elsewhere.example.org"},
    )

    assert (after.custom_fields, after.model_providers, after.ownership) == ({"new": 1}, [], {})
    assert (after.api_endpoint.url, after.api_endpoint.model_id) == ("https://elsewhere.example.org", None)


def test_linear_layers_are_shown_where_verbose_asks_for_them(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="llama", spec=SPEC)

    assert sdk.models.retrieve("llama").spec.linear_layers is None
    assert sdk.models.retrieve("llama", verbose=True).spec.linear_layers[0].out_features == 4096
    assert sdk.models.update("llama", description="x").spec.linear_layers is None
    assert sdk.models.update("llama", verbose=True, description="y").spec.linear_layers is not None
    assert [model.spec.linear_layers for model in sdk.models.list()] == [None]
    assert [len(model.spec.linear_layers) for model in sdk.models.list(verbose=True)] == [1]


def test_a_spec_that_was_read_without_its_layers_keeps_them_when_it_is_sent_back(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="llama", spec=SPEC)
    spec = sdk.models.retrieve("llama").spec.to_dict()

    sdk.models.update("llama", spec={**spec, "context_size": 131072})

    after = sdk.models.retrieve("llama", verbose=True).spec
    assert (after.context_size, after.minimum_gpus_lora, len(after.linear_layers)) == (131072, 1, 1)


def test_a_key_goes_in_and_never_comes_out(sdk: NeMoPlatform) -> None:
    endpoint = {"url": "https://models.example.org/v1", "api_key": "sk-secret"}

    created = sdk.models.create(name="llama", api_endpoint=endpoint)

    assert created.api_endpoint.api_key is None
    answers = [created, sdk.models.retrieve("llama"), sdk.models.update("llama", description="x"), sdk.models.list()]
    assert not any("sk-secret" in answer.to_json() for answer in answers)


def test_exist_ok_answers_the_model_that_is_there(sdk: NeMoPlatform) -> None:
    first = sdk.models.create(name="llama", description="first")

    assert sdk.models.create(name="llama", description="second", exist_ok=True) == first


def test_a_deleted_model_is_gone(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="llama")

    assert sdk.models.delete("llama") is None

    with pytest.raises(NotFoundError):
        sdk.models.retrieve("llama")
    assert list(sdk.models.list()) == []


def test_a_call_may_name_another_workspace(sdk: NeMoPlatform) -> None:
    sdk.workspaces.create(name=f"{sdk.workspace}-b")
    sdk.models.create(name="llama", workspace=f"{sdk.workspace}-b")

    assert sdk.models.retrieve("llama", workspace=f"{sdk.workspace}-b").workspace == f"{sdk.workspace}-b"
    with pytest.raises(NotFoundError):
        sdk.models.retrieve("llama")
